"""Many messages with faults among them: each ends in a true outcome, and nothing is left behind.

In `make test-long` ten thousand.
"""

import asyncio
import random

from app.core.outcome import Ended
from app.core.push_policy import NoAnswer
from tests.apns.rig import until
from tests.chance import dice, often
from tests.fcm.conftest import Rig

PUSHES = often(400, 10_000)
AT_ONCE = 100
SLOW = 10.0
"""Seconds by which a busy machine may be late to say how a push has ended."""
FAULTS = (
    {"status": 503, "reason": "UNAVAILABLE"},
    {"status": 500, "reason": "INTERNAL"},
    {"status": 429, "reason": "QUOTA_EXCEEDED", "retry_after": 2},
    {"status": 404, "reason": "UNREGISTERED"},
    {"status": 403, "reason": "SENDER_ID_MISMATCH"},
    {"status": 502, "body": "<html>Bad gateway</html>"},
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


async def one(rig: Rig, gate: asyncio.Semaphore, token: str) -> Ended:
    async with gate:
        return await rig.push(token, within=3.0, late=SLOW)


async def test_each_of_many_messages_ends_in_a_true_outcome(rig: Rig) -> None:
    chance: random.Random = dice()
    tokens = [rig.live() for _ in range(PUSHES)]
    for token in chance.sample(tokens, PUSHES // 20):
        [fault] = chance.choices(FAULTS, WEIGHTS)
        rig.sim.fault(token=token, times=1, **fault)
    gate = asyncio.Semaphore(AT_ONCE)
    outcomes = await asyncio.gather(*(one(rig, gate, token) for token in tokens))
    for token, outcome in zip(tokens, outcomes, strict=True):
        arrivals, given = rig.sim.arrivals(token), len(rig.sim.deliveries(token))
        assert len(arrivals) <= 1  # nothing is sent again here
        if outcome.code:
            assert [arrival.status for arrival in arrivals] == [outcome.code]
            assert given == (1 if outcome.code == 200 else 0)
        elif outcome.no_answer is NoAnswer.NEVER_SENT or not outcome.may_have_reached:
            assert given == 0
    assert sum(outcome.code == 200 for outcome in outcomes) > 0.3 * PUSHES
    await until(lambda: not rig.sender.pool.in_flight)
    await rig.settled()
