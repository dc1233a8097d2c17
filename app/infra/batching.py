"""Group commit: what arrives while one batch runs goes into the next; a lone one never waits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.infra.errors import Unavailable
from app.infra.outage import is_away
from app.infra.tasks import Tasks

Key = TypeVar("Key")
Item = TypeVar("Item")
Answer = TypeVar("Answer")


_tasks = Tasks("batch")

ALONE_AT_ONCE = 8
"""Items of a batch that failed which are tried alone at the same time: one may have to wait."""


class Batcher(Generic[Item, Answer]):
    """Runs `work` on batches, one at a time. An answer that is an exception is raised to its asker.

    If `work` itself fails, each item of the batch is tried alone, so that one bad item harms no
    other.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]], most: int
    ) -> None:
        self._work = work
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many items wait for their batch."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._running is None and not self._waiting

    async def submit(self, item: Item) -> Answer:
        """The answer to `item`. A caller that goes away does not take its item back."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = _tasks.spawn("run", self._run(), of_all=True)
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._do(batch)
        finally:
            self._running = None

    async def _do(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
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
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class Lanes(Generic[Key, Item, Answer]):
    """A Gather for each key: who waits for what one key needs keeps no other key waiting.

    `work` gets the key and a batch. More than `most_waiting` in one lane are refused: Unavailable.
    """

    def __init__(
        self,
        work: Callable[[Key, Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        most: int,
        most_waiting: int,
    ) -> None:
        self._work = work
        self._most = most
        self._most_waiting = most_waiting
        self._lanes: dict[Key, Batcher[Item, Answer]] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    async def submit(self, key: Key, item: Item) -> Answer:
        """The answer to `item`, which is worked on with what else comes for this key."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Batcher(lambda items: self._work(key, items), self._most)
        if lane.waiting >= self._most_waiting:
            raise Unavailable("busy", "too many requests wait for the same thing; try again")
        try:
            return await lane.submit(item)
        finally:
            if lane.idle and self._lanes.get(key) is lane:
                del self._lanes[key]
