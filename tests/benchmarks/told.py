"""How long until a user's other phones know that one has answered, with 2,000 streams open.

python -m tests.benchmarks.told PORT KEY: the listeners, in a process of their own; it says
`open` when every stream has had its snapshot, then answers each line with the arrivals.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence

from tests.benchmarks.house import Ready
from tests.benchmarks.load import post_one
from tests.benchmarks.ring_cpu import ring_body
from tests.benchmarks.rows import all_sent

PHONES = 50
STREAMS = 2_000


async def told_times(ready: Ready, call_type: str, rounds: int) -> dict[str, float]:
    """Medians in seconds: accept to last of 49 told, the accept itself, and reading the call.

    User `p1` has 50 devices, each with a stream; the other streams are of users `u1` and on.
    """
    house, key = ready.house, ready.tenant.api_key
    listeners = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.told", str(house.port), key,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    assert listeners.stdout
    assert listeners.stdin
    try:
        async with asyncio.timeout(90):
            assert (await listeners.stdout.readline()).strip() == b"open"
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        told, accepts, reads = [], [], []
        for n in range(rounds):
            name = f"{call_type}{n}"
            body = json.loads(ring_body(call_type, "p1")) | {"id": name}
            status = await post_one(reader, writer, "/v1/calls", key, json.dumps(body).encode())
            assert status == 202, status
            await all_sent(ready)
            await asyncio.sleep(0.3)
            path = f"/v1/calls/{call_type}:{name}"
            accept = json.dumps({"user_id": "p1", "device_id": f"d{1 + n % PHONES}"}).encode()
            begun = time.monotonic()
            assert await post_one(reader, writer, f"{path}/accept", key, accept) == 200
            accepts.append(time.monotonic() - begun)
            await asyncio.sleep(0.7)
            listeners.stdin.write(f"{name}\n".encode())
            found = json.loads(await listeners.stdout.readline())
            assert sorted(found) == [str(m) for m in sorted(range(1, PHONES + 1), key=str)], found
            told.append(max(at for m, at in found.items() if m != str(1 + n % PHONES)) - begun)
            reads += [await _read(reader, writer, path, key) for _ in range(5)]
            assert await post_one(reader, writer, f"{path}/end", key, b"{}") == 200
        writer.close()
        await asyncio.sleep(0.5)
    finally:
        listeners.kill()
        await listeners.wait()
    medians = map(statistics.median, (told, accepts, reads))
    return dict(zip(("told", "accept", "read"), medians, strict=True))


async def _read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, key: str
) -> float:
    begun = time.monotonic()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length[15:]))
    return time.monotonic() - begun


class Listeners:
    """Streams, and when each of the phones heard that its call is held elsewhere."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._heard: dict[str, dict[int, float]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, users: Sequence[tuple[str, int]]) -> None:
        """Open a stream for each (user, phone), a hundred at a time; returns after the snapshots."""
        for begin in range(0, len(users), 100):
            ready = [asyncio.Event() for _ in users[begin : begin + 100]]
            for (user, phone), event in zip(users[begin : begin + 100], ready, strict=True):
                task = asyncio.create_task(self._listen(user, phone, event))
                self._tasks.add(task)
            await asyncio.gather(*(event.wait() for event in ready))

    async def _listen(self, user: str, phone: int, ready: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        device = f"&device_id=d{phone}" if phone else ""
        writer.write(
            f"GET /v1/events?user_id={user}{device} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {self._key}\r\n\r\n".encode()
        )
        while line := await reader.readline():
            if not line.startswith(b"data: "):
                continue
            ready.set()
            if phone and b'"member.joined"' in line:
                name = json.loads(line[6:])["cid"].partition(":")[2]
                self._heard.setdefault(name, {}).setdefault(phone, time.monotonic())

    async def answer(self) -> None:
        """Print what was heard of each call whose name is read."""
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(self._heard.get(line.strip(), {})), flush=True)


async def _listeners(port: int, key: str) -> None:
    listeners = Listeners(port, key)
    phones = [("p1", n + 1) for n in range(PHONES)]
    await listeners.open(phones + [(f"u{n + 1}", 0) for n in range(STREAMS - PHONES)])
    await asyncio.sleep(3)  # a user's first stream gets a second snapshot
    print("open", flush=True)
    await listeners.answer()


if __name__ == "__main__":
    asyncio.run(_listeners(int(sys.argv[1]), sys.argv[2]))
