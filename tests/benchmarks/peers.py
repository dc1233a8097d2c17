"""The peers, measured in the same run: raw aioapns, a bare Celery task, a bare FastAPI POST."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from app.infra import server_urls
from tests.benchmarks.engine import run_client
from tests.benchmarks.fast_server import FastServer
from tests.benchmarks.load import post_all
from tests.benchmarks.processes import Group
from tests.benchmarks.ring_cpu import CONNECTIONS, ring_body

ROOT = Path(__file__).resolve().parents[2]


def raw_aioapns_us(apple: FastServer, pushes: int) -> float:
    """CPU microseconds of a push by aioapns as it comes, 200 in flight."""
    found = run_client("raw", apple, pushes, "asyncio")
    apple.arrivals()
    return found["cpu_us"]


@contextlib.contextmanager
def _running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=os.environ | environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(15)


class BareCelery:
    """A worker of Celery's defaults on the same broker, and a publisher."""

    def __init__(self, note: Path, broker: str) -> None:
        from celery import Celery

        self._note = note
        self._app = Celery("publisher", broker=broker, set_as_current=False)

    async def latencies(self, tasks: int, a_second: float) -> list[float]:
        """Seconds from publish to start of each of so many tasks at a steady rate."""
        self._note.write_text("")
        begun = time.monotonic()
        for n in range(tasks):
            await asyncio.sleep(max(0.0, begun + n / a_second - time.monotonic()))
            self._app.send_task("bare", args=(time.monotonic(), str(self._note)))
        until = time.monotonic() + 10
        while len(lines := self._note.read_text().splitlines()) < tasks:
            assert time.monotonic() < until, f"{tasks} tasks were published, {len(lines)} started"
            await asyncio.sleep(0.05)
        return [float(start) - float(published) for published, start in map(str.split, lines)]


@contextlib.asynccontextmanager
async def running_bare_celery(redis_url: str):
    """A BareCelery whose worker has shown that it takes tasks."""
    broker = server_urls.redis_url(redis_url).broker["broker_url"]
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "started"
        command = ("celery", "-A", "tests.benchmarks.bare_celery", "worker", "-c", "2")
        with _running(*command, BARE_CELERY_BROKER=broker):
            celery = BareCelery(note, broker)
            await celery.latencies(5, 10)
            yield celery


async def bare_fastapi_us(posts: int) -> float:
    """CPU microseconds of a POST with the body of a ring, as many connections as the rings have."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ("uvicorn", "tests.benchmarks.bare_http:app", "--port", str(port), "--no-access-log")
    with _running(*command, "--log-level", "error") as process:
        await listening(port)
        bodies = [ring_body("bare", f"u{n}") for n in range(posts)]
        await post_all("127.0.0.1", port, "/v1/calls", "no", bodies[:500], connections=CONNECTIONS)
        group = Group(process.pid)
        before = group.cpu()
        await post_all("127.0.0.1", port, "/v1/calls", "no", bodies, connections=CONNECTIONS)
        return (group.cpu() - before) / posts * 1e6


async def listening(port: int) -> None:
    """Wait until something does."""
    until = time.monotonic() + 15
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def server_ceiling(apple: FastServer, pushes: int) -> dict[str, float]:
    """What the stand-in for Apple takes: its own CPU a push, and so what one core of it can do."""
    group = Group(apple.pid)
    before = group.cpu()
    found = run_client("ours", apple, pushes, "asyncio")
    apple.arrivals()
    us = (group.cpu() - before) / found["sent"] * 1e6
    return {"server_us": round(us, 1), "server_pushes_a_second": round(1e6 / us)}
