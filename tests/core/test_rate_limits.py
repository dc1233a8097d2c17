"""The window of rate limits: what is refused, and after how long it is not any more."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.rate_limits import (
    DEFAULTS,
    NAMES,
    PAUSE,
    WINDOW,
    Reached,
    of_tenant,
    outside_bounds,
    wait_for,
)


def fits(most: int, now: int, before: int, passed: float) -> bool:
    return wait_for(most, now, before, passed) == 0


def later(now: int, before: int, passed: float, wait: float) -> tuple[int, int, float]:
    """The window after so many seconds in which nothing was counted."""
    turned, passed = divmod(passed + wait, WINDOW)
    return (now, before, passed) if not turned else (0, now if turned == 1 else 0, passed)


@given(
    most=st.integers(1, 5_000),
    now=st.integers(0, 6_000),
    before=st.integers(0, 6_000),
    passed=st.floats(0, WINDOW, exclude_max=True),
)
def test_after_the_wait_one_more_fits_and_not_before(
    most: int, now: int, before: int, passed: float
) -> None:
    wait = wait_for(most, now, before, passed)
    assert 0 <= wait <= 2 * WINDOW
    assert fits(most, *later(now, before, passed, wait + 0.01))
    if wait > 0.02:
        assert not fits(most, *later(now, before, passed, wait - 0.01))


def test_who_does_it_evenly_meets_exactly_the_limit() -> None:
    now, before, taken = 0, 0, 0
    for tick in range(10 * 60 * 20):  # ten minutes, twenty tries a second
        minute, second = divmod(tick / 20, WINDOW)
        if tick and second == 0:
            now, before = 0, now
        if fits(30, now, before, second):
            now += 1
            taken += minute >= 1
    assert 9 * 29 <= taken <= 9 * 30 + 1


def test_who_is_refused_for_ten_minutes_without_a_pause_is_told_of() -> None:
    one = Reached(5, 0.0, 0.0)
    for at in range(60, 600, 60):  # as who obeys Retry-After
        one = one.again(5, at)
        assert not one.for_long(at)
    one = one.again(7, 600.0)
    assert (one.for_long(600.0), one.refused, one.most, one.since) == (True, 11, 7, 0.0)
    assert one.for_long(600.0 + PAUSE)
    assert not one.for_long(600.1 + PAUSE)  # it has ended meanwhile
    assert one.again(7, 601.0 + PAUSE) == Reached(7, 601.0 + PAUSE, 601.0 + PAUSE)


def test_what_is_no_rate_limit_and_what_is_out_of_bounds_is_told() -> None:
    assert outside_bounds(dict.fromkeys(NAMES, 1)) == []
    wrong = outside_bounds({"rings": 5, "rings_per_key": 0, "streams_per_user": 10_000_001})
    assert [name for name, _ in wrong] == ["rings", "rings_per_key", "streams_per_user"]


def test_what_a_tenant_does_not_set_has_its_default() -> None:
    assert of_tenant({}) == DEFAULTS
    changed = of_tenant({"rings_per_caller": 7})
    assert changed.rings_per_caller == 7
    assert changed.rings_per_callee == DEFAULTS.rings_per_callee
