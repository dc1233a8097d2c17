"""Group commit: what arrives while one batch runs goes into the next; a lone one never waits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.infra.outage import is_away
from app.infra.tasks import Tasks

Item = TypeVar("Item")
Answer = TypeVar("Answer")


_tasks = Tasks("batch")


class Gather(Generic[Item, Answer]):
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
                for one in batch:
                    await self._do([one])
                return
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
