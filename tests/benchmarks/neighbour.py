"""What a tenant notices of another one that floods: rings ten a second, alone and beside it, in turns.

The flood is a process of its own (`python -m tests.benchmarks.neighbour PORT KEY RATE`) that asks to
ring at ten times its rate limit, on many connections, whatever it is answered.
"""

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from tests.benchmarks.house import ROOT, Ready, moved_in
from tests.benchmarks.load import post_one
from tests.benchmarks.ring_cpu import ring_body
from tests.benchmarks.ring_latency import ring_evenly
from tests.benchmarks.rows import add_users, clear, token_owners

LIMIT = 600
"""Rings a minute that the flooding tenant's key may make."""
RATE = 10 * LIMIT / 60
CONNECTIONS = 200
USERS = 100
SETTLE = 8.0
"""Seconds in which the flood uses up what it may do at once."""
BURST = 3.0
"""Seconds in which it uses up what it was given while the other rang alone."""


async def neighbour(ready: Ready, rounds: int, rings: int) -> dict[str, Any]:
    """The p99 of one tenant's rings beside a flood over that of its rings alone."""
    alone: list[float] = []
    beside: list[float] = []
    answers: Counter[int] = Counter()
    async with moved_in(ready.house) as other:
        settings = f'{{"rate_limits": {{"rings_per_key": {LIMIT}}}}}'
        await other.sql("UPDATE tenants SET settings = CAST(:s AS jsonb) WHERE id = :t", s=settings)
        await add_users(other, "u", USERS)
        await latencies(ready, "warm", rings)
        async with flood(other, answers):
            await asyncio.sleep(SETTLE)
        for n in range(rounds):
            alone += await latencies(ready, f"alone{n}", rings)
            async with flood(other, answers):
                await asyncio.sleep(BURST)
                beside += await latencies(ready, f"beside{n}", rings)
            await clear(other)
            await clear(ready)
    return {
        "neighbour_p99_ratio": round(at(beside, 0.99) / at(alone, 0.99), 3),
        "neighbour_p50_ratio": round(at(beside, 0.5) / at(alone, 0.5), 3),
        "neighbour_alone_p99_ms": round(at(alone, 0.99) * 1e3, 2),
        "neighbour_beside_p99_ms": round(at(beside, 0.99) * 1e3, 2),
        "neighbour_samples": len(beside),
        "neighbour_flood_answers": str(dict(answers)),
    }


def at(values: list[float], share: float) -> float:
    """The value below which this share of them lies."""
    return sorted(values)[int(len(values) * share)]


async def latencies(ready: Ready, call_type: str, rings: int) -> list[float]:
    """Seconds from request to push, of this tenant's own; ten a second on a kept connection."""
    house = ready.house
    owners = await token_owners(ready, "u", rings)
    house.apple.arrivals()
    sent = await ring_evenly(ready, call_type, rings)
    await asyncio.sleep(0.5)
    found = [one for one in house.apple.arrivals() if one.token in owners]
    assert len(found) == rings, f"{len(found)} of {rings} rings have arrived"
    return [one.at - sent[owners[one.token]] for one in found]


@contextlib.asynccontextmanager
async def flood(other: Ready, answers: Counter[int]) -> AsyncIterator[None]:
    """The flood, for the length of the block; its answers are added, by status."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.neighbour",
        str(other.house.port), other.tenant.api_key, str(RATE),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield
    finally:
        said, _ = await process.communicate(b"\n")
    for line in said.decode().splitlines():
        status, count = line.split()
        answers[int(status)] += int(count)


async def _flood(port: int, key: str, rate: float) -> None:
    answers: Counter[int] = Counter()
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = ring_body("flood", f"u{1 + number % USERS}")
        due = time.monotonic() + number / rate
        while not over.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += CONNECTIONS / rate
            answers[await post_one(reader, writer, "/v1/calls", key, body)] += 1
        writer.close()

    await asyncio.gather(*map(one, range(CONNECTIONS)))
    for status, count in answers.items():
        print(status, count)


if __name__ == "__main__":
    asyncio.run(_flood(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
