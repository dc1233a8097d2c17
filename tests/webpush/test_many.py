"""Many pushes with faults among them: each ends in a true outcome, and nothing is left behind.

In `make test-long` ten thousand.
"""

import asyncio
import random
from typing import Any

from app.core.outcome import Ended
from app.core.push_policy import NoAnswer
from tests.apns.rig import until
from tests.chance import dice, often
from tests.webpush.conftest import Rig, id_of

PUSHES = often(400, 10_000)
AT_ONCE = 100
SLOW = 10.0
"""Seconds by which a busy machine may be late to say how a push has ended."""
FAULTS = (
    {"status": 503, "reason": "Unavailable"},
    {"status": 500, "body": "<html>Internal error</html>"},
    {"status": 429, "reason": "TooManyRequests", "retry_after": 2},
    {"status": 410, "reason": "Gone"},
    {"status": 403, "reason": "WrongKey"},
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
# What ends a connection takes many pushes along: rarer, to leave work for others.
WEIGHTS = [1 if {"goaway", "close"} & set(fault) else 16 for fault in FAULTS]


async def one(rig: Rig, gate: asyncio.Semaphore, browser: dict[str, Any]) -> Ended:
    async with gate:
        return await rig.push(browser, within=3.0, late=SLOW)


async def test_each_of_many_pushes_ends_in_a_true_outcome(rig: Rig) -> None:
    chance: random.Random = dice()
    browsers = [rig.subscribe() for _ in range(PUSHES)]
    for browser in chance.sample(browsers, PUSHES // 20):
        [fault] = chance.choices(FAULTS, WEIGHTS)
        rig.sim.fault(token=id_of(browser), times=1, **fault)
    gate = asyncio.Semaphore(AT_ONCE)
    outcomes = await asyncio.gather(*(one(rig, gate, browser) for browser in browsers))
    for browser, outcome in zip(browsers, outcomes, strict=True):
        arrivals = rig.sim.arrivals(id_of(browser))
        given = len(rig.sim.deliveries(id_of(browser)))
        assert len(arrivals) <= 1  # nothing is sent again here
        if outcome.code:
            assert [arrival.status for arrival in arrivals] == [outcome.code]
            assert given == (1 if outcome.code == 201 else 0)
        elif outcome.no_answer is NoAnswer.NEVER_SENT or not outcome.may_have_reached:
            assert given == 0
    assert sum(outcome.code == 201 for outcome in outcomes) > 0.3 * PUSHES
    await until(lambda: not rig.in_flight())
    await rig.settled()
