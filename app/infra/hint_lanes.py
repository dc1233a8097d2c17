"""Which hints go in which message, and when: a tenant's flood of them holds up nobody else's.

Hints of one tenant are a lane. A message costs both ends ten times what an id in it does, so after
one the next waits, the longer the more ids it had. That wait is a lane's own: one that tells of
much goes by itself, and those that tell of little go together, before it. A worker so has the ring
of a quiet tenant in its hands while it works off another's hundreds.
"""

from collections.abc import Hashable, Iterable, Mapping
from itertools import islice
from typing import Final

MOST_IDS: Final = 1_000
"""Ids in one message at most: a larger batch would keep one worker busy while others rest."""

FEW: Final = 8
"""Ids of a lane that go with those of others; more go by themselves."""

PAUSE_FOR_EACH: Final = 0.004
LONGEST_PAUSE: Final = 0.1
"""Seconds before the next message, for each id in the last: a lone hint makes the next one wait for
no time that shows; above some 250 rings a second hints gather."""

MOST_WAITING: Final = 100_000
"""Ids that wait for the broker at most; beyond this the oldest of the longest lane are left to the
sweep."""

NEVER: Final = float("inf")

Lane = tuple[str, Hashable]
"""(task, whose)."""


def pause_after(count: int) -> float:
    """Seconds until the next message, after one of so many ids."""
    return min(LONGEST_PAUSE, PAUSE_FOR_EACH * count)


class LanePauses:
    """When the next message of each may go. Knows no clock: `now` is any that goes evenly.

    What tells of little waits for what of all lanes does; what tells of much for its own.
    """

    def __init__(self) -> None:
        self._not_before: dict[Hashable, float] = {}
        self._together = 0.0

    def due(self, lane: Hashable, count: int) -> float:
        """When a message of so many of this lane may go."""
        own = self._not_before.get(lane, 0.0)
        return max(own, self._together) if count <= FEW else own

    def gone(self, counts: Mapping[Hashable, int], now: float) -> None:
        """Messages of so many ids of each lane have gone; those that tell of little, together."""
        self._not_before = {one: at for one, at in self._not_before.items() if at > now}
        self._not_before |= {lane: now + pause_after(count) for lane, count in counts.items()}
        few = sum(count for count in counts.values() if count <= FEW)
        if few:
            self._together = now + pause_after(few)

    def may_tell(self, lane: Hashable, count: int, now: float) -> bool:
        """Whether a message of so many of this lane may go now; if so, it counts as gone."""
        if self.due(lane, count) > now:
            return False
        self.gone({lane: count}, now)
        return True


class HintLanes:
    """What waits to be told, to go in messages of many lanes as `LanePauses` lets it."""

    def __init__(self) -> None:
        self._ids: dict[Lane, dict[str, None]] = {}
        self._pauses = LanePauses()
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._ids)

    def add(self, task: str, whose: Hashable, ids: Iterable[str]) -> float:
        """Have this told; returns when its lane may be, by the clock of `take`."""
        lane = (task, whose)
        waiting = self._ids.setdefault(lane, {})
        before = len(waiting)
        waiting.update(dict.fromkeys(ids))
        self._count += len(waiting) - before
        while self._count > MOST_WAITING:
            self._leave_oldest()
        return self._due(lane)

    def _leave_oldest(self) -> None:
        lane = max(self._ids, key=lambda one: len(self._ids[one]))
        self._drop(lane, [next(iter(self._ids[lane]))])

    def next_due(self) -> float:
        """When there is something to take; NEVER while nothing waits."""
        return min(map(self._due, self._ids), default=NEVER)

    def _due(self, lane: Lane) -> float:
        return self._pauses.due(lane, len(self._ids.get(lane, ())))

    def take(self, now: float) -> list[tuple[str, list[str]]]:
        """The messages that are to go now, (task, ids) each; those that tell of little first."""
        due = [lane for lane in self._ids if self._due(lane) <= now]
        together: dict[str, list[str]] = {}
        alone: list[tuple[str, list[str]]] = []
        counts: dict[Hashable, int] = {}
        for lane in due:
            ids = list(islice(self._ids[lane], MOST_IDS))
            if len(ids) <= FEW:
                together.setdefault(lane[0], []).extend(ids)
            else:
                alone.append((lane[0], ids))
            counts[lane] = len(ids)
            self._drop(lane, ids)
        self._pauses.gone(counts, now)
        return [*_in_messages(together), *alone]

    def _drop(self, lane: Lane, ids: list[str]) -> None:
        waiting = self._ids[lane]
        for one in ids:
            del waiting[one]
        if not waiting:
            del self._ids[lane]
        self._count -= len(ids)


def _in_messages(together: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    return [
        (task, ids[start : start + MOST_IDS])
        for task, ids in together.items()
        for start in range(0, len(ids), MOST_IDS)
    ]
