"""When webhooks are tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.delivery import DeliveryError
from app.core.retry_after import LONGEST, seconds_asked
from app.core.webhook_retry import (
    LONGEST_REST,
    LONGEST_RETRY_AFTER,
    TRIED_FOR,
    Answer,
    next_try,
    rest,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
FAILED = Answer(500, DeliveryError.REFUSED)


def tried(answer: Answer = FAILED, attempts: int = 1, age: float = 0) -> float | None:
    created = NOW - timedelta(seconds=age)
    at = next_try(answer, attempts=attempts, created_at=created, now=NOW, random=0.5)
    return None if at is None else (at - NOW).total_seconds()


def test_waits_grow() -> None:
    waits = [tried(attempts=n) for n in range(1, 12)]
    assert waits[:3] == [5, 30, 120]
    assert waits == sorted(waits, key=float)
    assert waits[-1] == waits[-2] == 21_600


def test_a_day_is_covered_and_then_it_is_given_up() -> None:
    age, attempts = 0.0, 1
    while (wait := tried(attempts=attempts, age=age)) is not None:
        age, attempts = age + wait, attempts + 1
    assert age >= TRIED_FOR.total_seconds()
    assert 8 <= attempts <= 14


def test_retry_after_is_heeded_within_an_hour() -> None:
    assert tried(Answer(429, DeliveryError.REFUSED, retry_after=60)) == 60
    assert tried(Answer(429, DeliveryError.REFUSED, retry_after=1)) == 5
    assert tried(Answer(503, DeliveryError.REFUSED, retry_after=1e9)) == 3_600


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_taken(status: int) -> None:
    assert Answer(status).ok


@pytest.mark.parametrize("status", [None, 101, 302, 400, 410, 500])
def test_not_taken(status: int | None) -> None:
    assert not Answer(status).ok


def test_gone_is_given_up_at_once() -> None:
    assert tried(Answer(410, DeliveryError.REFUSED)) is None


@given(st.integers(0, 10_000))
def test_rests_are_bounded(failures: int) -> None:
    assert 0 <= rest(failures) <= LONGEST_REST
    assert (rest(failures) == 0) == (failures < 3)
    assert rest(failures) <= rest(failures + 1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0), ("17", 17), (" 17\t", 17), ("0000000000017", 17), ("1" + "0" * 400, LONGEST), ("9" * 9, LONGEST),
        ("Sat, 21 Nov 2026 00:01:00 GMT", 60), ("Saturday, 21-Nov-26 00:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 00:01:00 -0000", 60), ("Fri, 20 Nov 2020 00:00:00 GMT", 0),
        ("Sat, 21 Nov 2026 01:01:00 +0100", 60), ("Sun, 21 Nov 2027 00:00:00 GMT", LONGEST), ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("", None), ("-5", None), ("1.5", None), ("1e3", None), ("5, 10", None), ("soon", None), ("\x00", None),
        ("²", None), ("+5", None), ("nan", None), ("Sat, 99 Nov 2026 25:61:61 GMT", None),
        ("Sat, 21 Nov 2026 00:01:00 +9999999999", None), ("x" * 100_000, None),
    ],
)  # fmt: skip
def test_what_a_retry_after_asks(header: str, seconds: float | None) -> None:
    assert seconds_asked(header, NOW) == seconds


@given(
    st.text(max_size=80)
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{0,9} .{0,9}")
)
def test_whatever_a_retry_after_says_there_is_a_next_try(header: str) -> None:
    asked = seconds_asked(header, NOW)
    assert asked is None or asked >= 0
    wait = tried(Answer(429, DeliveryError.REFUSED, retry_after=asked))
    assert wait is not None
    assert 0 < wait <= LONGEST_RETRY_AFTER
