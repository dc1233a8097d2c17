"""`python -m tests.chaos.overload`: more is asked than the house can do, and then less again.

Calls begin at half of what the house can do, for some seconds at several times what it can, and at
half again, by clients that are patient and ask again: so what is asked is more for as long as what
was refused has not been served. Printed, for every five seconds: calls begun, answers that served,
refusals and tries that got no answer in four seconds, and how long the calls that began then
waited for their answer.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter, defaultdict
from typing import Any

import uvloop

from tests.chaos.house import House, running_house
from tests.chaos.load import Load
from tests.chaos.run import measured
from tests.chaos.world import World, living_in

BEFORE, AFTER = 5.0, 40.0
EACH = 5
SERVED = range(200, 300)


async def overloaded(world: World, half: float, times: float, seconds: float) -> dict[str, Any]:
    """What was seen; `half` in calls a second."""
    begun, served = time.time(), Counter[int]()
    ask = world.balancer.ask

    async def counted(*given: Any, **named: Any) -> Any:
        reply = await ask(*given, **named)
        served[_part(begun)] += reply.status in SERVED
        return reply

    world.balancer.ask = counted  # type: ignore[method-assign]
    load = Load(world, world.tenant, ring_time=25)
    world.apple.follow(load.heard)
    for rate, lasts in ((half, BEFORE), (2 * half * times, seconds), (half, AFTER)):
        load.start(rate)
        await asyncio.sleep(lasts)
        await load.pause()
    await load.stop(within=30)
    await world.apple.stop()
    refused = Counter((_part(begun, one.at), one.status > 0) for one in world.balancer.refused)
    waits = defaultdict[int, list[float]](list)
    for one in load.asked:
        waits[_part(begun, one.asked)].append(one.answered - one.asked)
    parts = range(_part(begun))
    return {
        "half": half,
        "begun": load.begun,
        "never_taken": load.given_up,
        "parts": [
            {
                "from": part * EACH,
                "begun": len(waits[part]),
                "served": served[part],
                "refused": refused[part, True],
                "unanswered": refused[part, False],
                "p50": round(statistics.median(waits[part]), 2) if waits[part] else None,
            }
            for part in parts
        ],
    }


def _part(begun: float, at: float | None = None) -> int:
    return int(((time.time() if at is None else at) - begun) / EACH)


async def _all(house: House, given: argparse.Namespace) -> dict[str, Any]:
    async with living_in(house, users=60, followers=8) as world:
        half = given.rate or await measured(world, 5) / 2
        world.balancer.refused.clear()
        return await overloaded(world, half, given.times, given.seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.overload", description=__doc__)
    parser.add_argument("--times", type=float, default=4.0, help="what it can do, so many times")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long that lasts")
    parser.add_argument("--rate", type=float, help="half of what it can do, in calls a second")
    given = parser.parse_args()
    with running_house() as house:
        found = uvloop.run(_all(house, given))
    for part in found.pop("parts"):
        print(json.dumps(part))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
