"""The same ring with 1,000 devices and no past, and with a million devices and a million past calls."""

import statistics
import time
from typing import Any

from tests.benchmarks.forgetting import rings_while_forgetting
from tests.benchmarks.house import Ready
from tests.benchmarks.peers import raw_aioapns_us
from tests.benchmarks.registering import registering
from tests.benchmarks.ring_cpu import ring_many
from tests.benchmarks.rows import add_past_calls, add_users, clear

SMALL = 1_000
ENOUGH_TO_FORGET = 1_000_000


async def grow(ready: Ready, rows: int, rounds: int, rings: int, singles: int) -> dict[str, Any]:
    """`growth_ratio`: CPU of a ring over raw aioapns's of a push, large over small.

    And with as much in the tables, what it does to a ring when old rows leave.
    """
    await clear(ready)
    small = await _measure(ready, "small", rounds, rings, SMALL)
    await clear(ready)
    begun = time.monotonic()
    await add_users(ready, "u", rows, first=SMALL + 1)
    await add_past_calls(ready, rows, rows)
    await ready.maintain()
    filled = time.monotonic() - begun
    large = await _measure(ready, "large", rounds, rings, rows)
    enough = rows >= ENOUGH_TO_FORGET
    forgetting = await rings_while_forgetting(ready, singles, SMALL) if enough else {}
    return {
        "growth_ratio": round(large["over_raw"] / small["over_raw"], 3),
        "growth_postgres_ratio": round(large["postgres_us"] / small["postgres_us"], 3),
        "growth_rows": rows,
        "growth_fill_seconds": round(filled, 1),
        "growth_small": small,
        "growth_large": large,
        **forgetting,
    }


async def _measure(ready: Ready, name: str, rounds: int, rings: int, users: int) -> dict[str, Any]:
    found = []
    await ring_many(ready, f"{name}-warm", 500, users)
    for n in range(rounds):
        raw = raw_aioapns_us(ready.house.apple, 3_000)
        # a step that shares no factor with the number of users: every ring another user, far apart
        async with registering(ready):
            one = await ring_many(ready, f"{name}{n}", rings, users, step=7_919)
        found.append(one | {"over_raw": one["ours_us"] / raw})
    keys = ("over_raw", "ours_us", "api_us", "worker_us", "postgres_us", "valkey_us")
    return {key: round(statistics.median(one[key] for one in found), 3) for key in keys}
