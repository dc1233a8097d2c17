"""Tenants take turns on the one thread that reads files."""

import threading
from concurrent.futures import wait

import pytest

from app.credentials.turns import MOST_WAITING, Turns
from app.infra.errors import TooMany


def test_one_who_brings_much_does_not_keep_another_waiting() -> None:
    turns, begun, go = Turns("test"), threading.Event(), threading.Event()
    done: list[str] = []

    def hold() -> None:
        begun.set()
        go.wait(10)

    futures = [turns.take("busy", hold)]
    assert begun.wait(10)
    for n in range(MOST_WAITING):
        futures.append(turns.take("busy", lambda n=n: done.append(f"busy {n}")))
    futures += [turns.take(who, lambda who=who: done.append(who)) for who in ("a", "b", "a")]
    with pytest.raises(TooMany):
        turns.take("busy", hold)
    go.set()
    wait(futures, 10)
    assert done == [
        "busy 0",
        "a",
        "b",
        "busy 1",
        "a",
        *(f"busy {n}" for n in range(2, MOST_WAITING)),
    ]


def test_what_is_raised_is_told_to_who_waits_and_to_nobody_else() -> None:
    turns = Turns("test")
    failing = turns.take("a", lambda: 1 // 0)
    assert turns.take("b", lambda: 5).result(10) == 5
    with pytest.raises(ZeroDivisionError):
        failing.result(10)


def test_who_has_left_costs_no_turn() -> None:
    turns, begun, go = Turns("test"), threading.Event(), threading.Event()
    holding = turns.take("a", lambda: (begun.set(), go.wait(10)))
    assert begun.wait(10)
    done: list[str] = []
    left = turns.take("a", lambda: done.append("left"))
    assert left.cancel()
    go.set()
    holding.result(10)
    assert turns.take("a", lambda: done.append("there")).result(10) is None
    assert done == ["there"]
