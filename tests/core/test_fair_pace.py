"""Who is held back when a process falls behind, and for how long."""

import pytest

from app.core.fair_pace import BEHIND, LONGEST_PAUSE, MOST_STRAIN, heavy, pause_of, strain_after


@pytest.mark.parametrize(
    ("used", "held_back"),
    [
        ({}, set()),
        ({"a": 900}, set()),
        ({"a": 60, "b": 40}, set()),
        ({"a": 90, "b": 10}, {"a"}),
        ({"a": 45, "b": 45, "c": 10}, {"a", "b"}),
        ({"a": 50, "b": 20, "c": 10}, {"a"}),
    ],
)
def test_only_those_that_use_far_more_than_another(
    used: dict[str, float], held_back: set[str]
) -> None:
    assert heavy(used) == held_back


def test_strain_grows_while_the_loop_is_late_and_goes_when_it_keeps_up() -> None:
    strain, looks = 0.0, 0
    while strain < MOST_STRAIN:
        strain, looks = strain_after(strain, BEHIND * 2), looks + 1
    assert looks < 30
    for _ in range(120):
        strain = strain_after(strain, 0.0)
    assert strain == 0


def test_a_pause_is_bounded_however_long_the_last_batch_took() -> None:
    assert pause_of(0.0, 0.05) == 0
    assert pause_of(4.0, 0.01) == pytest.approx(0.04)
    assert pause_of(MOST_STRAIN, 60.0) == LONGEST_PAUSE
