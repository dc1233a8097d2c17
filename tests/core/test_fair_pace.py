"""Who is held back when a process falls behind, and for how long."""

import pytest

from app.core.fair_pace import (
    AT_ONCE,
    BEHIND,
    LEAST_SLOW,
    LEFT,
    LONGEST_PAUSE,
    MOST_STRAIN,
    SLOW,
    heavy,
    pause_of,
    strain_after,
    times_behind,
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


def test_a_process_is_strained_from_the_moment_on_at_which_it_is_behind() -> None:
    strain, looks = strain_after(0.0, 1.01), 1
    assert strain > AT_ONCE
    while strain < MOST_STRAIN:
        strain, looks = strain_after(strain, 2.0), looks + 1
    assert looks < 30
    for _ in range(600):
        strain = strain_after(strain, 1.0)
    assert strain == 0


@pytest.mark.parametrize(
    ("late", "took", "usual", "behind"),
    [
        (0.0, 0.0, 0.01, False),
        (BEHIND * 1.1, 0.0, 0.01, True),
        (0.005, 0.0, 0.01, True),
        (0.0, 0.012, 0.004, True),
        (0.0, LEAST_SLOW * 0.9, 0.001, False),
        (0.0, LEAST_SLOW * 1.1, 0.001, True),
        (0.0, 0.1, 0.09, False),
        (0.0, 0.1 * SLOW * 1.1, 0.1, True),
    ],
)
def test_it_is_behind_by_its_loop_or_by_how_long_batches_take(
    late: float, took: float, usual: float, behind: bool
) -> None:
    assert (times_behind(late, took, usual) > 1) is behind


def test_a_pause_is_bounded_however_long_the_last_batch_took() -> None:
    assert pause_of(0.0, 0.05, 100) == 0
    assert pause_of(4.0, 0.01, 100) == pytest.approx(0.04)
    assert pause_of(MOST_STRAIN, 60.0, 100) == LONGEST_PAUSE


def test_what_is_sure_is_left_to_each() -> None:
    assert pause_of(MOST_STRAIN, 60.0, 5) == pytest.approx(5 / LEFT)
