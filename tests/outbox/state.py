"""A state of the outbox's model: one call, its rows, workers, and what phones have been handed.

Letters of a row's targets: `o` open, `a` accepted, `r` refused, `d` dropped, `x` expired, `l` left
for a row of its own. Of a target in a worker's hands: `q` the claim's answer is on its way, `t` waits
for a stream, `s` has one; `A` accepted, `U` the same with a text that cannot be stored, `5` to be
tried again, `O` the same but only once, `T` silent; `d`, `x` as above; `i` has left; `w` is written.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.outbox.rules import World

OPEN = "o"
KNOWN = "AU5OTdxi"
"""What a worker knows of a target and has not written."""

GOOD, PAST, PAST_AWAY, DEAD, DEAD_AWAY = "lease", "past", "past, away", "dead", "dead, away"
"""A worker's lease; `away`: the database was away meanwhile, and the worker at work."""

CONDEMNED = (DEAD, DEAD_AWAY)


class Broken(Exception):
    """A promise that does not hold."""


class Row(NamedTuple):
    """A row of the outbox, with one target or a batch of them."""

    targets: tuple[int, ...]
    states: str
    by: int | None = None
    fence: int = 0
    rev: int = 0
    inherited: bool = False
    repeated: bool = False
    once: bool = False


class Hold(NamedTuple):
    """A row in a worker's hands. `fresh`: read within FRESH; `heir`: the row was inherited."""

    row: int
    fence: int
    fresh: bool
    heir: bool
    marked: bool
    rev: int
    marks: str


class Worker(NamedTuple):
    """A worker. `may_open`: its own clock says that its lease is good; `spoken`: it has renewed and
    written since the database came back."""

    life: str = "up"
    lease: str = GOOD
    may_open: bool = True
    spoken: bool = True
    holds: tuple[Hold, ...] = ()


class State:
    """Where a world stands. Ages: 0 not, 1 just now, 2 more than FRESH ago."""

    __slots__ = (
        "abandoned", "accepted", "api", "call", "faults", "handed", "late", "lookers", "lost",
        "moved", "onces", "outcomes", "over", "owed", "rang", "rows", "settled", "stops", "up",
        "who", "workers",
    )  # fmt: skip

    def __init__(self, world: World) -> None:
        targets, rings = len(world.rings), max(world.rings) + 1
        self.api, self.call, self.up, self.over, self.late = "asked", "none", True, False, False
        self.accepted: int | None = None
        self.abandoned: tuple[int, int, int, int, str] | None = None
        self.lookers: frozenset[str] = frozenset()
        self.owed: tuple[int, ...] = ()
        self.outcomes: list[str] = [""] * rings
        self.settled, self.moved = [0] * rings, [0] * targets
        self.rows: list[Row] = []
        self.workers = [Worker() for _ in range(world.workers)]
        self.handed, self.lost, self.onces = [0] * targets, [0] * targets, [0] * targets
        self.rang = [False] * targets
        self.who: list[int | None] = [None] * targets
        self.stops = [""] * targets
        self.faults = dict(world.faults)

    def copy(self) -> "State":
        """A state to change: what lists hold is never changed, only put in its place."""
        made: State = object.__new__(State)
        for name in State.__slots__:
            value = getattr(self, name)
            setattr(made, name, value.copy() if type(value) in {list, dict} else value)
        return made

    def key(self) -> tuple[Any, ...]:
        """What makes it this state and no other."""
        return (
            self.api, self.call, self.up, self.over, self.late, self.accepted, self.abandoned,
            self.lookers, self.owed, tuple(self.outcomes), tuple(self.settled), tuple(self.moved),
            tuple(self.rows), tuple(self.workers), tuple(self.handed), tuple(self.lost),
            tuple(self.onces), tuple(self.rang), tuple(self.who), tuple(self.stops),
            tuple(self.faults.values()),
        )  # fmt: skip

    def may(self, fault: str) -> bool:
        """Whether this fault may happen once more."""
        return self.faults.get(fault, 0) > 0

    def spend(self, fault: str) -> None:
        """It has happened."""
        self.faults[fault] -= 1

    def change(self, worker: int, **fields: Any) -> None:
        """Change a worker."""
        self.workers[worker] = self.workers[worker]._replace(**fields)

    def hold(self, worker: int, place: int, hold: Hold) -> None:
        """Change what a worker holds; what is written to its end is held no more."""
        holds = list(self.workers[worker].holds)
        holds[place] = hold
        self.change(worker, holds=tuple(one for one in holds if one.marks.strip("w")))


class Model:
    """A world and the rules that are in place."""

    def __init__(self, world: World, rules: frozenset[str]) -> None:
        self.world, self.rules, self.ring = world, rules, world.rings

    def has(self, rule: str) -> bool:
        return rule in self.rules

    @property
    def late_target(self) -> int | None:
        """The target of the device that registers late."""
        return len(self.ring) - 1 if self.world.faults.get("late") else None

    def rings_of(self, place: int) -> tuple[int, ...]:
        """The rings of a slice."""
        return tuple(sorted({self.ring[target] for target in self.world.slices[place]}))

    def every_ring(self) -> tuple[int, ...]:
        return tuple(range(max(self.ring) + 1))


class Step(NamedTuple):
    """What may happen next: `act(model, state, *values)`. `fault`: by the world's doing; `broken`:
    the promise it breaks."""

    name: str
    fault: bool
    state: State
    broken: str
    act: Callable[..., None]
    values: tuple[Any, ...]


class Steps:
    """Gathers the steps from one state: each is a function that changes a copy of it."""

    def __init__(self, model: Model, state: State) -> None:
        self.model, self.state, self.found = model, state, list[Step]()

    def add(self, name: str, act: Callable[..., None], *values: Any, fault: bool = False) -> None:
        after, broken = self.state.copy(), ""
        try:
            act(self.model, after, *values)
        except Broken as error:
            broken = str(error)
        self.found.append(Step(name, fault, after, broken, act, values))


def put(letters: str, place: int, letter: str) -> str:
    """The same letters but for one."""
    return letters[:place] + letter + letters[place + 1 :]


def closed(row: Row) -> Row:
    """A row with nothing open is nobody's."""
    return row if OPEN in row.states else row._replace(by=None)


def add_row(state: State, row: Row) -> None:
    """Write a row. Raises Broken where a target lies in two."""
    state.rows.append(row)
    seen = [
        target
        for one in state.rows
        for target, letter in zip(one.targets, one.states, strict=True)
        if letter != "l"
    ]
    if len(seen) != len(set(seen)):
        raise Broken("one row: a target lies in two rows")


def new_row(*targets: int) -> Row:
    """A row that is open, and was never claimed."""
    return Row(targets, OPEN * len(targets))
