"""Pushes that are handed over together fare as each of them would by itself."""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.apns import NoAnswer, PendingPush, PushRequest
from app.infra.boottime import boottime
from tests.apns.rig import TOPIC, Rig, checked, push_to, rig_on, until
from tests.apns.test_headers import pushes
from tests.chance import dice, often

FIELDS = sorted({name for kind in PushRequest.__mro__ for name in getattr(kind, "__slots__", ())})
WHAT = r"apns-id|device token"
words = st.text(max_size=70) | st.text("0123456789abcdef", min_size=64, max_size=64)


def told(request: PushRequest) -> list[object]:
    """All that there is in it."""
    assert not hasattr(request, "__dict__")
    return [getattr(request, name) for name in FIELDS]


@given(pushes, words, words | st.uuids().map(str), st.binary(max_size=9))
@example(push_to("ab"), "a" * 63 + " ", "b" * 36, b"{}")
@example(push_to("ab"), "é" * 64, "b" * 36, b"{}")
@example(push_to("ab"), "a" * 64, "b" * 35 + "\n", b"{}")
@example(push_to("ab"), "a" * 512, "b" * 126, b"{}")
@example(push_to("ab"), "a", "b" * 127, b"{}")
@example(push_to("ab"), "", "", b"{}")
def test_another_of_a_request_is_as_one_that_is_made_by_itself(
    first: PushRequest, token: str, name: str, payload: bytes
) -> None:
    def by_itself() -> PushRequest:
        return PushRequest(
            token,
            payload,
            topic=first.apns_topic or "",
            notification_id=name,
            push_type=first.push_type or "",
            priority=first.priority,
            expiration=first.expiration,
            collapse_key=first.collapse_key,
        )

    if not name:  # by itself it would be given one
        with pytest.raises(ValueError, match=WHAT):
            first.another(token, payload, name)
        return
    try:
        made = by_itself()
    except ValueError:
        with pytest.raises(ValueError, match=WHAT):
            first.another(token, payload, name)
    else:
        assert told(first.another(token, payload, name)) == told(made)
        assert made.path.endswith(token.encode())


def requests(rig: Rig, count: int, size: int = 100) -> list[PushRequest]:
    made = [
        push_to(rig.live(), payload=b'{"aps":{},"x":"%b"}' % (b"x" * size)) for _ in range(count)
    ]
    assert all(one.apns_topic == TOPIC for one in made)
    return made


async def ended(rig: Rig, some: list[PendingPush], deadline: float) -> list[int]:
    outcomes = await asyncio.gather(*(one.future for one in some))
    for one, outcome in zip(some, outcomes, strict=True):
        checked(outcome, one.request, deadline, grace=60.0)
    await until(lambda: not rig.sender.pool.in_flight)
    return [outcome.code for outcome in outcomes]


async def test_whatever_the_server_takes_at_once_each_arrives_once(sim) -> None:
    chance = dice()
    for _ in range(often(6, 60)):
        sim.set_conduct(max_concurrent_streams=chance.choice([1, 7, 40, 1_000]))
        async with rig_on(sim, max_connections=chance.choice([1, 3])) as rig:
            narrow, window = rig.live(), chance.choice([50, 99, 65_535])
            sim.fault(token=narrow, times=1, settings={"initial_window_size": window})
            assert (await rig.push(narrow)).code == 200
            for _ in range(3):
                some = requests(rig, chance.choice([1, 2, 9, 60]), chance.choice([40, 2_000]))
                deadline = rig.loop.time() + 20
                begun = rig.sender.start_all(some, deadline, boottime() + 20)
                alone = rig.sender.start(push_to(rig.live()), deadline, boottime() + 20)
                assert await ended(rig, [*begun, alone], deadline) == [200] * (len(some) + 1)
                assert [len(rig.sim.arrivals(one.device_token)) for one in some] == [1] * len(some)
            await rig.settled()


async def test_they_leave_in_their_order_and_after_who_waits(sim) -> None:
    sim.set_conduct(max_concurrent_streams=1)
    async with rig_on(sim, max_connections=1) as rig:
        first = rig.sender.start(push_to(rig.live()), rig.loop.time() + 5)
        waits = rig.sender.start(push_to(rig.live()), rig.loop.time() + 5)
        begun = rig.sender.start_all(requests(rig, 4), rig.loop.time() + 5)
        everybody = [first, waits, *begun]
        await ended(rig, everybody, rig.loop.time() + 5)
        streams = [one.stream for one in everybody]
        assert streams == sorted(streams)
        await rig.settled()


async def test_none_begins_of_which_too_old_is_known_and_each_may_be_renewed(rig: Rig) -> None:
    assert (await rig.push()).code == 200
    some = requests(rig, 3)
    begun = rig.sender.start_all(some, rig.loop.time() + 5, boottime())
    assert [one.stream for one in begun] == [0, 0, 0]
    assert all(rig.sender.is_held_back(one) for one in begun)
    rig.sender.abandon(begun[0])
    for one in begun[1:]:
        rig.sender.renew(one, boottime() + 1)
    assert await ended(rig, begun[1:], rig.loop.time() + 5) == [200, 200]
    assert [len(rig.sim.arrivals(one.device_token)) for one in some] == [0, 1, 1]
    await rig.settled()


async def test_each_has_its_end_where_there_is_no_answer_no_time_and_no_sender(rig: Rig) -> None:
    assert (await rig.push()).code == 200
    some = requests(rig, 3)
    rig.sim.fault(token=some[1].device_token, silence=True)
    begun = rig.sender.start_all(some, rig.loop.time() + 0.3)
    outcomes = [await one.future for one in begun]
    assert [one.code for one in outcomes] == [200, 0, 200]
    assert outcomes[1].no_answer is NoAnswer.OUT_OF_TIME
    late = rig.sender.start_all(requests(rig, 2), rig.loop.time())
    assert {(await one.future).no_answer for one in late} == {NoAnswer.OUT_OF_TIME}
    assert rig.sender.start_all([], rig.loop.time() + 1) == []
    await rig.settled()
    await rig.sender.drain(rig.loop.time() + 1)
    never = rig.sender.start_all(requests(rig, 2), rig.loop.time() + 1)
    assert {(await one.future).no_answer for one in never} == {NoAnswer.NEVER_SENT}
