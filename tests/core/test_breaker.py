"""The circuit breaker, its alarms, and the burst of refused tokens, with a made-up clock."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.apns.policy import react
from app.core.breaker import (
    ALARM_AGAIN,
    BURST,
    FAILING,
    FAILING_FOR,
    FIRST_ATTEMPTS_EVERY,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    PROBES,
    TROUBLES,
    WINDOW,
    Breaker,
    Phase,
    TokenRefusals,
    admit,
    is_failing,
    record,
    try_failing,
)
from app.core.push_policy import Alert, Attempt, Known, NoAnswer, Reaction


def answer(status: int, reason: str | None = None, **facts) -> Reaction:
    return react(Attempt(1, 0.0, status, reason, **facts), Known(45.0), 0.5)


GOOD = answer(200)
TROUBLE = answer(503)
SILENCE = answer(0, no_answer=NoAnswer.LOST)
REFUSED = answer(403, "InvalidProviderToken")


def after(
    breaker: Breaker, *reactions: Reaction, now: float = 0.0, subject: str | None = None
) -> Breaker:
    """Each about a phone of its own, unless they are all about one `subject`."""
    for number, reaction in enumerate(reactions):
        breaker, _ = record(breaker, reaction, now, subject=subject or f"phone {number}")
    return breaker


def opened() -> Breaker:
    return after(Breaker(), *[TROUBLE] * TROUBLES)


def retry(breaker: Breaker, now: float, phone: str = "phone 0") -> tuple[Breaker, float | None]:
    return admit(breaker, now, subject=phone, first=False)


def first(breaker: Breaker, now: float, **more) -> tuple[Breaker, float | None]:
    return admit(breaker, now, subject="new", first=True, **more)


def test_a_new_one_lets_pushes_pass() -> None:
    assert first(Breaker(), 0.0) == retry(Breaker(), 0.0) == (Breaker(), None)


def test_good_answers_change_nothing() -> None:
    assert after(Breaker(), GOOD, answer(410)) == Breaker()


def test_trouble_with_many_opens_it() -> None:
    nearly = after(Breaker(), *[TROUBLE] * (TROUBLES - 1))
    assert nearly.phase is Phase.CLOSED
    opened = after(nearly, TROUBLE, subject="the last")
    assert opened.phase is Phase.OPEN
    assert retry(opened, 0.1) == (opened, pytest.approx(FIRST_PAUSE - 0.1))


def test_trouble_with_one_phone_is_that_phones() -> None:
    assert after(Breaker(), *[TROUBLE] * 1_000, subject="one").phase is Phase.CLOSED
    three = [record] * 3
    breaker = Breaker()
    for _ in range(200):
        for number, step in enumerate(three):
            breaker, _ = step(breaker, TROUBLE, 0.0, subject=str(number))
    assert breaker.phase is Phase.CLOSED
    assert len(breaker.troubled) == 3


def test_a_good_answer_between_keeps_it_closed() -> None:
    assert after(Breaker(), *([TROUBLE] * (TROUBLES - 1) + [GOOD]) * 5) == Breaker()


def test_first_attempts_pass_an_open_one_at_a_limited_rate() -> None:
    breaker, waits = opened(), []
    for _ in range(4):
        breaker, wait = first(breaker, 0.0)
        waits.append(wait)
    every = FIRST_ATTEMPTS_EVERY
    assert waits == [None, pytest.approx(every), pytest.approx(2 * every), pytest.approx(3 * every)]
    # Whoever has waited for a turn has it, however many have come since.
    assert first(breaker, every, its_turn=True) == (breaker, None)
    assert first(breaker, 10.0)[1] is None


def test_probes_pass_and_the_success_of_one_closes_it() -> None:
    probing, wait = retry(opened(), FIRST_PAUSE)
    assert (probing.phase, wait) == (Phase.PROBING, None)
    assert retry(probing, FIRST_PAUSE)[1] is not None  # the same phone's next has to wait
    assert after(probing, GOOD) == Breaker()


def test_one_bad_phones_retry_is_never_the_only_probe() -> None:
    breaker, wait = retry(opened(), FIRST_PAUSE, "bad")
    breaker = after(breaker, TROUBLE, now=FIRST_PAUSE, subject="bad")
    assert breaker.phase is Phase.PROBING
    for number in range(1, PROBES):
        breaker, wait = retry(breaker, FIRST_PAUSE, f"phone {number}")
        assert wait is None
    assert retry(breaker, FIRST_PAUSE, "one more")[1] is not None


def test_failing_probes_double_the_pause_up_to_a_limit() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(6):
        now = breaker.until
        for number in range(PROBES):
            breaker, wait = retry(breaker, now, f"phone {number}")
            assert wait is None
        for number in range(PROBES):
            breaker = after(breaker, TROUBLE, now=now, subject=f"phone {number}")
        assert breaker.phase is Phase.OPEN
        pauses.append(breaker.until - now)
    assert pauses == pytest.approx([1.0, 2.0, 4.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE])


def test_probes_that_never_end_are_followed_by_others() -> None:
    probing, _ = retry(opened(), FIRST_PAUSE)
    again, wait = retry(probing, probing.until)
    assert (again.phase, wait) == (Phase.PROBING, None)


@pytest.mark.parametrize(
    "reaction",
    [REFUSED, answer(400, "TopicDisallowed"), answer(403, "BadCertificate")],
)
def test_a_refused_credential_stays_stopped(reaction: Reaction) -> None:
    stopped = after(Breaker(), reaction)
    assert stopped.phase is Phase.STOPPED
    assert is_failing(stopped, 0.0)
    assert first(stopped, 1e9) == retry(stopped, 1e9) == (stopped, math.inf)
    assert after(stopped, GOOD, TROUBLE).phase is Phase.STOPPED


@pytest.mark.parametrize("reaction", [SILENCE, answer(403, "NeverHeardOf")])
class TestFailing:
    def test_without_a_reason_it_fails_and_is_told_once(self, reaction: Reaction) -> None:
        breaker, alarms = Breaker(), []
        for number in range(FAILING + 2):
            assert is_failing(breaker, 0.0) == (number >= FAILING)
            breaker, alarm = record(breaker, reaction, 0.0, subject=str(number))
            alarms.append(alarm)
        assert alarms.count(Alert.CREDENTIAL_FAILING) == (1 if reaction is SILENCE else 0)
        assert breaker.phase is Phase.CLOSED  # where there is no other, it serves

    def test_one_phones_silence_proves_nothing(self, reaction: Reaction) -> None:
        assert not is_failing(after(Breaker(), *[reaction] * 50, subject="one"), 0.0)

    def test_any_answer_ends_it(self, reaction: Reaction) -> None:
        failing = after(Breaker(), *[reaction] * FAILING)
        for other in (GOOD, TROUBLE, answer(429), answer(400, "BadDeviceToken")):
            assert not is_failing(after(failing, other), 0.0)

    def test_it_is_tried_again_after_a_while_by_one(self, reaction: Reaction) -> None:
        failing = after(Breaker(), *[reaction] * FAILING)
        assert not is_failing(failing, FAILING_FOR)
        assert is_failing(try_failing(failing, FAILING_FOR), FAILING_FOR + 1)


def test_an_alarm_is_raised_once_and_again_after_an_hour() -> None:
    skew = answer(403, "ExpiredProviderToken", provider_token_age=60)
    breaker, raised = Breaker(), []
    for second in range(0, int(ALARM_AGAIN) + 1, 10):
        breaker, alarm = record(breaker, skew, float(second), subject="one")
        raised.append(alarm)
    assert raised[0] is Alert.CLOCK_SKEW
    assert raised[-1] is Alert.CLOCK_SKEW
    assert raised[1:-1] == [None] * (len(raised) - 2)


def test_different_alarms_do_not_hide_each_other() -> None:
    breaker, first = record(Breaker(), REFUSED, 0.0, subject="one")
    breaker, second = record(breaker, answer(404), 1.0, subject="one")
    assert (first, second) == (Alert.CREDENTIAL_REFUSED, Alert.OUR_BUG)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([GOOD, TROUBLE, SILENCE, answer(429), answer(404)]),
            st.floats(0, 2),
            st.integers(0, 40).map(str),
            st.booleans(),
        ),
        max_size=200,
    )
)
def test_it_always_lets_a_push_pass_soon(steps) -> None:
    breaker, now = Breaker(), 0.0
    for reaction, passed, phone, tried in steps:
        now += passed
        breaker, wait = admit(breaker, now, subject=phone, first=not tried)
        assert wait is None or 0 < wait <= LONGEST_PAUSE + 200 * FIRST_ATTEMPTS_EVERY
        breaker, _ = record(breaker, reaction, now, subject=phone)
    _, wait = admit(breaker, now + 200 * FIRST_ATTEMPTS_EVERY, subject="new", first=True)
    assert wait is None
    _, wait = admit(breaker, now + LONGEST_PAUSE, subject="phone", first=False)
    assert wait is None


def counted(*pushes: bool, now: float = 0.0) -> TokenRefusals:
    refusals = TokenRefusals()
    for refused in pushes:
        refusals = refusals.note(refused=refused, now=now)
    return refusals


def test_a_wrong_credential_retires_nobody_from_the_first_refusal_on() -> None:
    refusals = TokenRefusals()
    for _ in range(1_000):
        refusals = refusals.note(refused=True, now=30.0)
        assert not refusals.may_retire(30.0)
    assert refusals.burst(30.0)


def test_a_few_dead_phones_among_live_ones_are_believed() -> None:
    refusals = counted(*[False] * 10, *[True] * 4)
    assert refusals.may_retire(0.0)
    assert not refusals.burst(0.0)


def test_a_burst_after_good_times_is_seen() -> None:
    refusals = counted(*[False] * 3, *[True] * BURST)
    assert refusals.burst(0.0)
    assert not refusals.may_retire(0.0)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 400)), max_size=60))
def test_the_counts_are_those_of_the_last_ten_minutes(pushes) -> None:
    refusals, told, now = TokenRefusals(), [], 0.0
    for refused, later in pushes:
        now += later
        refusals = refusals.note(refused=refused, now=now)
        told.append((int(now // 60), refused))
    latest = [one for one in told if one[0] > int(now // 60) - 10]
    assert {minute for minute, _, _ in refusals.slices} == {minute for minute, _ in latest}
    for minute, bad, good in refusals.slices:
        assert bad == latest.count((minute, True))
        assert good == latest.count((minute, False))


def test_what_is_old_counts_no_more_and_takes_no_room() -> None:
    refusals = TokenRefusals()
    for minute in range(500):
        refusals = refusals.note(refused=True, now=minute * 60.0)
    assert len(refusals.slices) <= WINDOW // 60 + 1
    assert not refusals.burst(500 * 60.0 + WINDOW)
