"""The same ring with 1,000 devices and no past, and with a million devices and a million past calls.

In two houses, in turn: filling one takes minutes, in which a machine may become half as fast.
"""

import statistics
import time
from typing import Any

from tests.benchmarks.forgetting import rings_while_forgetting
from tests.benchmarks.house import House, Ready, moved_in
from tests.benchmarks.peers import raw_aioapns_us
from tests.benchmarks.registering import registering
from tests.benchmarks.ring_cpu import ring_many
from tests.benchmarks.rows import add_past_calls, add_users

SMALL = 1_000
ENOUGH_TO_FORGET = 1_000_000


async def grow(
    houses: tuple[House, House], rows: int, rounds: int, rings: int, singles: int
) -> dict[str, Any]:
    """`growth_ratio`: CPU of a ring over raw aioapns's of a push, large over small.

    And with as much in the tables, what it does to a ring when old rows leave.
    """
    async with moved_in(houses[0]) as empty, moved_in(houses[1]) as full:
        await add_users(empty, "u", SMALL)
        await empty.maintain()
        begun = time.monotonic()
        await add_users(full, "u", rows)
        await add_past_calls(full, rows, rows)
        await full.maintain()
        filled = time.monotonic() - begun
        both = {"small": (empty, SMALL), "large": (full, rows)}
        small, large = await _in_turn(both, rounds, rings)
        enough = rows >= ENOUGH_TO_FORGET
        forgetting = await rings_while_forgetting(full, singles, SMALL) if enough else {}
    return {
        "growth_ratio": _over(small, large, "over_raw"),
        "growth_postgres_ratio": _over(small, large, "postgres_us"),
        "growth_rows": rows,
        "growth_fill_seconds": round(filled, 1),
        "growth_small": _medians(small),
        "growth_large": _medians(large),
        **forgetting,
    }


async def _in_turn(
    houses: dict[str, tuple[Ready, int]], rounds: int, rings: int
) -> list[list[dict[str, Any]]]:
    """By house what each round found; which of them begins changes from round to round."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in houses}
    for name, (ready, users) in houses.items():
        await ring_many(ready, f"{name}-warm", 500, users)
    for n in range(rounds):
        for name in sorted(houses, reverse=bool(n % 2)):
            found[name].append(await _round(*houses[name], f"{name}{n}", rings))
    return [*found.values()]


async def _round(ready: Ready, users: int, name: str, rings: int) -> dict[str, Any]:
    raw = raw_aioapns_us(ready.house.apple, 3_000)
    # a step that shares no factor with the number of users: every ring another user, far apart
    async with registering(ready):
        one = await ring_many(ready, name, rings, users, step=7_919)
    return one | {"over_raw": one["ours_us"] / raw}


def _over(small: list[dict[str, Any]], large: list[dict[str, Any]], key: str) -> float:
    """The median of what each round of the one found, over the round beside it."""
    pairs = zip(small, large, strict=True)
    return round(statistics.median(there[key] / here[key] for here, there in pairs), 3)


def _medians(found: list[dict[str, Any]]) -> dict[str, float]:
    keys = ("over_raw", "ours_us", "api_us", "worker_us", "postgres_us", "valkey_us")
    return {key: round(statistics.median(one[key] for one in found), 3) for key in keys}
