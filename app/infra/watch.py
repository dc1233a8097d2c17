"""What lasts too long, found by one timer for all that may last as long as each other."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final, Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

EARLY: Final = 0.002
"""Seconds by which a timer may be early: loops count in milliseconds."""


class Watch(Generic[Item]):
    """Calls `over` with each item that was begun `seconds` ago and has not ended; once.

    In order of their beginnings, which is that of their ends, so that the oldest's timer is enough.
    A timer that is made for each request and cancelled costs a tenth of the request. Belongs to one
    event loop.
    """

    def __init__(self, seconds: float, over: Callable[[Item], object]) -> None:
        self._seconds = seconds
        self._over = over
        self._until: dict[Item, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __contains__(self, item: Item) -> bool:
        return item in self._until

    def __iter__(self) -> Iterator[Item]:
        return iter(self._until)

    def __len__(self) -> int:
        return len(self._until)

    def begin(self, item: Item) -> None:
        """It lasts from now on."""
        loop = self._loop or self._first()
        until = self._until[item] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(until, self._look)

    def begin_all(self, items: Iterable[Item]) -> None:
        """They last from now on."""
        loop = self._loop or self._first()
        until = loop.time() + self._seconds
        self._until.update(dict.fromkeys(items, until))
        if self._timer is None and self._until:
            self._timer = loop.call_at(until, self._look)

    def end(self, item: Item) -> None:
        """It lasts no longer, whether or not it was over."""
        self._until.pop(item, None)

    def close(self) -> None:
        """Watch nothing any more; what is begun after this is watched again."""
        self._until.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _first(self) -> asyncio.AbstractEventLoop:
        # known from then on: on Python 3.11 to ask for it is a system call
        loop = self._loop = asyncio.get_running_loop()
        return loop

    def _look(self) -> None:
        loop = self._loop or self._first()
        now, self._timer = loop.time() + EARLY, None
        try:
            while self._until:
                item, until = next(iter(self._until.items()))
                if until > now:
                    break
                del self._until[item]
                self._over(item)
        finally:  # whatever was raised, the others are watched
            if self._until and self._timer is None:
                self._timer = loop.call_at(next(iter(self._until.values())), self._look)
