"""What can befall a single push, and that it befalls nobody else."""

import asyncio

import pytest

from app.apns import NoAnswer
from tests.apns.rig import Metronome, Rig, push_to, raw, rig_on, some_token, until


async def test_refused_stream_is_safe_to_send_again(rig: Rig) -> None:
    rig.sim.fault(reset="REFUSED_STREAM", times=1)
    outcome = await rig.push()
    assert outcome.no_answer is NoAnswer.NEVER_SENT
    assert not outcome.may_have_reached
    await rig.settled()


@pytest.mark.parametrize(
    "code",
    ["CANCEL", "INTERNAL_ERROR", "NO_ERROR", "PROTOCOL_ERROR", "ENHANCE_YOUR_CALM", 0x1234],
)
async def test_a_reset_stream_is_lost_and_its_slot_free(rig: Rig, code: str | int) -> None:
    rig.sim.fault(reset=code, times=3)
    outcomes = await asyncio.gather(*(rig.push() for _ in range(6)))
    lost = [x for x in outcomes if x.no_answer is NoAnswer.LOST]
    assert len(lost) == 3
    assert all(x.may_have_reached and "RST_STREAM" in x.cause for x in lost)
    assert sum(x.code == 200 for x in outcomes) == 3
    await rig.settled()


async def test_a_reset_before_the_request_was_whole(rig: Rig) -> None:
    rig.sim.fault(on="headers", reset="INTERNAL_ERROR", times=1)
    assert (await rig.push()).no_answer is NoAnswer.LOST
    await rig.settled()


@pytest.mark.parametrize("value", ["a\0b", "a\r\nb"])
async def test_of_a_malformed_answer_the_status_is_taken(rig: Rig, value: str) -> None:
    """RFC 9113 section 8.2.1: such a value must not go on to anybody; the stream is reset."""
    rig.sim.fault(headers={"apns-unique-id": value}, status=503, times=1)
    outcome = await rig.push()
    assert (outcome.code, outcome.apns_unique_id) == (503, None)
    await rig.settled()


async def test_refused_at_a_limit_of_one_does_not_wedge(sim) -> None:
    """aioapns's defect 9."""
    sim.connection_fault(settings={"max_concurrent_streams": 1})
    async with rig_on(sim, max_connections=1) as rig:
        sim.fault(reset="REFUSED_STREAM", times=2)
        outcomes = [await rig.push() for _ in range(4)]
        assert [x.no_answer for x in outcomes] == [NoAnswer.NEVER_SENT] * 2 + [None] * 2


async def test_silence_ends_at_the_deadline_with_the_stream_reset(rig: Rig) -> None:
    silent, token = some_token(), rig.live()
    rig.sim.fault(token=silent, silence=True)
    metronome, deadline = Metronome(), rig.loop.time() + 0.4
    quiet, *others = await asyncio.gather(
        rig.push(silent, within=0.4), *(rig.push(token) for _ in range(20))
    )
    metronome.stop()
    assert quiet.no_answer is NoAnswer.OUT_OF_TIME
    assert quiet.may_have_reached
    # a turn that began late may be told of by one that is late too
    assert -0.03 < quiet.ended - deadline < 0.05 + 2 * metronome.worst
    assert {x.code for x in others} == {200}
    await until(lambda: rig.sim.arrivals(silent)[0].outcome in ("abandoned", "silent"))
    assert rig.sim.statistics()["resets_received"] == 1
    await rig.settled()


async def test_silence_to_many_under_steady_traffic_returns_every_slot(sim) -> None:
    """aioapns's defect 2 and 3: each hangs for ever and takes its slot along."""
    sim.set_conduct(max_concurrent_streams=8)
    async with rig_on(sim, max_connections=1) as rig:
        await rig.warm()
        silent = some_token()
        sim.fault(token=silent, silence=True)
        # one deadline: who has a millisecond more would have a slot of those that have ended
        deadline = rig.loop.time() + 0.5
        dead = [rig.push(silent, deadline=deadline) for _ in range(50)]
        alive = [rig.push(within=5.0) for _ in range(50)]
        outcomes = await asyncio.gather(*dead, *alive)
        assert {x.no_answer for x in outcomes[:50]} == {NoAnswer.OUT_OF_TIME}
        assert {x.code for x in outcomes[50:]} == {200}
        # Those that never had a slot say so.
        assert sum(x.may_have_reached for x in outcomes[:50]) <= 8
        await rig.settled()


async def test_an_answer_that_comes_too_late_is_ignored(rig: Rig) -> None:
    slow = rig.live()
    rig.sim.fault(token=slow, delay=0.3, times=1)
    outcome = await rig.push(slow, within=0.1)
    assert outcome.no_answer is NoAnswer.OUT_OF_TIME
    await asyncio.sleep(0.3)
    assert rig.sender.stats().handshakes == 1
    await rig.settled()


async def test_late_frames_of_every_kind_for_a_reset_stream_are_ignored(rig: Rig) -> None:
    slow = rig.live()
    late = raw(
        (1, 4, 1, b"\x88"),  # HEADERS that leave the stream open
        (0, 0, 1, b"abc"),
        (8, 0, 1, b"\0\0\0\x10"),  # WINDOW_UPDATE
        (3, 0, 1, b"\0\0\0\x08"),  # RST_STREAM
    )
    rig.sim.fault(token=slow, silence=True, times=1)
    assert (await rig.push(slow, within=0.1)).no_answer is NoAnswer.OUT_OF_TIME
    rig.sim.fault(raw=late, times=1)
    assert (await rig.push()).code == 200
    assert rig.sender.stats().handshakes == 1
    await rig.settled()


async def test_a_cancelled_caller_harms_nobody(rig: Rig) -> None:
    """aioapns's defect 7: the late answer tears the connection down."""
    slow = rig.live()
    hold = rig.sim.fault(token=slow, hold=True)
    callers = [asyncio.create_task(rig.push(slow, within=5.0)) for _ in range(10)]
    await rig.sim.arrived(10, token=slow)
    for caller in callers[:5]:
        caller.cancel()
    await asyncio.gather(*callers[:5], return_exceptions=True)
    assert all(x.cancelled() for x in callers[:5])
    assert rig.sender.stats().streams == 5
    rig.sim.release(hold)
    assert {x.code for x in await asyncio.gather(*callers[5:])} == {200}
    await until(lambda: rig.sim.statistics()["resets_received"] == 5)
    assert rig.sender.stats().handshakes == 1
    await rig.settled()


async def test_a_caller_may_cancel_while_waiting_for_a_slot(sim) -> None:
    sim.set_conduct(max_concurrent_streams=1)
    async with rig_on(sim, max_connections=1) as rig:
        slow = rig.live()
        hold = sim.fault(token=slow, hold=True, times=1)
        first = asyncio.create_task(rig.push(slow))
        await sim.arrived(1, token=slow)
        second = asyncio.create_task(rig.push())
        await until(lambda: rig.sender.stats().waiting == 1)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert rig.sender.stats().waiting == 0
        sim.release(hold)
        assert (await first).code == 200
        await rig.settled()


async def test_a_caller_may_cancel_while_connecting(sim) -> None:
    sim.connection_fault(hold=True)
    async with rig_on(sim) as rig:
        caller = asyncio.create_task(rig.push(within=20.0))
        await until(lambda: rig.sender.stats().waiting == 1)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await rig.settled()


async def test_abandoning_without_a_task(rig: Rig) -> None:
    slow = rig.live()
    rig.sim.fault(token=slow, silence=True)
    flights = [rig.sender.start(push_to(slow), rig.loop.time() + 5) for _ in range(3)]
    await rig.sim.arrived(3, token=slow)
    for flight in flights:
        rig.sender.abandon(flight)
        rig.sender.abandon(flight)
    await rig.settled()


async def test_a_deadline_in_the_past_reaches_nobody(rig: Rig) -> None:
    token = rig.live()
    outcome = await rig.push(token, within=-1.0)
    assert outcome.no_answer is NoAnswer.OUT_OF_TIME
    assert not outcome.may_have_reached
    assert rig.sim.arrivals(token) == []


OK = b"\x88"
GONE = b"\x48\x03410"
REASON = b'{"reason":"Unregistered","timestamp":12}'
LITERAL = b"\x00\x01a\x01b"


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        pytest.param([(1, 0x4, 1, GONE), (0, 0x1, 1, REASON)], 410, "Unregistered", id="plain"),
        pytest.param(
            [(1, 0xC, 1, b"\x05" + GONE + b"\0" * 5), (0, 0x9, 1, b"\x03" + REASON + b"\0" * 3)],
            410,
            "Unregistered",
            id="padded",
        ),
        pytest.param(
            [(1, 0x24, 1, b"\0\0\0\0\x10" + GONE), (0, 0x1, 1, REASON)],
            410,
            "Unregistered",
            id="with priority",
        ),
        pytest.param(
            [(1, 0x4, 1, GONE), (0, 0, 1, REASON), (1, 0x5, 1, LITERAL)],
            410,
            "Unregistered",
            id="trailers",
        ),
        pytest.param(
            [(1, 0x4, 1, b"\x08\x03100"), (1, 0x4, 1, b"\x08\x03103"), (1, 0x5, 1, OK)],
            200,
            None,
            id="informational first",
        ),
        pytest.param(
            [(1, 0x0, 1, GONE), (9, 0x0, 1, LITERAL), (9, 0x4, 1, b""), (0, 0x1, 1, REASON)],
            410,
            "Unregistered",
            id="continuation",
        ),
        pytest.param(
            [(1, 0x4, 1, GONE), *[(0, 0, 1, b"")] * 30, (0, 0, 1, REASON), (0, 0x1, 1, b"")],
            410,
            "Unregistered",
            id="empty frames",
        ),
        pytest.param(
            [(0xFA, 0xFF, 1, b"grease"), (2, 0, 1, b"\0" * 5), (1, 0x5, 1, OK)],
            200,
            None,
            id="unknown frames",
        ),
    ],
)
async def test_answers_of_unusual_form(rig: Rig, frames, code: int, reason: str | None) -> None:
    rig.sim.fault(raw=raw(*frames), silence=True, times=1)
    outcome = await rig.push()
    assert (outcome.code, outcome.reason) == (code, reason)
    assert rig.sender.stats().handshakes == 1


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([(1, 0x5, 1, LITERAL)], id="no status"),
        pytest.param([(1, 0x4, 1, b"\x08\x03abc")], id="a status of letters"),
        pytest.param([(1, 0x4, 1, b"\x08\x0220")], id="a status of two digits"),
        pytest.param([(1, 0x4, 1, OK + OK)], id="two statuses"),
        pytest.param([(0, 0x1, 1, b"{}")], id="a body without headers"),
        pytest.param([(1, 0x5, 1, b"\x08\x03100")], id="informational and the end"),
    ],
)
async def test_a_malformed_answer_costs_its_stream_only(rig: Rig, frames) -> None:
    rig.sim.fault(raw=raw(*frames), silence=True, times=1)
    outcome = await rig.push()
    assert outcome.no_answer is NoAnswer.LOST
    assert outcome.may_have_reached
    assert rig.sender.stats().handshakes == 1
    await until(lambda: rig.sim.statistics()["resets_received"] == 1)


async def test_trailers_that_do_not_end_leave_the_status_standing(rig: Rig) -> None:
    rig.sim.fault(raw=raw((1, 4, 1, GONE), (1, 4, 1, LITERAL)), silence=True, times=1)
    assert (await rig.push()).code == 410
