"""Ten thousand pushes with every kind of fault among them, in five runs.

In `make test-long` each of the five runs has ten thousand.
"""

import asyncio
import gc
import random
import sys
import time
from collections import Counter

from app.apns import NoAnswer, PushOutcome, PushRequest, Timing
from devkit.simulator import Arrival
from tests.apns.rig import TOPIC, Metronome, Rig, checked, open_descriptors, push_to, rig_on, until
from tests.chance import dice, often

PUSHES = often(2_000, 10_000)
RUNS = 5
AT_ONCE = 200
FAULTS = (
    {"status": 503, "reason": "ServiceUnavailable"},
    {"status": 503, "reason": "Shutdown"},
    {"status": 500, "body": "<html>Internal error</html>"},
    {"status": 400, "body": ""},
    {"status": 429, "reason": "TooManyRequests", "retry_after": 2},
    {"status": 410, "reason": "Unregistered", "timestamp": 1_700_000_000_000, "pieces": 3},
    {"status": 502, "body_size": 70_000},
    {"status": 400, "reason": "IdleTimeout"},
    {"pieces": 20, "pause": 0.05, "status": 403, "reason": "Forbidden"},
    {"delay": 0.2},
    {"silence": True},
    {"cut": "headers", "silence": True, "status": 500},
    {"cut": "body", "reset": "CANCEL", "status": 500, "reason": "InternalServerError"},
    {"reset": "REFUSED_STREAM"},
    {"reset": "INTERNAL_ERROR"},
    {"on": "headers", "reset": "CANCEL"},
    {"goaway": {"covering": True}},
    {"goaway": {"covering": False}},
    {"goaway": {"covering": True, "close": "now"}},
    {"close": "tls"},
    {"close": "rst"},
    {"close": "fin"},
    {"apns_id_header": "missing"},
    {"apns_id_header": "other"},
    {"settings": {"max_concurrent_streams": 5}},
    {"settings": {"max_concurrent_streams": 1_000, "initial_window_size": 300}},
    {"settings": {"header_table_size": 0}},
)


# What ends a connection takes many pushes along, and so has to be rarer to leave work for others.
WEIGHTS = [1 if {"goaway", "close"} & set(fault) else 8 for fault in FAULTS]


async def one_run(rig: Rig, chance: random.Random, ours: set[str]) -> Counter:
    requests = [push_to(chance.randbytes(32).hex()) for _ in range(PUSHES)]
    ours.update(request.notification_id for request in requests)
    rig.sim.live(*(x.device_token for x in requests), topic=TOPIC)
    scripted: dict[str, dict] = {}
    for request in chance.sample(requests, PUSHES // 20):
        (fault,) = chance.choices(FAULTS, WEIGHTS)
        scripted[request.notification_id] = fault
        rig.sim.fault(token=request.device_token, **fault)
    outcomes: list[PushOutcome] = []
    todo = iter(requests)

    async def caller() -> None:
        for request in todo:
            deadline = rig.loop.time() + chance.uniform(0.8, 1.5)
            outcome = await rig.sender.send(request, deadline)
            outcomes.append(checked(outcome, request, deadline, grace=60.0))
            late.append(outcome.ended - deadline)

    metronome, late = Metronome(), []
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    metronome.stop()
    # a turn that began late may be told of by one that is late too
    assert max(late) < 0.01 + 2 * metronome.worst
    await until(lambda: not rig.sender.pool.in_flight)
    await asyncio.sleep(0.1)
    assert len(outcomes) == len(requests) == len({x.notification_id for x in outcomes})
    agree(outcomes, rig.sim.arrivals(), scripted)
    return Counter(str(x.code or x.no_answer) for x in outcomes)


def agree(outcomes: list[PushOutcome], list_: list[Arrival], scripted: dict[str, dict]) -> None:
    """Our list and the simulator's tell the same story about every push."""
    arrived: dict[str, Arrival] = {}
    for arrival in list_:
        sent_as = arrival.header("apns-id")
        assert sent_as is not None
        assert sent_as not in arrived, "sent twice"
        arrived[sent_as] = arrival
    for outcome in outcomes:
        arrival = arrived.pop(outcome.notification_id, None)
        fault = scripted.get(outcome.notification_id, {})
        assert tells_the_truth(outcome, arrival, fault), (outcome, outcome.cause, arrival, fault)
    assert arrived == {}


def tells_the_truth(outcome: PushOutcome, arrival: Arrival | None, fault: dict) -> bool:
    if outcome.code:
        if arrival is None:
            return False
        if arrival.outcome == "answered":
            return (outcome.code, outcome.reason) == (arrival.status, arrival.reason) or (
                outcome.code == arrival.status and (fault.get("pause") or "body" in fault)
            )
        return outcome.code == fault["status"]  # its status had come, its end never did
    if outcome.no_answer is NoAnswer.NEVER_SENT or not outcome.may_have_reached:
        if arrival is None:
            return True
        untouched = arrival.outcome in ("goaway", "reset", "silent", "closed", "abandoned")
        return untouched and not arrival.delivered
    return True  # that it may have reached Apple is all that can be said


def left(ours: set[str]) -> list[tuple[str, list[str]]]:
    """What is still there of these pushes, and of which kinds is what holds it.

    Others' are none of this test's business: a worker of an earlier one may be ending on its thread.
    """
    return [
        (repr(x), [str(type(holder)) for holder in gc.get_referrers(x)])
        for x in gc.get_objects()
        if isinstance(x, PushOutcome | PushRequest) and x.notification_id in ours
    ]


async def test_ten_thousand_pushes_with_faults(sim) -> None:
    chance = dice(20_260_930)
    quick = Timing(
        connect=2.0, ping_busy=0.5, ping_timeout=0.5, body=1.0, stall=0.5, backoff_most=0.2
    )
    blocks, descriptors, totals, ours = [], [], Counter(), set()
    async with rig_on(sim, timing=quick, max_connections=4, warm_connections=2) as rig:
        for _ in range(RUNS):
            began = time.perf_counter()
            counts = await one_run(rig, chance, ours)
            totals += counts
            print(f"{time.perf_counter() - began:.1f} s {dict(counts)}")
            sim.clear()
            assert await rig.sender.warm()
            await until(lambda: not rig.sender.stats().leaving)
            gc.collect()
            blocks.append(sys.getallocatedblocks())
            here = open_descriptors(sim.production_port)
            descriptors.append(here - 2 * len(rig.sender.pool.manager.sockets))
            assert left(ours) == []
        print(f"memory blocks {blocks}, descriptors {descriptors}, {rig.sender.stats()}")
        await rig.settled()
    assert totals["200"] > 0.7 * RUNS * PUSHES
    assert len(totals) >= 9
    assert max(descriptors) - min(descriptors) <= 2
    assert blocks[-1] < blocks[1] * 1.05
