"""Work on many rows at once, of which one may be bad: what fails alone is left aside.

A batch is tried whole. If that fails it is halved, again and again, until what fails is one row:
that one is said once, left aside for a while, longer each time, and the others go on, now and in
the rounds that follow. A database that is away is nobody's fault: it is raised.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from typing import Final, Generic, TypeVar

import structlog

from app.infra.observe import ROWS_ASIDE, ROWS_FAILED
from app.infra.outage import is_away, is_transient

log = structlog.get_logger(__name__)

Key = TypeVar("Key", bound=Hashable)

FIRST, LONGEST = 2.0, 300.0
"""Seconds for which a row is left aside the first time, and at most; twice as long each time."""

MOST_ASIDE = 1_000
"""Rows that are left aside at most: beyond it the oldest are tried again."""

MOST_BAD = 20
"""Bad rows looked for in one round: the rest of the batch has its turn in the next."""

ROUND = 3.0
"""Seconds after which a search for bad rows, or for more of them, goes on in the next round: other
steps, and other tenants' rows, wait meanwhile."""


AHEAD: Final = 20
"""Batches whose rows are looked for together, of what is deleted: see `found_ahead`."""


class Halt(Exception):
    """Raised by work that nobody is to do now: another process is at it, say."""


class Aside(Generic[Key]):
    """The rows of one step that failed alone, and until when each is passed over."""

    def __init__(self, step: str) -> None:
        self.step = step
        self._until: dict[Key, tuple[float, float]] = {}

    def keys(self) -> list[Key]:
        """Rows to be passed over now."""
        now = time.monotonic()
        return [key for key, (until, _) in self._until.items() if until > now]

    def add(self, key: Key, error: Exception) -> None:
        """This row failed alone; said the first time only."""
        _, rest = self._until.pop(key, (0.0, 0.0))
        if not rest:
            log.error("row_left_aside", step=self.step, row=str(key), exc_info=error)
        rest = min(LONGEST, 2 * rest) or FIRST
        self._until[key] = (time.monotonic() + rest, rest)
        if len(self._until) > MOST_ASIDE:
            self._until.pop(next(iter(self._until)))
        ROWS_FAILED.labels(self.step).inc()
        ROWS_ASIDE.labels(self.step).set(len(self._until))

    def remove(self, keys: Sequence[Key]) -> None:
        """These went well, whatever they did before."""
        for key in keys if self._until else ():
            if self._until.pop(key, None) is not None:
                log.info("row_taken_again", step=self.step, row=str(key))
        ROWS_ASIDE.labels(self.step).set(len(self._until))


async def by_halves(
    keys: Sequence[Key],
    work: Callable[[Sequence[Key]], Awaitable[object]],
    aside: Aside[Key],
) -> None:
    """Do `work` (a transaction of its own) on all keys, or on all but those that fail alone.

    What is not reached, with many bad rows or for want of time, is left for the next round.
    Raises Halt, and what no row can be at fault for.
    """
    end = time.monotonic() + ROUND
    bad: dict[Key, Exception] = {}
    waiting = [list(keys)] if keys else []
    try:
        while waiting and len(bad) < MOST_BAD and time.monotonic() < end:
            part = waiting.pop()
            try:
                await work(part)
            except Exception as error:
                if isinstance(error, Halt) or is_away(error):
                    raise
                if len(part) == 1:
                    bad[part[0]] = error
                    continue
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
            else:
                aside.remove(part)
    finally:
        for key, why in bad.items():
            aside.add(key, why)


async def rows_alone(
    keys: Sequence[Key],
    work: Callable[[Sequence[Key]], Awaitable[object]],
    aside: Aside[Key],
) -> None:
    """`by_halves` for work that cannot wait for a row's turn: what may pass by itself is raised.

    A time-out or a deadlock is then no row's fault, and none is left aside for it.
    """

    async def of_rows(some: Sequence[Key]) -> None:
        try:
            await work(some)
        except Exception as error:
            if is_transient(error):
                raise Halt from error
            raise

    try:
        await by_halves(keys, of_rows, aside)
    except Halt as halt:
        if halt.__cause__ is None:
            raise
        raise halt.__cause__ from None


async def found_ahead(
    find: Callable[[int], Awaitable[Sequence[Key]]], batch: int, ahead: int = 1
) -> AsyncGenerator[Sequence[Key], None]:
    """What `find` finds, by the batch; it gets how many rows there may be.

    `ahead`: so many batches are looked for at once. Where found rows are deleted each look passes
    over all that is deleted already, until a vacuum, which a dump or a long transaction holds back.
    It ends where `find` finds fewer, or nothing new: what somebody holds the next round finds.
    """
    before: set[Key] = set()
    while True:
        keys = await find(batch * ahead)
        for begin in range(0, len(keys), batch):
            yield keys[begin : begin + batch]
        if len(keys) < batch * ahead or before >= set(keys):
            return
        before = set(keys)


async def sweep(
    find: Callable[[int, Sequence[Key]], Awaitable[Sequence[Key]]],
    work: Callable[[Sequence[Key]], Awaitable[object]],
    aside: Aside[Key],
    batch: int,
    *,
    lanes: int = 1,
) -> int:
    """`sweep_for` a round; returns how many rows it looked at."""
    looked, _ = await sweep_for(find, work, aside, batch, ROUND, lanes=lanes)
    return looked


async def sweep_for(
    find: Callable[[int, Sequence[Key]], Awaitable[Sequence[Key]]],
    work: Callable[[Sequence[Key]], Awaitable[object]],
    aside: Aside[Key],
    batch: int,
    seconds: float,
    *,
    lanes: int = 1,
    ahead: int = 1,
) -> tuple[int, bool]:
    """Do `work` on what `find` finds, by the batch, for so many seconds; returns how many rows it
    looked at, and whether that is all for now.

    `lanes`: so many batches at a time, each of other rows. `find` gets how many rows there may be,
    and those to pass over. `ahead`, and where it ends: see `found_ahead`.
    """
    looked, end = 0, time.monotonic() + seconds
    finding = found_ahead(lambda limit: find(limit, aside.keys()), batch * lanes, ahead)
    async with aclosing(finding) as found:
        async for keys in found:
            parts = [keys[begin : begin + batch] for begin in range(0, len(keys), batch)]
            done = await asyncio.gather(
                *(by_halves(part, work, aside) for part in parts), return_exceptions=True
            )
            for error in done:
                if error is not None:
                    raise error
            looked += len(keys)
            if time.monotonic() >= end:
                return looked, False
    return looked, True
