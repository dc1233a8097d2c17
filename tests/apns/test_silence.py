"""What is silent costs a moment, never the ring: each try has a limit of its own."""

import asyncio
from dataclasses import replace

import pytest

from app.apns import NoAnswer
from tests.apns.rig import QUICK, Rig, provider_key, rig_on, some_token, until

SHORT = replace(QUICK, answer=0.4)


@pytest.fixture
async def short(sim):
    async with rig_on(sim, timing=SHORT) as made:
        yield made


async def test_a_stream_that_is_never_answered_is_lost_after_the_limit(short: Rig) -> None:
    """On a connection that answers PINGs, and the next goes by another."""
    assert (await short.push()).code == 200
    short.sim.fault(silence=True, times=1)
    outcome = await short.push(within=20.0)
    assert outcome.no_answer is NoAnswer.LOST
    assert outcome.may_have_reached
    assert outcome.cause == "no answer within 0.4 s"
    assert 0.35 < outcome.ended - outcome.started < 2.0
    again = await short.push()
    assert (again.code, again.connection) == (200, 2)
    await short.settled()
    assert short.sim.statistics()["resets_received"] == 1


async def test_one_silent_phone_costs_the_others_no_connection(short: Rig) -> None:
    silent, token = some_token(), short.live()
    short.sim.fault(token=silent, silence=True)
    lost = asyncio.create_task(short.push(silent, within=20.0))
    while not lost.done():
        assert (await short.push(token)).code == 200
        await asyncio.sleep(0.02)
    assert (await lost).no_answer is NoAnswer.LOST
    first = short.sender.pool.manager.connections[0]
    assert first.retired is None
    await until(lambda: short.sender.stats().connections == 2)
    assert (await short.push()).connection == 2
    await short.settled()


async def test_first_streams_of_a_fresh_key_that_are_swallowed_cost_a_moment(sim) -> None:
    sim.fault(silence=True, times=4)
    async with rig_on(sim, provider_key(sim), timing=replace(SHORT, stall=2.0)) as rig:
        outcomes = await asyncio.gather(*(rig.push(within=20.0) for _ in range(100)))
        assert sum(x.code == 200 for x in outcomes) == 96
        lost = [x for x in outcomes if x.code != 200]
        assert {x.no_answer for x in lost} == {NoAnswer.LOST}
        assert max(x.ended - x.started for x in outcomes) < 5.0
        await rig.settled()


async def test_the_deadline_comes_before_the_limit(short: Rig) -> None:
    short.sim.fault(silence=True, times=1)
    outcome = await short.push(within=0.2)
    assert outcome.no_answer is NoAnswer.OUT_OF_TIME
    await short.settled()


@pytest.mark.parametrize(
    "fault",
    [
        {"close": "tls"},
        {"close": "rst"},
        {"silent": True},
        {"goaway": {"close": "now"}},
        {"certificate": "untrusted"},
        {"alpn": False},
        {"reset": True},
        {"refuse": True},
    ],
    ids=lambda fault: next(iter(fault)),
)
async def test_what_cannot_begin_is_told_so_that_another_way_can_be_tried(sim, fault) -> None:
    """Closed after TLS, GOAWAY without a reason, silence, alerts: never sent, after a moment."""
    sim.connection_fault(**fault)
    async with rig_on(sim, timing=replace(QUICK, stall=0.5)) as rig:
        outcomes = await asyncio.gather(*(rig.push(within=20.0) for _ in range(3)))
        assert {x.no_answer for x in outcomes} == {NoAnswer.NEVER_SENT}
        assert not any(x.may_have_reached for x in outcomes)
        assert max(x.ended - x.started for x in outcomes) < 2.0
        sim.end_fault()
        while (await rig.push(within=10.0)).code != 200:
            pass  # what is still being opened in vain has its own time-out


async def test_who_waits_while_others_begin_keeps_waiting(sim) -> None:
    """Slots are few, answers slow: nobody is told that it was never sent while the queue moves."""
    sim.set_conduct(max_concurrent_streams=1)
    sim.fault(delay=0.1)
    async with rig_on(sim, max_connections=1, timing=replace(QUICK, stall=0.4)) as rig:
        outcomes = await asyncio.gather(*(rig.push(within=10.0) for _ in range(15)))
        assert {x.code for x in outcomes} == {200}
        assert max(x.ended - x.started for x in outcomes) > 1.0
