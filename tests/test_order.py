"""Long tests begin: each process's part of the list has its own in front."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.order import longest_first


def taking(name: str, seconds: float = 0) -> Any:
    """A test, as far as it is asked."""
    mark = SimpleNamespace(args=[seconds]) if seconds else None
    return SimpleNamespace(name=name, get_closest_marker=lambda _: mark)


def names(order: list[Any]) -> str:
    return "".join(one.name for one in order)


def test_each_process_begins_with_a_long_one() -> None:
    order = [*map(taking, "abcde"), taking("X", 20), *map(taking, "fg"), taking("Y", 50)]
    assert names(longest_first(order, 2)) == "YabcXdefg"
    assert names(longest_first(order, 3)) == "YabXcdefg"
    assert names(longest_first(order, 1)) == "YXabcdefg"


def test_more_of_them_than_processes_or_room() -> None:
    order = [*map(taking, "ab"), *(taking(name, 20) for name in "VWXYZ")]
    assert names(longest_first(order, 2)) == "VXZWYab"
    assert names(longest_first(order, 9)) == "VWXYZab"


@pytest.mark.parametrize("processes", [1, 2, 3, 6])
def test_without_them_nothing_moves(processes: int) -> None:
    order = list(map(taking, "abcdefgh"))
    assert longest_first(order, processes) == order
