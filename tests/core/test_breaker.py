"""The circuit breaker, its alarms, and the burst of refused tokens, with a made-up clock."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.breaker import (
    ALARM_AGAIN,
    BURST,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    TROUBLES,
    WINDOW,
    Breaker,
    Phase,
    TokenRefusals,
    admit,
    record,
)
from app.core.reaction import Alert, NoAnswer, Reaction, react


def answer(status: int, reason: str | None = None, **facts) -> Reaction:
    kept = {"attempt": 1, "now": 0.0, "deadline": 45.0, "random": 0.5} | facts
    return react(status, reason, **kept)


GOOD = answer(200)
TROUBLE = answer(503)
REFUSED = answer(403, "InvalidProviderToken")


def after(breaker: Breaker, *reactions: Reaction, now: float = 0.0) -> Breaker:
    for reaction in reactions:
        breaker, _ = record(breaker, reaction, now)
    return breaker


def test_a_new_one_lets_pushes_pass() -> None:
    assert admit(Breaker(), 0.0) == (Breaker(), None)


def test_good_answers_change_nothing() -> None:
    assert after(Breaker(), GOOD, answer(410)) == Breaker()


def test_trouble_in_a_row_opens_it() -> None:
    nearly = after(Breaker(), *[TROUBLE] * (TROUBLES - 1))
    assert nearly.phase is Phase.CLOSED
    opened = after(nearly, TROUBLE)
    assert opened.phase is Phase.OPEN
    assert admit(opened, 0.1) == (opened, pytest.approx(FIRST_PAUSE - 0.1))


def test_a_good_answer_between_keeps_it_closed() -> None:
    assert after(Breaker(), *([TROUBLE] * (TROUBLES - 1) + [GOOD]) * 5) == Breaker()


def test_one_probe_passes_and_its_success_closes_it() -> None:
    opened = after(Breaker(), *[TROUBLE] * TROUBLES)
    probing, wait = admit(opened, FIRST_PAUSE)
    assert (probing.phase, wait) == (Phase.PROBING, None)
    assert admit(probing, FIRST_PAUSE)[1] is not None  # the second has to wait
    assert after(probing, GOOD) == Breaker()


def test_failing_probes_double_the_pause_up_to_a_limit() -> None:
    breaker, now, pauses = after(Breaker(), *[TROUBLE] * TROUBLES), 0.0, []
    for _ in range(6):
        now = breaker.until
        breaker, wait = admit(breaker, now)
        assert wait is None
        breaker = after(breaker, TROUBLE, now=now)
        pauses.append(breaker.until - now)
    assert pauses == pytest.approx([1.0, 2.0, 4.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE])


def test_a_probe_that_never_ends_is_followed_by_another() -> None:
    probing, _ = admit(after(Breaker(), *[TROUBLE] * TROUBLES), FIRST_PAUSE)
    again, wait = admit(probing, probing.until)
    assert (again.phase, wait) == (Phase.PROBING, None)


@pytest.mark.parametrize(
    "reaction",
    [REFUSED, answer(400, "TopicDisallowed"), answer(403, "BadCertificate")],
)
def test_a_refused_credential_stays_stopped(reaction: Reaction) -> None:
    stopped = after(Breaker(), reaction)
    assert stopped.phase is Phase.STOPPED
    assert admit(stopped, 1e9) == (stopped, math.inf)
    assert after(stopped, GOOD, TROUBLE).phase is Phase.STOPPED


def test_an_alarm_is_raised_once_and_again_after_an_hour() -> None:
    skew = answer(403, "ExpiredProviderToken", provider_token_age=60)
    breaker, raised = Breaker(), []
    for second in range(0, int(ALARM_AGAIN) + 1, 10):
        breaker, alarm = record(breaker, skew, float(second))
        raised.append(alarm)
    assert raised[0] is Alert.CLOCK_SKEW
    assert raised[-1] is Alert.CLOCK_SKEW
    assert raised[1:-1] == [None] * (len(raised) - 2)


def test_different_alarms_do_not_hide_each_other() -> None:
    breaker, first = record(Breaker(), REFUSED, 0.0)
    breaker, second = record(breaker, answer(404), 1.0)
    assert (first, second) == (Alert.CREDENTIAL_REFUSED, Alert.OUR_BUG)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [GOOD, TROUBLE, answer(0, no_answer=NoAnswer.LOST), answer(429), answer(404)]
            ),
            st.floats(0, 2),
        ),
        max_size=200,
    )
)
def test_it_always_lets_a_push_pass_soon(steps) -> None:
    breaker, now = Breaker(), 0.0
    for reaction, passed in steps:
        now += passed
        breaker, wait = admit(breaker, now)
        assert wait is None or 0 < wait <= LONGEST_PAUSE
        breaker, _ = record(breaker, reaction, now)
    _, wait = admit(breaker, now + LONGEST_PAUSE)
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


def test_what_is_old_counts_no_more_and_takes_no_room() -> None:
    refusals = TokenRefusals()
    for minute in range(500):
        refusals = refusals.note(refused=True, now=minute * 60.0)
    assert len(refusals.slices) <= WINDOW // 60 + 1
    assert not refusals.burst(500 * 60.0 + WINDOW)
