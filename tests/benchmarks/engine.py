"""CPU a push: our engine over raw aioapns 4.0, against the same fast server in the same run.

    python -m tests.benchmarks.engine [--pushes N] [--rounds N] [--loop uvloop] [--simulator]

Each client runs in a process of its own, alternately, 200 pushes in flight, the same payload, a
certificate, connections warm. CPU is the client process's user and system time. Prints a table
and, as its last line, JSON.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.fast_server import TOPIC, FastServer, fast_server

IN_FLIGHT = 200
WARM_UP = 2_000
MESSAGE: dict[str, Any] = {
    "aps": {"alert": {"call_cid": "default:0198f7e2-abc", "user_ids": "alice,carol"}},
    "ring": {
        "v": 2,
        "uuid": "0d3c1c34-cd0a-4fb7-9a0c-4a4bd1c4e0a2",
        "cid": "default:0198f7e2-abc",
        "session_id": "0198f7e2-8d0e-7a3b-9b7c-2f8f6f0d9a11",
        "caller": {"id": "alice", "name": "Alice"},
        "video": True,
        "sent_at": 1_790_000_000_000,
        "expires_at": 1_790_000_045_000,
        "state_url": "https://ring.example.com/v1/calls/0198f7e2-8d0e-7a3b-9b7c-2f8f6f0d9a11",
        "token": "x" * 180,
    },
}


def cpu() -> float:
    times = os.times()
    return times.user + times.system


async def measure(push: Any, pushes: int) -> dict[str, float]:
    """CPU microseconds and pushes a second, after a warm-up."""

    async def caller(share: int) -> None:
        for _ in range(share):
            await push()

    await asyncio.gather(*(caller(WARM_UP // IN_FLIGHT) for _ in range(IN_FLIGHT)))
    began, used = time.perf_counter(), cpu()
    share = pushes // IN_FLIGHT
    await asyncio.gather(*(caller(share) for _ in range(IN_FLIGHT)))
    used, took = cpu() - used, time.perf_counter() - began
    done = share * IN_FLIGHT
    return {"cpu_us": used / done * 1e6, "rate": done / took, "sent": done + WARM_UP}


async def ours(url: str, ca_file: str, pem_file: str, pushes: int) -> dict[str, float]:
    from app.apns import CertificateCredential, PushRequest, Sender

    credential = CertificateCredential(pem=Path(pem_file).read_bytes())
    sender = Sender(credential, url, ca_file=ca_file)
    assert await sender.warm()
    loop, token = asyncio.get_running_loop(), os.urandom(32).hex()
    payload = json.dumps(MESSAGE, separators=(",", ":")).encode()

    async def push() -> None:
        request = PushRequest(token, payload, topic=TOPIC)
        outcome = await sender.send(request, loop.time() + 20)
        assert outcome.code == 200, outcome

    found = await measure(push, pushes)
    await sender.drain(loop.time() + 1)
    return found


async def raw(url: str, ca_file: str, pem_file: str, pushes: int) -> dict[str, float]:
    import ssl

    from aioapns import APNs, NotificationRequest, PushType
    from aioapns.connection import APNsTLSClientProtocol

    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["h2"])
    client = APNs(client_cert=pem_file, topic=TOPIC, ssl_context=context)
    host, _, port = url.removeprefix("https://").partition(":")
    here = {"APNS_SERVER": host, "APNS_PORT": int(port)}
    client.pool.protocol_class = type("Here", (APNsTLSClientProtocol,), here)
    token = os.urandom(32).hex()

    async def push() -> None:
        request = NotificationRequest(
            token, MESSAGE, time_to_live=45, priority=10, push_type=PushType.VOIP
        )
        result = await client.send_notification(request)
        assert result.is_successful, result.description

    found = await measure(push, pushes)
    client.pool.close()
    return found


def run_client(name: str, server: FastServer, pushes: int, loop: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.engine", "--client", name]
    command += ["--loop", loop, "--pushes", str(pushes)]
    command += [server.url, str(server.ca_file), str(server.pem_file)]
    before = server.received()
    found: dict[str, float] = json.loads(subprocess.check_output(command))
    assert server.received() - before == found["sent"], "the server's count is another"
    return found


def compare(server: FastServer, rounds: int, pushes: int, loop: str) -> dict[str, Any]:
    """Medians over alternating rounds; raw aioapns gets a quarter of the pushes."""
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "raw": []}
    for _ in range(rounds):
        runs["raw"].append(run_client("raw", server, pushes // 4, loop))
        runs["ours"].append(run_client("ours", server, pushes, loop))
    medians = {
        f"{name}_{key}": statistics.median(x[key] for x in found)
        for name, found in runs.items()
        for key in ("cpu_us", "rate")
    }
    ratios = [a["cpu_us"] / b["cpu_us"] for a, b in zip(runs["ours"], runs["raw"], strict=True)]
    return {
        "engine_cpu_ratio": round(medians["ours_cpu_us"] / medians["raw_cpu_us"], 4),
        "ratios": [round(x, 4) for x in ratios],
        **{key: round(value, 1) for key, value in medians.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--simulator", action="store_true", help="even if there is Node")
    parser.add_argument("--client", choices=["ours", "raw"], help=argparse.SUPPRESS)
    parser.add_argument("where", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client:
        factory = None
        if given.loop == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop
        client = ours if given.client == "ours" else raw
        with asyncio.Runner(loop_factory=factory) as runner:
            print(json.dumps(runner.run(client(*given.where, given.pushes))))
        return
    with fast_server(node=not given.simulator) as server:
        found = compare(server, given.rounds, given.pushes, given.loop)
        print(f"server: {server.name}; {IN_FLIGHT} in flight; loop: {given.loop}")
    for name, label in (("ours", "Ringline's engine"), ("raw", f"aioapns {version('aioapns')}")):
        print(f"{label:20} {found[name + '_cpu_us']:8.1f} us a push {found[name + '_rate']:8.0f}/s")
    print(f"engine_cpu_ratio     {found['engine_cpu_ratio']:8.3f} {found['ratios']}")
    found |= {"python": platform.python_version(), "machine": platform.machine()}
    found |= {"cores": os.cpu_count(), "loop": given.loop, "aioapns": version("aioapns")}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
