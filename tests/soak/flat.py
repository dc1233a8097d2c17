"""Whether something rises that should not: a robust slope, and what it may be. Pure functions.

A soak's first half is for getting warm: pools fill, caches grow to their bounds, tables get their
first vacuum. Over the second half a line is laid through the samples by Theil and Sen: the median of
the slopes between all pairs, which nothing moves that lasts less than some 29 % of the time, such as
the moments after a kill. What the line rises by from the begin of that half to its end is compared
with a bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from app.core.frozen import frozen

Series = Sequence[tuple[float, float]]
"""(seconds, value), by time."""
MOST = 200
"""Samples that are compared pair by pair; of more, every n-th."""


@frozen
class Rule:
    """What one kind of series may rise by over the second half: the larger of the two.

    `share` of its level there; `least` in its own unit, below which nothing can be told.
    """

    share: float
    least: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a series went: its level (the median) in the second half, what it rose by, and might."""

    level: float
    rise: float
    bound: float
    most: float

    @property
    def flat(self) -> bool:
        return self.rise <= self.bound


def slope(series: Series) -> float:
    """Of the line through them by Theil and Sen, in units a second; 0 of fewer than two."""
    every = -(-len(series) // MOST) or 1
    slopes = [
        (later - earlier) / (end - begin)
        for (begin, earlier), (end, later) in combinations(series[::every], 2)
        if end > begin
    ]
    return median(slopes) if slopes else 0.0


def second_half(series: Series) -> Series:
    """What was seen from the middle of the time on."""
    middle = (series[0][0] + series[-1][0]) / 2
    return [one for one in series if one[0] >= middle]


def judge(series: Series, rule: Rule) -> Verdict:
    """Lay the line and compare. ValueError for fewer than ten samples in the half: that is no soak."""
    half = second_half(series) if series else []
    if len(half) < 10:
        raise ValueError(f"{len(half)} samples in the second half are too few to judge by")
    level = median(value for _, value in half)
    rise = slope(half) * (half[-1][0] - half[0][0])
    most = max(value for _, value in series)
    return Verdict(level, rise, max(rule.share * level, rule.least), most)
