"""No stream is opened for a push of which what is known has become too old."""

import asyncio

from app.apns import NoAnswer, PendingPush
from app.infra.boottime import boottime
from tests.apns.rig import Rig, holding, push_to, rig_on


def start(rig: Rig, token: str, start_by: float) -> PendingPush:
    return rig.sender.start(push_to(token), rig.loop.time() + 5, start_by)


async def test_what_may_not_begin_waits_until_it_is_renewed(rig: Rig) -> None:
    token = rig.live()
    flight = start(rig, token, boottime())
    assert (await rig.push()).code == 200  # others pass it
    assert not flight.stream
    assert rig.sender.stats().waiting == 1
    rig.sender.renew(flight, boottime() + 1)
    assert (await flight.future).code == 200
    rig.sender.renew(flight, boottime() + 1)
    await rig.settled()
    assert len(rig.sim.arrivals(token)) == 1


async def test_it_is_looked_at_when_a_slot_falls_free_not_when_it_was_asked_for(sim) -> None:
    sim.set_conduct(max_concurrent_streams=1)
    async with rig_on(sim, max_connections=1) as rig:
        fault, first = await holding(rig, 1)
        tokens = [rig.live() for _ in range(3)]
        late = start(rig, tokens[0], boottime() + 0.05)
        fresh = start(rig, tokens[1], boottime() + 5)
        renewed = start(rig, tokens[2], boottime() + 0.05)
        await asyncio.sleep(0.06)
        rig.sender.renew(renewed, boottime() + 5)
        sim.release(fault)
        await asyncio.gather(*first)
        assert (await fresh.future).code == 200
        assert (await renewed.future).code == 200
        assert not late.stream
        rig.sender.abandon(late)
        await rig.settled()
        assert [len(sim.arrivals(token)) for token in tokens] == [0, 1, 1]


async def test_one_that_is_never_renewed_ends_at_its_deadline_or_with_its_sender(rig: Rig) -> None:
    token = rig.live()
    assert (await rig.push()).code == 200
    flight = rig.sender.start(push_to(token), rig.loop.time() + 0.1, boottime())
    outcome = await flight.future
    assert outcome.no_answer is NoAnswer.OUT_OF_TIME
    assert not outcome.may_have_reached
    flight = start(rig, token, boottime())
    await rig.sender.drain(rig.loop.time() + 1)
    assert (await flight.future).no_answer is NoAnswer.NEVER_SENT
    assert not rig.sim.arrivals(token)


async def test_what_was_written_before_the_process_froze_is_not_sent_after_it(rig: Rig) -> None:
    token = rig.live()
    assert (await rig.push()).code == 200
    flight = start(rig, token, boottime() + 5)
    assert flight.connection is not None
    flight.connection.streams.flush_by = boottime() - 1  # as after a SIGSTOP within this turn
    outcome = await flight.future
    assert outcome.no_answer is NoAnswer.NEVER_SENT
    assert not outcome.may_have_reached
    await rig.settled()
    assert not rig.sim.arrivals(token)
