"""The rule of the soak: what rises is seen, and what a kill does for a moment is not taken for it."""

import xml.etree.ElementTree as ET

import pytest

from tests.chance import dice
from tests.soak.flat import Rule, Series, judge, slope
from tests.soak.picture import picture

RULE = Rule(share=0.03, least=4.0)


def sampled(rise_a_minute: float, *, minutes: int = 30, spikes: bool = True) -> Series:
    """A sample every 5 s about 130, with noise, and 10 s of nonsense after a kill each minute."""
    draw = dice()
    found = []
    for n in range(minutes * 12):
        value = 130 + rise_a_minute * n / 12 + draw.uniform(-1, 1)
        found.append((n * 5.0, value * 3 if spikes and n % 12 < 2 else value))
    return found


def test_what_is_flat_is_flat_whatever_kills_do_for_a_moment() -> None:
    verdict = judge(sampled(0.0), RULE)
    assert verdict.flat
    assert verdict.level == pytest.approx(130, abs=1)
    assert verdict.most > 380


@pytest.mark.parametrize("spikes", [True, False])
def test_a_leak_of_half_a_kilobyte_a_ring_at_twenty_a_second_is_seen(spikes: bool) -> None:
    verdict = judge(sampled(0.6, spikes=spikes), RULE)
    assert verdict.rise == pytest.approx(9, abs=1)
    assert not verdict.flat


def test_one_descriptor_for_each_restart_is_seen() -> None:
    stairs = [(n * 5.0, 40.0 + n // 48) for n in range(360)]
    assert not judge(stairs, Rule(0.0, 3.0)).flat


def test_what_rose_while_it_got_warm_and_what_falls_are_flat() -> None:
    warming = [(n * 5.0, min(n, 170) / 2) for n in range(360)]
    assert judge(warming, RULE).flat
    assert judge([(n * 5.0, 500.0 - n) for n in range(360)], RULE).flat


def test_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="too few"):
        judge([(n * 5.0, 1.0) for n in range(12)], RULE)
    with pytest.raises(ValueError, match="too few"):
        judge([], RULE)
    assert slope([(1.0, 2.0)]) == 0.0


def test_the_picture_is_a_picture_of_each_series_and_fault() -> None:
    panels = {"memory, MiB": {"api-0": sampled(0.0), "api <1>": sampled(1.0)}, "empty": {}}
    drawn = ET.fromstring(picture(panels, [60.0, 120.0], "A title; and more"))
    svg = "{http://www.w3.org/2000/svg}"
    assert len(list(drawn.iter(f"{svg}polyline"))) == 2
    assert "api <1>" in {text.text for text in drawn.iter(f"{svg}text")}
