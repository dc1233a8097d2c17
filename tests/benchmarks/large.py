"""Accepts in a large call beside those in a small one: what one costs, and 340 of them at once."""

import asyncio
import json
import time
from typing import Any

from tests.benchmarks.house import Ready
from tests.benchmarks.load import post_all, post_one
from tests.benchmarks.ring_cpu import ring_body
from tests.benchmarks.rows import all_sent

LARGE, SMALL = 350, 10
"""Members of a call, the caller included."""

SMALL_CALLS = 30
AT_ONCE = 340


async def accept_costs(ready: Ready, rounds: int) -> dict[str, Any]:
    """CPU of API and PostgreSQL in microseconds of an accept, one after another.

    Users are `b1` to `b349`. The first accept of each call, which starts it, is not counted.
    """
    small, large = [], []
    for n in range(rounds):
        small.append(await _cost(ready, f"small{n}", SMALL, SMALL_CALLS))
        large.append(await _cost(ready, f"large{n}", LARGE, 1))
    ratio = sorted(a / b for a, b in zip(large, small, strict=True))[rounds // 2]
    return {
        "large_accept_ratio": round(ratio, 3),
        "large_accept_us": [round(one) for one in large],
        "small_accept_us": [round(one) for one in small],
        "accepts_at_once_ms": round(await _at_once(ready) * 1e3, 1),
    }


async def _cost(ready: Ready, call_type: str, members: int, calls: int) -> float:
    house, key = ready.house, ready.tenant.api_key
    users = [f"b{n + 1}" for n in range(members - 1)]
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)

    async def post(path: str, body: bytes) -> None:
        status = await post_one(reader, writer, path, key, body)
        assert status in {200, 202}, (path, status)

    for n in range(calls):
        await post("/v1/calls", _named(ring_body(call_type, *users), f"c{n}"))
        await post(f"/v1/calls/{call_type}:c{n}/accept", _act(users[0]))
    await all_sent(ready)
    await asyncio.sleep(2)  # what follows of it is done
    before = house.api.cpu() + house.postgres.cpu()
    for n in range(calls):
        for user in users[1:]:
            await post(f"/v1/calls/{call_type}:c{n}/accept", _act(user))
    used = house.api.cpu() + house.postgres.cpu() - before
    for n in range(calls):
        await post(f"/v1/calls/{call_type}:c{n}/end", b"{}")
    writer.close()
    return used / (calls * len(users[1:])) * 1e6


async def _at_once(ready: Ready) -> float:
    """Seconds until the last of so many accepts in one call, all sent at once, is answered."""
    users = [f"b{n + 1}" for n in range(AT_ONCE)]
    key, port = ready.tenant.api_key, ready.house.port
    body = _named(ring_body("storm", *users), "all")
    assert (
        await post_all("127.0.0.1", port, "/v1/calls", key, [body], connections=1)
    ).statuses == {202: 1}
    await all_sent(ready)
    acts = [_act(user) for user in users]
    path = "/v1/calls/storm:all/accept"
    begun = time.monotonic()
    load = await post_all("127.0.0.1", port, path, key, acts, connections=AT_ONCE)
    took = time.monotonic() - begun
    assert load.statuses == {200: AT_ONCE}, load.statuses
    return took


def _named(body: bytes, name: str) -> bytes:
    return json.dumps(json.loads(body) | {"id": name}).encode()


def _act(user: str) -> bytes:
    return json.dumps({"user_id": user, "device_id": "d1"}).encode()
