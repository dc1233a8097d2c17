"""Explores a world of the outbox's model breadth-first: every order of steps, until nothing is new."""

from collections import deque
from typing import Any, NamedTuple

from tests.outbox.callers import calling
from tests.outbox.rules import RULES, World
from tests.outbox.state import OPEN, Model, State, Step, Steps
from tests.outbox.sweeping import passing, stopped, sweeping
from tests.outbox.turns import turns

ALL = frozenset(RULES)


class Explored(NamedTuple):
    """How many states a world has; the promise that breaks and the steps that break it, if any."""

    states: int
    broken: str
    trace: list[str]


def steps_from(m: Model, s: State) -> list[Step]:
    """Whatever may happen next. A stop that is due goes out: its earliest moment is the worst."""
    steps = Steps(m, s)
    for target, stop in enumerate(s.stops):
        if s.up and (stop == "now" or (stop == "later" and s.settled[m.ring[target]] == 2)):
            steps.add(f"the stop of target {target} goes out", stopped, target)
            return steps.found
    calling(m, s, steps)
    sweeping(m, s, steps)
    passing(m, s, steps)
    turns(m, s, steps)
    return steps.found


def broken_at_the_end(m: Model, s: State) -> str:
    """The promise that is broken where nothing is left to be done."""
    for n, row in enumerate(s.rows):
        if OPEN in row.states:
            return f"ends: row {n} is left open"
        if row.by is not None:
            return f"ends: row {n} stays claimed"
    if s.call != "none":
        if s.owed:
            return "none lost: something stays owed"
        written = {target for row in s.rows for target in row.targets}
        for target in (target for one in m.world.slices for target in one):
            outcome, quiet = s.outcomes[m.ring[target]], "outage" not in s.faults
            if target not in written and (not outcome or (outcome == "missed" and quiet)):
                return f"none lost: target {target} has never had a row"
    return _stops(m, s)


def _stops(m: Model, s: State) -> str:
    for target, one in enumerate(m.ring):
        over = s.outcomes[one] not in {"", "missed"}
        if s.rang[target] and over and target != s.accepted and s.stops[target] != "sent":
            return f"stops: target {target} rang, and is never told to stop"
        claimed = any(target in row.targets and row.fence for row in s.rows)
        if s.stops[target] and (target == s.accepted or not claimed):
            return f"stops: target {target} is told to stop what does not ring"
    return ""


def explore(world: World, rules: frozenset[str] = ALL) -> Explored:
    """All states of a world; ends at the first promise that breaks, by the fewest steps."""
    m, first = Model(world, rules), State(world)
    before: dict[tuple[Any, ...], tuple[tuple[Any, ...], str] | None] = {first.key(): None}
    left = deque([(first, first.key())])
    while left:
        state, key = left.popleft()
        steps = steps_from(m, state)
        broken = "" if any(not step.fault for step in steps) else broken_at_the_end(m, state)
        if broken:
            return Explored(len(before), broken, _trace(before, key))
        for step in steps:
            if step.broken:
                return Explored(len(before), step.broken, [*_trace(before, key), step.name])
            found = step.state.key()
            if found not in before:
                before[found] = (key, step.name)
                left.append((step.state, found))
    return Explored(len(before), "", [])


def _trace(before: dict[Any, Any], key: Any) -> list[str]:
    names = []
    while before[key] is not None:
        key, name = before[key]
        names.append(name)
    return names[::-1]
