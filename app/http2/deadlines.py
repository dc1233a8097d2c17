"""One timer for all deadlines of a sender, however many requests are in flight.

Deadlines are put into buckets of 1/64 s, and a bucket fires 5 ms before its beginning: on a loop
that keeps up a request is concluded before its deadline, by up to 21 ms. Adding and removing cost a
dictionary entry; what has ended leaves nothing behind but an empty bucket until its time.
"""

import asyncio
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Final, Generic, Protocol, TypeVar

_BUCKETS_A_SECOND: Final = 64
_LEAD: Final = 0.005

FROZEN: Final = 0.25
"""Seconds by which a timer comes too late only when the process has stood still."""

A_TURN: Final = 0.02
"""Seconds in which what has arrived meanwhile is read."""


class Dated(Protocol):
    """Something that falls due, in `loop.time()` seconds."""

    due: float


D = TypeVar("D", bound=Dated)


class Deadlines(Generic[D]):
    """Calls `expire(item)` for every item that is still here when it is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[D], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._buckets: dict[int, dict[D, None]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._read_first = False

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def add(self, item: D) -> None:
        """Watch this item until it is removed. When it is due must not change meanwhile."""
        at = int(item.due * _BUCKETS_A_SECOND)
        bucket = self._buckets.get(at)
        if bucket is not None:
            bucket[item] = None
            return
        self._buckets[at] = {item: None}
        heappush(self._order, at)
        if self._order[0] == at:
            self._arm()

    def add_all(self, items: Sequence[D], due: float) -> None:
        """Watch these, of which none is watched yet: all fall due then."""
        for item in items:
            item.due = due
        self.add(items[0])
        self._buckets[int(due * _BUCKETS_A_SECOND)].update(dict.fromkeys(items))

    def remove(self, item: D) -> None:
        """Stop watching; nothing happens if the item is not here."""
        bucket = self._buckets.get(int(item.due * _BUCKETS_A_SECOND))
        if bucket is not None:
            bucket.pop(item, None)
            if not bucket:
                bucket.clear()  # a dictionary keeps the room of what was taken out of it

    def close(self) -> None:
        """Forget everything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._buckets.clear()
        self._order.clear()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._order:
            self._timer = self._loop.call_at(self._order[0] / _BUCKETS_A_SECOND - _LEAD, self._fire)

    def _fire(self) -> None:
        self._timer = None
        # The loop may call a little early, by its clock's resolution.
        now = self._loop.time() + _LEAD + 0.002
        if self._order and now - self._order[0] / _BUCKETS_A_SECOND > FROZEN:
            # Some loops call timers before they read: an answer may be here.
            self._read_first = not self._read_first
            if self._read_first:
                self._timer = self._loop.call_later(A_TURN, self._fire)
                return
        while self._order and self._order[0] <= now * _BUCKETS_A_SECOND:
            for item in self._buckets.pop(heappop(self._order)):
                self._expire(item)
        self._arm()
