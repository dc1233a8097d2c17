"""What arrived, bounded in number, and waking whoever waits for it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from devkit.simulator.requests import Arrival

_SHARE = 10


@dataclass(slots=True)
class Delivery:
    """A push in a device's hands; `number` counts deliveries, not arrivals."""

    number: int
    arrival: Arrival


@dataclass(slots=True)
class _Shelf:
    """What is kept of one token."""

    arrivals: deque[Arrival] = field(default_factory=deque)
    deliveries: deque[Delivery] = field(default_factory=deque)
    waiters: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def empty(self) -> bool:
        return not (self.arrivals or self.deliveries or self.waiters)


class Arrivals:
    """The newest `keep` requests; older ones are forgotten, and their deliveries with them."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.last_number = 0
        self.last_delivery = 0
        self.forgotten = 0
        """The number up to which requests are not kept any more; 0: all are."""
        self._all: deque[Arrival] = deque()
        self._shelves: dict[str, _Shelf] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        self.closed = False

    def add(self, arrival: Arrival) -> None:
        """Keep a request and wake its waiters."""
        self._all.append(arrival)
        shelf = self._shelves.setdefault(arrival.token, _Shelf())
        shelf.arrivals.append(arrival)
        if len(self._all) > self.keep:
            self._forget_oldest()
        if shelf.waiters:
            _wake(shelf.waiters)
        if self._waiters:
            _wake(self._waiters)

    def deliver(self, arrival: Arrival) -> None:
        """Hand a push to its device and wake the phone that waits for it."""
        arrival.delivered, arrival.stored = True, False
        self.last_delivery += 1
        shelf = self._shelves.setdefault(arrival.token, _Shelf())
        shelf.deliveries.append(Delivery(self.last_delivery, arrival))
        if shelf.waiters:
            _wake(shelf.waiters)

    def next_number(self) -> int:
        """Give the number of the next request."""
        self.last_number += 1
        return self.last_number

    def select(
        self,
        *,
        token: str | None = None,
        after: int = 0,
        limit: int | None = None,
        where: Callable[[Arrival], bool] | None = None,
    ) -> list[Arrival]:
        """Give kept requests with numbers above `after`, oldest first."""
        source = self._all if token is None else self._shelf(token).arrivals
        newest: list[Arrival] = []
        for arrival in reversed(source):
            if arrival.number <= after:
                break
            if where is None or where(arrival):
                newest.append(arrival)
        newest.reverse()
        return newest if limit is None else newest[:limit]

    def deliveries(self, token: str, after: int = 0) -> list[Delivery]:
        """Give what a device has been handed after delivery number `after`.

        A number that was never given is from before a restart, and counts as 0.
        """
        if after > self.last_delivery:
            after = 0
        return [d for d in self._shelf(token.lower()).deliveries if d.number > after]

    def stored(self, token: str) -> list[Arrival]:
        """Give what is kept for a device that is not online."""
        return [a for a in self._shelf(token.lower()).arrivals if a.stored]

    async def wait(self, token: str | None, ready: Callable[[], bool], timeout: float) -> bool:
        """Wait until `ready()`; looks again whenever something arrived. False: out of time.

        Looking may take a tenth of the time at most, however much there is to look through.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            began = time.perf_counter()
            if ready():
                return True
            took = time.perf_counter() - began
            left = deadline - loop.time()
            if left <= 0 or self.closed:
                return False
            await self._next(token, left)
            await asyncio.sleep(min(_SHARE * took, max(deadline - loop.time(), 0)))

    async def _next(self, token: str | None, timeout: float) -> None:
        """Wait for the next arrival or delivery, of one token or of any."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        key = None if token is None else token.lower()
        waiters = self._waiters
        if key is not None:
            waiters = self._shelves.setdefault(key, _Shelf()).waiters
        waiters.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=timeout)
        finally:
            waiters.discard(waiter)
            if key is not None:
                self._tidy(key)

    def clear(self) -> None:
        """Forget all requests and deliveries; the numbers go on."""
        self.forgotten = self._all[-1].number if self._all else self.forgotten
        self._all.clear()
        for token, shelf in list(self._shelves.items()):
            shelf.arrivals.clear()
            shelf.deliveries.clear()
            self._tidy(token)

    def close(self) -> None:
        """Wake every waiter for the last time."""
        self.closed = True
        _wake(self._waiters)
        for shelf in list(self._shelves.values()):
            _wake(shelf.waiters)

    def _shelf(self, token: str) -> _Shelf:
        return self._shelves.get(token.lower()) or _Shelf()

    def _forget_oldest(self) -> None:
        oldest = self._all.popleft()
        self.forgotten = oldest.number
        shelf = self._shelves[oldest.token]
        shelf.arrivals.popleft()
        while shelf.deliveries and shelf.deliveries[0].arrival.number <= oldest.number:
            shelf.deliveries.popleft()
        self._tidy(oldest.token)

    def _tidy(self, token: str) -> None:
        shelf = self._shelves.get(token)
        if shelf is not None and shelf.empty:
            del self._shelves[token]


def _wake(waiters: set[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
