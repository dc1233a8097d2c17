"""Measures the simulator alone: `python -m tests.devkit.simulator.throughput [PUSHES] [CONNECTIONS]`.

The simulator runs in a process of its own and its CPU time is what counts; the client frames
HTTP/2 by hand, so that it is not what is measured.
"""

import asyncio
import json
import ssl
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import psutil
from jh2._hazmat import Encoder

BODY = json.dumps(
    {"aps": {"alert": {"call_cid": "default:abc"}}, "ring": {"x": "y" * 500}}
).encode()
ALONE = """
import json, sys
from pathlib import Path
from devkit.simulator import Conduct, run
run(Path(sys.argv[1]), conduct=Conduct(accept_unknown=True),
    started=lambda server: print(json.dumps(server.as_dict()), flush=True))
"""
IN_FLIGHT = 400


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Pusher:
    """One connection that keeps `IN_FLIGHT` pushes under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.encoder = Encoder()
        self.window, self.answered, self.sent = 65_535, 0, 0
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))

    def push(self) -> bytes:
        stream = 2 * self.sent + 1
        self.sent += 1
        self.window -= len(BODY)
        fields = [
            (b":method", b"POST", False),
            (b":scheme", b"https", False),
            (b":path", b"/3/device/" + b"%064x" % (self.sent % 1000), True),
            (b":authority", b"api.push.apple.com", False),
            (b"apns-topic", b"com.example.app.voip", False),
            (b"apns-push-type", b"voip", False),
            (b"apns-priority", b"10", False),
            (b"apns-expiration", b"0", False),
            (b"apns-id", b"ec1bf194-b3b2-424a-89a9-%012d" % self.sent, True),
        ]
        block = self.encoder.encode(fields)
        return frame(1, 4, stream, block) + frame(0, 1, stream, BODY)

    async def run(self, pushes: int) -> None:
        buffer = b""
        while self.answered < pushes:
            out = []
            while (
                self.sent < pushes
                and self.sent - self.answered < IN_FLIGHT
                and self.window >= len(BODY)
            ):
                out.append(self.push())
            self.writer.write(b"".join(out))
            buffer = self.read(buffer + await self.reader.read(65_536))

    def read(self, data: bytes) -> bytes:
        position = 0
        while len(data) - position >= 9:
            end = position + 9 + int.from_bytes(data[position : position + 3], "big")
            if end > len(data):
                break
            kind, flags, stream = struct.unpack_from(">BBI", data, position + 3)
            if kind == 1:
                self.answered += 1
            elif kind == 4 and not flags:
                self.writer.write(frame(4, 1, 0, b""))
            elif kind == 8 and stream == 0:
                self.window += int.from_bytes(data[position + 9 : end], "big")
            elif kind in (3, 7):
                raise ConnectionError(data[position:end])
            position = end
        return data[position:]


async def measure(pushes: int, connections: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", ALONE, folder], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            await against(process, json.loads(process.stdout.readline()), pushes, connections)
        finally:
            process.terminate()
            process.wait()


async def against(
    process: "subprocess.Popen[str]", urls: dict[str, str], pushes: int, connections: int
) -> None:
    made = httpx.post(
        f"{urls['control_url']}/certificates/voip", json={"app_id": "com.example.app"}
    ).json()
    pem = Path(urls["ca_file"]).with_name("client.pem")
    pem.write_text(made["certificate"] + made["key"])
    context = ssl.create_default_context(cafile=urls["ca_file"])
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["h2"])
    port = int(urls["production_url"].rsplit(":", 1)[1])
    pushers = [
        Pusher(
            *await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname="localhost"
            )
        )
        for _ in range(connections)
    ]
    simulator = psutil.Process(process.pid)
    before = simulator.cpu_times()
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(pusher.run(pushes // connections) for pusher in pushers))
    seconds = asyncio.get_running_loop().time() - began
    after = simulator.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    memory = simulator.memory_info().rss / 2**20
    print(f"{pushes} pushes in {seconds:.2f} s: {pushes / seconds:.0f}/s")
    print(f"simulator: {cpu / pushes * 1e6:.0f} us of CPU a push, {pushes / cpu:.0f}/s on a core")
    print(f"simulator: {memory:.0f} MiB, {simulator.num_fds()} open files")
    for pusher in pushers:
        pusher.writer.transport.abort()


if __name__ == "__main__":
    wanted = [int(argument) for argument in sys.argv[1:]]
    asyncio.run(measure(*(wanted or [20_000]), *([4] if len(wanted) < 2 else [])))
