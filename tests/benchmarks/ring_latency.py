"""From a request to ring until the push has arrived whole, one ring at a time, ten a second."""

import asyncio
import time

from tests.benchmarks.house import Ready
from tests.benchmarks.load import post_one
from tests.benchmarks.ring_cpu import ring_body
from tests.benchmarks.rows import agree, token_owners

RINGS_A_SECOND = 10


async def ring_latencies(ready: Ready, call_type: str, rings: int, users: int) -> list[float]:
    """Seconds for each of so many rings, each of another user; on a connection that is kept."""
    assert rings <= users
    house = ready.house
    owners = await token_owners(ready, "u", rings)
    house.apple.arrivals()
    sent = await ring_evenly(ready, call_type, rings)
    await asyncio.sleep(0.3)
    arrived = house.apple.arrivals()
    await agree(ready, call_type, arrived, calls=rings, rings=rings, pushes=rings)
    return [one.at - sent[owners[one.token]] for one in arrived]


async def ring_evenly(ready: Ready, call_type: str, rings: int) -> dict[str, float]:
    """Ring `u1` and on, ten a second, on a connection that is kept; when each was asked for."""
    sent: dict[str, float] = {}
    reader, writer = await asyncio.open_connection("127.0.0.1", ready.house.port)
    begun = time.monotonic()
    for n in range(rings):
        await asyncio.sleep(max(0.0, begun + n / RINGS_A_SECOND - time.monotonic()))
        body = ring_body(call_type, f"u{n + 1}")
        sent[f"u{n + 1}"] = time.monotonic()
        status = await post_one(reader, writer, "/v1/calls", ready.tenant.api_key, body)
        assert status == 202, status
    writer.close()
    return sent
