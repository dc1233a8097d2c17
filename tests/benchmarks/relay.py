"""Sygnal, a push relay that stores nothing, beside it: where `RINGLINE_BENCH_SYGNAL` names the Python
of an environment that has it (`pip install` of its repository; 0.17.0 was measured).

One notification of one device is what a ring of one phone is here; one of 700 is a group's.
"""

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.fanout import PUSHES
from tests.benchmarks.fast_server import BUNDLE, TOPIC, FastServer
from tests.benchmarks.load import post_all, post_one
from tests.benchmarks.peers import listening
from tests.benchmarks.processes import Group
from tests.benchmarks.ring_cpu import CONNECTIONS

PYTHON = os.environ.get("RINGLINE_BENCH_SYGNAL")
NOTIFY = "/_matrix/push/v1/notify"
A_SECOND = 10


def notification(*tokens: str) -> bytes:
    """Its request for these phones; high priority, as a call's."""
    return json.dumps(
        {
            "notification": {
                "event_id": "$01900000-0000-7000-8000-000000000001",
                "room_id": "!default:example.com",
                "prio": "high",
                "counts": {"unread": 1},
                "devices": [{"app_id": BUNDLE, "pushkey": one, "data": {}} for one in tokens],
            }
        }
    ).encode()


@contextlib.contextmanager
def _running(apple: FastServer) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    assert PYTHON is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = {
        "type": "apns",
        "certfile": str(apple.pem_file),
        "platform": "production",
        "topic": TOPIC,
        "push_type": "voip",
        "convert_device_token_to_hex": False,
    }
    quiet = {"version": 1, "disable_existing_loggers": True, "root": {"level": "CRITICAL"}}
    with tempfile.TemporaryDirectory() as folder:
        conf = Path(folder) / "sygnal.yaml"  # JSON is YAML
        conf.write_text(
            json.dumps(
                {
                    "apps": {BUNDLE: app},
                    "http": {"port": port, "bind_addresses": ["127.0.0.1"]},
                    "log": {"setup": quiet, "access": {"enabled": False}},
                }
            )
        )
        host, _, apples = apple.url.removeprefix("https://").partition(":")
        script = Path(__file__).with_name("sygnal_here.py")
        process = subprocess.Popen(
            [PYTHON, str(script), host, apples], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"SYGNAL_CONF": str(conf), "SSL_CERT_FILE": str(apple.ca_file)},
        )  # fmt: skip
        try:
            yield port, process
        finally:
            process.terminate()
            process.wait(15)


async def beside(apple: FastServer, rounds: int, rings: int, singles: int) -> dict[str, Any]:
    """CPU of a notification at saturation, p50 of one at rest, milliseconds of 700 in one."""
    with _running(apple) as (port, process):
        await listening(port)
        await _notify_many(apple, port, 500)
        group, costs = Group(process.pid), []
        for _ in range(rounds):
            before = group.cpu()
            await _notify_many(apple, port, rings)
            costs.append((group.cpu() - before) / rings * 1e6)
        at_rest = await _notify_evenly(apple, port, singles)
        groups = [await _notify_group(apple, port) for _ in range(rounds)]
    return {
        "sygnal_push_us": round(statistics.median(costs), 1),
        "sygnal_rest_p50_ms": round(statistics.median(at_rest) * 1e3, 2),
        "sygnal_group_ms": round(statistics.median(groups) * 1e3, 1),
    }


async def _notify_many(apple: FastServer, port: int, count: int) -> None:
    apple.arrivals()
    tokens = [os.urandom(32).hex() for _ in range(count)]
    bodies = [notification(one) for one in tokens]
    load = await post_all("127.0.0.1", port, NOTIFY, "none", bodies, connections=CONNECTIONS)
    assert load.statuses == {200: count}, load.statuses
    arrived = sorted(one.token for one in apple.arrivals())
    assert arrived == sorted(tokens), f"{len(arrived)} of {count} arrived"


async def _notify_evenly(apple: FastServer, port: int, count: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked: dict[str, float] = {}
    begun = time.monotonic()
    for n in range(count):
        await asyncio.sleep(max(0.0, begun + n / A_SECOND - time.monotonic()))
        token = os.urandom(32).hex()
        asked[token] = time.monotonic()
        status = await post_one(reader, writer, NOTIFY, "none", notification(token))
        assert status == 200, status
    writer.close()
    arrived = apple.arrivals()
    assert len(arrived) == count, f"{len(arrived)} of {count} arrived"
    return [one.at - asked[one.token] for one in arrived]


async def _notify_group(apple: FastServer, port: int) -> float:
    body = notification(*(os.urandom(32).hex() for _ in range(PUSHES)))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = time.monotonic()
    status = await post_one(reader, writer, NOTIFY, "none", body)
    assert status == 200, status
    writer.close()
    arrived = apple.arrivals()
    assert len(arrived) == PUSHES, f"{len(arrived)} of {PUSHES} arrived"
    return max(one.at for one in arrived) - begun
