"""What is said once of all pushes that are simply taken is what would be said of each."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.core import breaker as pure
from app.core.breaker import Breaker
from app.core.outcome import Ended
from app.core.push import Environment, Purpose, PushState
from app.core.push_policy import Alert, Attempt, Known, OtherEnvironment, Reaction, Signal, Verdict
from app.infra.histograms import observe_all
from app.infra.ids import least_uuid7
from app.infra.sender import Service
from app.push.breakers import Breakers, Try, is_plain_good
from app.push.claimed import Batch, ClaimedPush
from app.push.deciding import taken
from app.push.moments import Moment, Unix
from app.push.results import DatabaseClock, Result, measure
from app.push.stretch import AT_A_STRETCH, first_stretch, in_turn
from app.senders import SERVICES
from tests.push.test_deciding import ENVIRONMENT, credential
from tests.push.values import NOW, claimed

seconds = st.floats(0, 1e6)
known = st.builds(
    Known,
    seconds,
    earlier=st.dictionaries(
        st.sampled_from(["accepted", "unavailable", "our_bug"]), st.integers(0, 3)
    ),
    registered_at=st.none() | st.integers(0, 2**41),
    token_unchanged=st.booleans(),
    other_environment=st.sampled_from(OtherEnvironment),
    burst=st.booleans(),
    may_retire=st.booleans(),
)


@pytest.mark.parametrize("service", SERVICES, ids=lambda one: one.name)
@given(st.integers(200, 299), known, st.integers(1, 9), seconds, st.floats(0, 0.99))
@example(200, Known(0.0, burst=True, may_retire=False), 3, 9.0, 0.5)
def test_what_follows_is_the_same_for_all_that_are_accepted(
    service: Service, code: int, known: Known, number: int, ended: float, random: float
) -> None:
    once = taken(service.react, code)
    each = service.react(Attempt(number, ended, status=code), known, random)
    assert (once.verdict is Verdict.ACCEPTED) == (each.verdict is Verdict.ACCEPTED)
    if once.verdict is Verdict.ACCEPTED:
        assert each == once
    assert taken(service.react, 200).verdict is Verdict.ACCEPTED


answers = st.builds(
    Reaction,
    st.sampled_from([Verdict.ACCEPTED, Verdict.REFUSED]),
    st.just("row"),
    signal=st.sampled_from([Signal.GOOD, Signal.GOOD, Signal.TROUBLE, Signal.UNEXPLAINED]),
    alert=st.none() | st.sampled_from([Alert.OUR_BUG]),
)
phones = st.sampled_from(["a", "b", "c", "d"])
steps = st.lists(st.tuples(answers | st.booleans(), phones, st.sampled_from([0.0, 0.1, 40.0])))


@given(steps)
def test_breakers_stand_as_if_each_push_had_gone_through_them(steps) -> None:
    one, breakers, now = credential("new"), Breakers(), 0.0
    state = Breaker()
    for step, phone, later in steps:
        now += later
        if isinstance(step, Reaction):
            if is_plain_good(step) and breakers.note_taken(one, ENVIRONMENT, now):
                assert pure.record(state, step, now, subject=phone) == (state, None)
                continue
            state, alarm = pure.record(state, step, now, subject=phone)
            assert breakers.note_reaction(one, ENVIRONMENT, step, now, phone) == alarm
        else:
            state, wait = pure.admit(pure.try_failing(state, now), now, subject=phone, first=False)
            found = breakers.wait(one, ENVIRONMENT, now, Try(uuid4(), phone, first=False))
            assert found == wait
        assert breakers.is_failing(one, ENVIRONMENT, now) == pure.is_failing(state, now)


pushes = st.lists(
    st.tuples(
        st.sampled_from(["taken", "answered", "refused", "asked"]), st.sampled_from([0, 1, 61, 700])
    ),
    max_size=40,
)


@given(pushes)
@example([("taken", 0), ("refused", 61), ("taken", 0), ("taken", 0)] + [("refused", 1)] * 5)
def test_tokens_are_suspected_as_if_each_push_had_been_counted_by_itself(pushes) -> None:
    one, breakers, counted, now = credential("new"), Breakers(), pure.TokenRefusals(), 0.0
    for what, later in [*pushes, ("asked", 0)]:
        now += later
        if what == "asked":
            found = counted.burst(now), counted.may_retire(now)
            assert breakers.suspicion(one, ENVIRONMENT, now) == found
            continue
        counted = counted.note(refused=what == "refused", now=now)
        if what == "taken":
            assert breakers.note_taken(one, ENVIRONMENT, now)
        elif what == "answered":
            breakers.note_answer(one, ENVIRONMENT, 200, None, now)
        else:
            breakers.note_answer(one, ENVIRONMENT, 400, "BadDeviceToken", now)


def test_a_breaker_that_opens_lets_go_of_no_push_that_it_has_given_a_turn() -> None:
    one, breakers = credential("new"), Breakers()
    trouble = Reaction(Verdict.REFUSED, "row", signal=Signal.TROUBLE)
    for number in range(pure.TROUBLES):
        breakers.note_reaction(one, ENVIRONMENT, trouble, 0.0, str(number))
    late = Try(uuid4(), "late", first=True)
    assert breakers.wait(one, ENVIRONMENT, 0.0, Try(uuid4(), "x", first=True)) is None
    turn = breakers.wait(one, ENVIRONMENT, 0.0, late)
    assert turn == pytest.approx(pure.FIRST_ATTEMPTS_EVERY)
    assert breakers.wait(one, ENVIRONMENT, turn, late) is None


@given(st.lists(st.floats(0, 100) | st.sampled_from([0.005, 0.01, 5.0, math.inf]), max_size=30))
def test_a_histogram_of_many_at_once_is_that_of_each(amounts: list[float]) -> None:
    def shown(observe) -> list[str]:
        registry = CollectorRegistry()
        histogram = Histogram("h", "h", buckets=(0.005, 0.01, 0.5, 5), registry=registry)
        observe(histogram)
        lines = generate_latest(registry).decode().splitlines()
        return [line for line in lines if not line.startswith("h_created")]

    def each(histogram: Histogram) -> None:
        for amount in amounts:
            histogram.observe(amount)

    many, one = shown(lambda histogram: observe_all(histogram, amounts)), shown(each)
    assert [x for x in many if "_sum" not in x] == [x for x in one if "_sum" not in x]
    assert float(next(x for x in many if "_sum" in x).split()[1]) == pytest.approx(sum(amounts))


@given(st.integers(-(10**6), 10**9), st.integers(0, 999_999))
@example(12_000, 0)
@example(12_999, 1)
def test_a_batch_says_whole_milliseconds_as_rows_would(after: int, fraction: int) -> None:
    """Of times that a row could hold: whole microseconds."""
    created = datetime(2026, 11, 27, 12, 0, 0, fraction, UTC)
    sent = created + timedelta(microseconds=after)
    batch = Batch(UUID(int=1), UUID(int=2), 1, created, [None], [None])
    batch.take(1, sent.timestamp(), sent.timestamp())
    assert batch.sent == batch.answered == [(sent - created) // timedelta(milliseconds=1)]
    assert batch.taken == 1


def test_an_attempts_id_is_made_once_of_the_time_at_which_it_ended() -> None:
    result = Result(claimed(), PushState.REFUSED, "Ünregistered", made=NOW.timestamp())
    bare = result.laid_bare()
    assert bare.id == result.id == result.id
    assert least_uuid7(NOW) <= result.id < least_uuid7(NOW + timedelta(milliseconds=1))


def test_what_was_written_is_counted_once_and_what_is_locked_not_at_all() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    clock = DatabaseClock(loop)
    now = loop.time()
    ok = Ended(now, now, code=200)
    results = [
        Result(claimed(id=UUID(int=n), created_at=clock.at(now - n)), state, None, None, outcome)
        for n, (state, outcome) in enumerate(
            [
                (PushState.ACCEPTED, ok),
                (PushState.ACCEPTED, ok),
                (PushState.ACCEPTED, ok),
                (PushState.DROPPED, None),
            ]
        )
    ]
    states = {UUID(int=0): PushState.ACCEPTED, UUID(int=1): None, UUID(int=3): PushState.DROPPED}

    def counted(state: PushState) -> float:
        from app.infra.observe import PUSHES

        return PUSHES.labels(Purpose.RING, state, "")._value.get()

    def waited() -> float:
        from app.infra.observe import RING_TO_ACCEPTED

        return sum(one._value for one in RING_TO_ACCEPTED._buckets)

    before = counted(PushState.ACCEPTED), counted(PushState.DROPPED), waited()
    measure(results, states, clock)
    after = counted(PushState.ACCEPTED), counted(PushState.DROPPED), waited()
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 1, 1]


def test_who_was_tried_before_comes_later_and_what_was_missed_last() -> None:
    def push(n: int, **fields: object) -> ClaimedPush:
        return claimed(id=UUID(int=n), **fields)

    pushes = [
        push(1, purpose=Purpose.MISSED),
        push(2, tried=[(503, None)]),
        push(3),
        push(4, environment=Environment.SANDBOX),
    ]
    left, missed = in_turn(pushes)
    assert [one.id.int for one in left] == [3, 4, 2]
    assert [one.id.int for one in missed] == [1]


@pytest.mark.parametrize("claimed", [1, 11, 30, AT_A_STRETCH - 1])
def test_what_is_made_in_one_stretch_is_not_written_in_two(claimed: int) -> None:
    assert first_stretch(claimed) >= claimed


@pytest.mark.parametrize("claimed", [AT_A_STRETCH, AT_A_STRETCH + 1])
def test_of_a_large_claim_the_first_few_are_soon_away(claimed: int) -> None:
    """As a group's first slice is: where each callee has two phones they fill one batch."""
    assert first_stretch(claimed) <= 10 < AT_A_STRETCH


def test_times_that_are_shared_are_worked_out_once_and_others_anew() -> None:
    unix, other = Unix(), NOW + timedelta(seconds=1)
    assert [unix.of(at) for at in (NOW, NOW, other, NOW)] == [
        at.timestamp() for at in (NOW, NOW, other, NOW)
    ]
    assert Moment(NOW.timestamp()).time == NOW
