"""In what order the tests go: those that take longest first, one in each process.

`--dist worksteal` gives each process a part of the list, and who has come to its end half of what
another one has left. Where a test of fifty seconds is the last to begin, all the others wait for it.
"""

from collections.abc import Sequence

import pytest

LONG = "long"
"""The mark of a test that takes so many seconds on a quiet machine; it should have its own house."""


def longest_first(order: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """The same tests, each process's part beginning with long ones; without them as they were."""
    long = sorted((one for one in order if seconds(one)), key=seconds, reverse=True)
    others = [one for one in order if not seconds(one)]
    found: list[pytest.Item] = []
    for number in range(processes):  # as xdist parts them
        size = (len(order) - len(found)) // (processes - number)
        begin = long[number::processes]
        found += begin
        found += [others.pop(0) for _ in range(min(size - len(begin), len(others)))]
    return [*found, *others]


def seconds(test: pytest.Item) -> float:
    """What its mark says; 0 without one."""
    mark = test.get_closest_marker(LONG)
    return float(mark.args[0]) if mark else 0.0
