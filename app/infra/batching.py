"""Group commit: what arrives while one batch runs goes into the next; a lone one never waits.

A Batcher serves those who await an answer, a GroupWriter those who have one: results in hand, which
are kept until they are written.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Generic, Protocol, Self, TypeVar

import structlog
from sqlalchemy.exc import DataError, IntegrityError

from app.infra.errors import Unavailable
from app.infra.outage import is_away, is_row_fault, is_transient, name_of
from app.infra.supervision import Health
from app.infra.tasks import Tasks

log = structlog.get_logger(__name__)

Key = TypeVar("Key")
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Heard = Callable[[Answer | Exception], object]


_tasks = Tasks("batch")

ALONE_AT_ONCE = 8
"""Items of a batch that failed which are tried alone at the same time: one may have to wait."""

TRY_AGAIN = 0.25
"""Seconds between tries to write while that fails; the rows stay claimed meanwhile."""

GATHERING = 0.005
"""Seconds that the others of a crowd are waited for at most."""

MOST_UNITS = 50
"""So many are tried apart while what fails is no row's fault: there may be no good row."""


class Batcher(Generic[Item, Answer]):
    """Runs `work` on batches, one at a time. An answer that is an exception is raised to its asker.

    If `work` itself fails, each item of the batch is tried alone, so that one bad item harms no
    other. `rests` is called whenever nothing is left to do.

    `crowd`: after a batch of so many its askers, who may ask again at once, are waited for before
    the next, `GATHERING` at most. Else the halves of a crowd take turns for ever, and each pays for
    batches of its own. 0: nobody is waited for.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        most: int,
        rests: Callable[[], object] | None = None,
        crowd: int = 0,
    ) -> None:
        self._work = work
        self._most = most
        self._rests = rests
        self._crowd = crowd
        self._enough = 0
        self._gathered = asyncio.Event()
        self._waiting: list[tuple[Item, Heard[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many items wait for their batch."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Answer:
        """The answer to `item`. A caller that goes away does not take its item back."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.put(item, partial(_settle, future))
        try:
            return await future
        finally:
            del future  # what is raised knows this frame: together they would keep all it holds

    def put(self, item: Item, heard: Heard[Answer]) -> None:
        """Have `item` worked on; `heard` is called with its answer, or with why there is none.

        In a turn of the loop after that: the next batch has begun by then.
        """
        self._waiting.append((item, heard))
        if 0 < self._enough <= len(self._waiting):
            self._gathered.set()
        if self._running is None:
            self._running = _tasks.spawn("run", self._run(), of_all=True)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._do(batch)
                if 0 < self._crowd <= len(batch):
                    await self._gather(min(len(batch) + len(self._waiting), self._most))
        finally:
            self._running = None
            if self._rests is not None and not self._waiting:
                self._rests()

    async def _gather(self, enough: int) -> None:
        """Wait until so many wait: as many as the last batch had, and who came meanwhile."""
        self._enough = enough
        self._gathered.clear()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHERING):
                    await self._gathered.wait()
        finally:
            self._enough = 0

    async def _do(self, batch: list[tuple[Item, Heard[Answer]]]) -> None:
        try:
            answers = await self._work([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  (whatever it is, its askers must hear of it)
            if len(batch) == 1 or is_away(error):  # away it is for all who asked
                answers = [error] * len(batch)
            else:
                for start in range(0, len(batch), ALONE_AT_ONCE):
                    alone = batch[start : start + ALONE_AT_ONCE]
                    await asyncio.gather(*(self._do([one]) for one in alone))
                return
        soon = asyncio.get_running_loop().call_soon
        for (_, heard), answer in zip(batch, answers, strict=True):
            soon(heard, answer)  # each by itself: one that fails is no fault of the others


def _settle(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


class Lanes(Generic[Key, Item, Answer]):
    """A Batcher for each key: who waits for what one key needs keeps no other key waiting.

    `work` gets the key and a batch. More than `most_waiting` in one lane are refused: Unavailable.
    `crowd` is as of a Batcher: each lane waits for its own.
    """

    def __init__(
        self,
        work: Callable[[Key, Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        most: int,
        most_waiting: int,
        crowd: int = 0,
    ) -> None:
        self._work = work
        self._most = most
        self._most_waiting = most_waiting
        self._crowd = crowd
        self._lanes: dict[Key, Batcher[Item, Answer]] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    async def submit(self, key: Key, item: Item) -> Answer:
        """The answer to `item`, which is worked on with what else comes for this key."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.put(key, item, partial(_settle, future))
        try:
            return await future
        finally:
            del future  # as in Batcher.submit

    def put(self, key: Key, item: Item, heard: Heard[Answer]) -> None:
        """As `submit`, but for whom `heard` tells of it (`Batcher.put`). Raises Unavailable."""
        lane = self._lanes.get(key)
        if lane is None:
            work, rests = partial(self._work, key), partial(self._lanes.pop, key, None)
            lane = self._lanes[key] = Batcher(work, self._most, rests, self._crowd)
        if lane.waiting >= self._most_waiting:
            raise Unavailable("busy", "too many requests wait for the same thing; try again")
        lane.put(item, heard)


class Writable(Protocol):
    """An item of a GroupWriter."""

    @property
    def key(self) -> Hashable:
        """What it is written of: no two that wait have the same."""

    @property
    def bare(self) -> bool:
        """Whether it holds nothing any more that came from outside."""

    def laid_bare(self) -> Self:
        """The same without anything that others have written."""


Written = TypeVar("Written", bound=Writable)
State = TypeVar("State")


class GroupWriter(Generic[Written, State]):
    """Writes items together, and keeps each until it is written, whatever happens.

    `write` returns by key what became of each, and leaves out those whose row another transaction
    has locked; `told` hears of the others. `split` makes units of what has gathered, each of which
    is written in one go, `at_once` of them at a time. `pause` gets how many have gathered, and
    returns how many seconds to wait for more; as long as more come it is asked again, for `longest`
    seconds at most.

    A unit is kept while the database is away; what is locked is tried again in a moment, and the
    others go on. What no database can hold (SQLSTATE classes 22 and 23) is found by halves, and
    written bare; if that fails too it is given up, and `lost` hears of it.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[Written]], Awaitable[Mapping[Any, State]]],
        split: Callable[[Sequence[Written]], list[list[Written]]],
        told: Callable[[Written, State], None],
        pause: Callable[[int], float],
        at_once: int = 1,
        lost: Callable[[Written], None] = lambda _: None,
        longest: float = 0.0,
    ) -> None:
        self._write = write
        self._split = split
        self._told = told
        self._lost = lost
        self._pause = pause
        self._longest = longest
        self._health = Health(name)
        self._at_once = asyncio.Semaphore(at_once)
        self._new: list[Written] = []
        self._units: list[list[Written]] = []
        self._locked: list[Written] = []
        self._again = 0.0
        self._wake = asyncio.Event()
        self._soon = asyncio.Event()
        self._gathering = False
        self.idle = asyncio.Event()
        self.idle.set()

    def add(self, item: Written) -> None:
        """Have an item written."""
        if not self._new:
            self.idle.clear()
            self._wake.set()
        self._new.append(item)
        if self._gathering and self._pause(len(self._new)) <= 0:
            self._soon.set()

    def hurry(self) -> None:
        """The database is back: try at once what could not be written."""
        self._soon.set()
        self._wake.set()

    def kept(self) -> list[Written]:
        """What is not written yet."""
        return [*self._new, *self._locked, *chain.from_iterable(self._units)]

    async def run(self) -> None:
        """Write what comes, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._anything()
            await self._gather()
            gathered, self._new = self._new, []
            if self._soon.is_set() or loop.time() >= self._again:
                gathered, self._locked = gathered + self._locked, []
            # a unit leaves the list when it is written, and not before
            self._units += self._split(gathered)
            self._soon.clear()
            if all(await asyncio.gather(*map(self._try, self._units))):
                self._health.well()
            else:
                await self._wait(TRY_AGAIN)

    async def _anything(self) -> None:
        """Wait for something to write."""
        if self._new or self._units:
            return
        self._wake.clear()
        if not self._locked:
            self.idle.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._again if self._locked else None):
                await self._wake.wait()

    async def _gather(self) -> None:
        """Wait for others to go with these, as long as there are any to wait for."""
        pause = self._pause(len(self._new))
        if pause <= 0:
            await asyncio.sleep(0)
            return
        self._gathering = True
        clock, before = asyncio.get_running_loop().time, 0
        until = clock() + max(pause, self._longest)
        try:
            while pause > 0 and len(self._new) > before and not self._soon.is_set():
                before = len(self._new)
                await self._wait(pause)
                pause = min(self._pause(len(self._new)), until - clock())
        finally:
            self._gathering = False

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._soon.wait()

    async def _try(self, unit: list[Written]) -> bool:
        """Whether there is no cause to wait: it is written, or has been taken apart."""
        try:
            async with self._at_once:
                states = await self._write(unit)
        except Exception as error:  # noqa: BLE001  (whatever it is, the items are kept)
            return self._not_written(unit, error)
        self._units.remove(unit)
        locked = [item for item in unit if item.key not in states]
        if locked:
            self._locked += locked
            self._again = asyncio.get_running_loop().time() + TRY_AGAIN
            unit = [item for item in unit if item.key in states]
        for item in unit:
            self._tell(item, states[item.key])
        return True

    def _not_written(self, unit: list[Written], error: Exception) -> bool:
        if not is_at_fault(error):
            self._health.failed(error)
            if not is_transient(error) and len(unit) > 1 and len(self._units) < MOST_UNITS:
                self._halve(unit)  # whatever it is, of a trigger or a broken page: not all have it
            return False
        if len(unit) > 1:
            self._halve(unit)
            return True
        self._units.remove(unit)
        if not unit[0].bare:
            log.error("result_written_bare", item=str(unit[0].key), error=name_of(error))
            self._units.append([unit[0].laid_bare()])
        else:
            log.critical("result_not_written", item=str(unit[0].key), error=name_of(error))
            self._lost(unit[0])
        return True

    def _halve(self, unit: list[Written]) -> None:
        half = len(unit) // 2
        self._units.remove(unit)
        self._units += [unit[:half], unit[half:]]

    def _tell(self, item: Written, state: State) -> None:
        try:
            self._told(item, state)
        except Exception:
            log.exception("result_not_told", item=str(item.key))


ENCODERS = (ValueError, TypeError, ArithmeticError)
"""What encoders raise of a value that they cannot write: JSON's, the driver's, of text.

Anything else, as what a loop says of a connection that has just ended, is no word about an item.
"""


def is_at_fault(error: Exception) -> bool:
    """Whether it is an item that is bad, not the database: SQL's word, or our encoder's."""
    if is_transient(error):
        return False
    return is_row_fault(error) or isinstance(error, (DataError, IntegrityError, *ENCODERS))


def by_size(items: Sequence[Written], most: int) -> list[list[Written]]:
    """Items in their order, so many in a unit at most."""
    return [list(items[at : at + most]) for at in range(0, len(items), most)]
