"""Many pushes at once with faults among them, whichever push service they go to.

Ten thousand in `make test-long`.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from app.core.outcome import Ended
from app.core.push_policy import NoAnswer
from devkit.simulator import Arrival, Simulator
from tests.chance import dice, often

PUSHES = often(400, 10_000)
AT_ONCE = 100
SLOW = 10.0
"""Seconds by which a busy machine may be late to say how a push has ended."""
OF_CONNECTIONS = (
    {"delay": 0.05},
    {"silence": True},
    {"reset": "REFUSED_STREAM"},
    {"reset": "INTERNAL_ERROR"},
    {"on": "headers", "reset": "CANCEL"},
    {"goaway": {"covering": False}},
    {"goaway": {"covering": True}},
    {"close": "tls"},
    {"close": "rst"},
)
"""Faults that are the same for each service: of streams and connections."""


async def each_ends_in_a_true_outcome(
    sim: Simulator,
    pushes: Mapping[str, Callable[[], Awaitable[Ended]]],
    refusals: Sequence[dict[str, Any]],
    taken: int,
) -> None:
    """Make all pushes, by what the simulator lists each under, with faults for one in twenty.

    `taken`: the status that says that the service has taken one.
    """
    chance = dice()
    faults = [*refusals, *OF_CONNECTIONS]
    # What ends a connection takes many pushes along: rarer, to leave work for others.
    weights = [1 if {"goaway", "close"} & set(fault) else 16 for fault in faults]
    for token in chance.sample(list(pushes), len(pushes) // 20):
        [fault] = chance.choices(faults, weights)
        sim.fault(token=token, times=1, **fault)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(push: Callable[[], Awaitable[Ended]]) -> Ended:
        async with gate:
            return await push()

    began = time.monotonic()
    outcomes = await asyncio.gather(*(one(push) for push in pushes.values()))
    took = time.monotonic() - began
    ends = Counter(outcome.code or str(outcome.no_answer) for outcome in outcomes)
    print(f"{len(pushes)} pushes, {len(pushes) // 20} faults, {took:.1f} s: {dict(ends)}")
    arrived: defaultdict[str, list[Arrival]] = defaultdict(list)
    for arrival in sim.arrivals():  # once: for each push a turn of another thread is dear
        arrived[arrival.token].append(arrival)
    for token, outcome in zip(pushes, outcomes, strict=True):
        arrivals = arrived[token.lower()]
        given = sum(arrival.delivered for arrival in arrivals)
        seen = (outcome, outcome.cause, arrivals, given)
        assert len(arrivals) <= 1, seen  # nothing is sent again here
        if outcome.code:
            assert [arrival.status for arrival in arrivals] == [outcome.code], seen
            assert given == (1 if outcome.code == taken else 0), seen
        elif outcome.no_answer is NoAnswer.NEVER_SENT or not outcome.may_have_reached:
            assert given == 0, seen
    assert sum(outcome.code == taken for outcome in outcomes) > 0.3 * len(pushes)
