"""Who is to be rung: what a rule stops is never pushed, what none stops always is."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.suppression import NONE, Period, Preferences, Why, why_suppressed

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ALWAYS = Period(frozenset(range(7)), time(0), time(0))
NIGHT = Period(frozenset(range(7)), time(22), time(7))

users = st.sampled_from(["alice", "carol", "dave"])
types = st.sampled_from(["default", "door"])
periods = st.builds(
    Period,
    st.frozensets(st.integers(0, 6)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
)
wishes = st.builds(
    Preferences,
    st.none() | st.datetimes(min_value=datetime(2026, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia"]),
    st.lists(periods, max_size=3).map(tuple),
    st.frozensets(types),
    st.frozensets(users),
    st.booleans(),
    st.frozensets(types),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@given(wishes, users, types, moments, st.booleans())
def test_a_block_knows_no_exception(
    wants: Preferences, caller: str, kind: str, now: datetime, repeated: bool
) -> None:
    why = why_suppressed(
        wants, caller=caller, call_type=kind, now=now, blocked=True, repeated=repeated
    )
    assert why is Why.BLOCKED


@given(wishes, users, types, moments, st.booleans())
def test_each_rule_stops_alone_and_nothing_else_does(
    wants: Preferences, caller: str, kind: str, now: datetime, repeated: bool
) -> None:
    excepted = caller in wants.allowed or (wants.repeat and repeated)
    local = now.astimezone(ZoneInfo(wants.time_zone))
    until = wants.do_not_disturb_until
    rules = [
        until is not None and now < until,
        any(one.holds(local.weekday(), local.time()) for one in wants.periods),
        kind in wants.silent_types | wants.notified_types,
    ]
    why = why_suppressed(wants, caller=caller, call_type=kind, now=now, repeated=repeated)
    assert (why is not None) == (any(rules) and not excepted)


@given(users, types, moments, st.booleans())
def test_who_wants_nothing_is_always_rung(
    caller: str, kind: str, now: datetime, repeated: bool
) -> None:
    assert why_suppressed(NONE, caller=caller, call_type=kind, now=now, repeated=repeated) is None


def test_the_reason_that_is_told() -> None:
    def why(wants: Preferences, kind: str = "default") -> Why | None:
        return why_suppressed(wants, caller="alice", call_type=kind, now=NOW)

    assert why(Preferences(NOW + timedelta(seconds=1))) is Why.DO_NOT_DISTURB
    assert why(Preferences(NOW)) is None
    assert why(Preferences(periods=(ALWAYS,))) is Why.QUIET_HOURS
    assert why(Preferences(silent_types=frozenset(["door"])), "door") is Why.CALL_TYPE
    assert why(Preferences(silent_types=frozenset(["door"]))) is None


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("Europe/Berlin", date(2026, 3, 28)),
        ("Europe/Berlin", date(2026, 10, 24)),
        ("America/New_York", date(2026, 3, 7)),
        ("America/New_York", date(2026, 10, 31)),
        ("Asia/Kathmandu", date(2026, 3, 28)),
        ("Asia/Kathmandu", date(2026, 10, 24)),
    ],
)
def test_quiet_from_ten_to_seven_on_the_odd_nights(zone: str, night: date) -> None:
    """At each minute of two days around the night, held to the two moments between which it lies."""
    wants, there = Preferences(time_zone=zone, periods=(NIGHT,)), ZoneInfo(zone)
    nights = [
        (
            datetime.combine(day, time(22), there).astimezone(UTC),
            datetime.combine(day + timedelta(days=1), time(7), there).astimezone(UTC),
        )
        for day in (night + timedelta(days=n) for n in range(-2, 3))
    ]
    at = datetime.combine(night, time(0), there).astimezone(UTC)
    lengths = {end - begin for begin, end in nights}
    assert len(lengths) == (1 if zone == "Asia/Kathmandu" else 2)
    for minute in range(48 * 60):
        now = at + timedelta(minutes=minute)
        quiet = any(begin <= now < end for begin, end in nights)
        assert wants.is_quiet(now) is quiet, now


def test_a_period_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    friday = Period(frozenset([4]), time(22), time(7))
    assert friday.holds(4, time(22))
    assert friday.holds(5, time(6, 59))
    assert not friday.holds(5, time(7))
    assert not friday.holds(4, time(6))
    sunday = Period(frozenset([6]), time(22), time(7))
    assert sunday.holds(0, time(3))
    assert not sunday.holds(6, time(3))
