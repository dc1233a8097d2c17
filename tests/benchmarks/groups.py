"""Groups of several trees, rung in turn: whether a change brings the first or the last phone sooner.

    python -m tests.benchmarks.groups [--seconds N] TREE [TREE ...]

Each tree has a house of its own beside the others, and each round rings a group of 350 with two
phones each in all of them, after 700 pushes of the bare engine; the order turns from round to round.
Every fourth round rings ten users at rest too. Prints medians and lower quartiles in milliseconds, the
ratios, and how each tree differs from the first, round by round.
"""

import argparse
import asyncio
import contextlib
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.fanout import DEVICES, MEMBERS, push_group_bare, ring_group
from tests.benchmarks.fast_server import FastServer, fast_server
from tests.benchmarks.house import House, Ready, moved_in, running_house
from tests.benchmarks.ring_latency import ring_latencies
from tests.benchmarks.rows import add_users

USERS, AT_REST, EVERY = 100, 10, 4


@dataclass
class Found:
    """Milliseconds of one tree: first and last phones of its groups, rings at rest."""

    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


async def move_in(ready: Ready) -> None:
    """Make its users, and ring for the first time."""
    await add_users(ready, "u", USERS)
    await add_users(ready, "g", MEMBERS, each=DEVICES)
    await ready.maintain()
    await ring_group(ready, "warm")
    await ring_latencies(ready, "warm-single", 2 * AT_REST, USERS)


async def ring_round(ready: Ready, found: Found, number: int) -> None:
    """A group, and now and then some users at rest."""
    first, last = await ring_group(ready, f"group{number}")
    found.first.append(first * 1e3)
    found.last.append(last * 1e3)
    if number % EVERY == 0:
        times = await ring_latencies(ready, f"single{number}", AT_REST, USERS)
        found.alone += [one * 1e3 for one in times]


async def compare(
    apple: FastServer, houses: list[House], seconds: float
) -> tuple[list[float], list[Found]]:
    """The bare engine's times, and what was found of each house, after so many seconds."""
    until, bare = time.monotonic() + seconds, list[float]()
    found = [Found() for _ in houses]
    async with contextlib.AsyncExitStack() as stack:
        all_ready = [await stack.enter_async_context(moved_in(house)) for house in houses]
        for ready in all_ready:
            await move_in(ready)
        while time.monotonic() < until:
            number = len(bare)
            bare.append(push_group_bare(apple) * 1e3)
            turns = list(zip(all_ready, found, strict=True))
            for ready, one in reversed(turns) if number % 2 else turns:
                await ring_round(ready, one, number)
    return bare, found


def told(name: str, times: list[float], other: list[float]) -> str:
    """A median with its quartile, and how it differs from the other's, round by round."""
    apart = [mine - theirs for mine, theirs in zip(times, other, strict=True)]
    sooner = sum(one < 0 for one in apart)
    quartile = statistics.quantiles(times, n=4)[0]
    return (
        f"{name} {statistics.median(times):.1f} ({quartile:.1f}), "
        f"{statistics.median(apart):+.1f}, sooner in {sooner} of {len(apart)}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=120.0)
    given = parser.parse_args()
    with fast_server() as apple, contextlib.ExitStack() as stack:
        houses = [stack.enter_context(running_house(apple, root=tree)) for tree in given.trees]
        bare, found = asyncio.run(compare(apple, houses, given.seconds))
    engine = statistics.median(bare)
    print(f"the bare engine {engine:.1f} ms, {len(bare)} rounds")
    for tree, one in zip(given.trees, found, strict=True):
        alone = statistics.median(one.alone)
        print(
            f"{tree}: {told('first', one.first, found[0].first)}; "
            f"{told('last', one.last, found[0].last)}; at rest {alone:.2f}; "
            f"fanout_ratio {statistics.median(one.last) / engine:.2f}, "
            f"first_phone_ms_ratio {statistics.median(one.first) / alone:.2f}"
        )


if __name__ == "__main__":
    main()
