"""Who is held back when a process falls behind, and for how long."""

import pytest

from app.core.fair_pace import (
    BEHIND,
    LONGEST_PAUSE,
    MOST_STRAIN,
    SURE,
    heavy,
    pause_of,
    strain_after,
)


@pytest.mark.parametrize(
    ("rates", "held_back"),
    [
        ({}, set()),
        ({"a": 900}, set()),
        ({"a": 60, "b": 40}, set()),
        ({"a": 90, "b": 10}, {"a"}),
        ({"a": 45, "b": 45, "c": 10}, {"a", "b"}),
        ({"a": 50, "b": 20, "c": 10}, {"a"}),
        ({"a": 20, "b": 0.1}, set()),
    ],
)
def test_only_those_that_ask_for_far_more_than_another(
    rates: dict[str, float], held_back: set[str]
) -> None:
    assert heavy(rates) == held_back


def test_strain_grows_while_the_loop_is_late_and_goes_when_it_keeps_up() -> None:
    strain, looks = 0.0, 0
    while strain < MOST_STRAIN:
        strain, looks = strain_after(strain, BEHIND * 2), looks + 1
    assert looks < 30
    for _ in range(120):
        strain = strain_after(strain, 0.0)
    assert strain == 0


def test_a_pause_is_bounded_however_long_the_last_batch_took() -> None:
    assert pause_of(0.0, 0.05, 100) == 0
    assert pause_of(4.0, 0.01, 100) == pytest.approx(0.04)
    assert pause_of(MOST_STRAIN, 60.0, 100) == LONGEST_PAUSE


def test_what_is_sure_is_left_to_each() -> None:
    assert pause_of(MOST_STRAIN, 60.0, 5) == pytest.approx(5 / SURE)
