"""Background tasks: all of them are started here, so that none ends in silence and none is lost.

A long-lived task is supervised: whatever it raises is counted and told, and it is started again
after a pause that grows to five seconds. A short-lived one (one claim, one connection) is kept from
the garbage collector, counted while it runs, and told of when it fails. `supervised()` lists what a
process has. What to watch: `ringline_tasks_failing` and `ringline_task_failures_total`.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from prometheus_client import Gauge

from app.infra.observe import TASKS
from app.infra.supervision import FIRST_PAUSE, STEADY, Health, pause, registry, supervised

__all__ = ["Supervised", "Tasks", "beside", "supervised"]

DEAF = 1.0
"""Seconds after which a task is cancelled again: a library may take it for a lost connection."""

T = TypeVar("T")
Work = Callable[[], Awaitable[object]]


class EndedByItself(Exception):
    """A task that is to run as long as its process has returned, or was cancelled by others."""


class TookTooLong(Exception):
    """A round of work was not done within its time, and has been cancelled."""


class Supervised:
    """A long-lived task: its work is started again whenever it ends, until it is cancelled."""

    def __init__(self, name: str, work: Callable[[Health], Coroutine[Any, Any, object]]) -> None:
        self.name = name
        self.restarts = 0
        self.health = Health(name)
        self.loop = asyncio.get_running_loop()
        self._work = work
        self._fault: BaseException | None = None
        self._inner: asyncio.Task[object] | None = None
        # a context of its own: it belongs to no request, whoever happened to start it
        self._task = self.loop.create_task(self._run(), name=name, context=contextvars.Context())
        registry.add(self)
        self._task.add_done_callback(lambda _: registry.discard(self))

    @property
    def running(self) -> bool:
        """Whether its work runs at this moment: not in the pause before a restart."""
        return self._inner is not None and not self._inner.done()

    def fail(self, error: Exception) -> None:
        """Have its work fail with `error` where it stands: a drill. From any thread."""
        self.loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: Exception) -> None:
        if self._task.done():
            return
        if self._inner is None or self._inner.done():  # it is about to begin (again)
            self.loop.call_later(FIRST_PAUSE, self._fail, error)
            return
        self._fault = error
        self._cancel_work(self._inner)

    def _cancel_work(self, inner: asyncio.Task[object]) -> None:
        if not inner.done():
            inner.cancel()
            self.loop.call_later(DEAF, self._cancel_work, inner)

    async def stop(self) -> None:
        """End it; it is not started again."""
        await _cancel([self._task])

    async def _run(self) -> None:
        while True:
            begun = self.loop.time()
            error = await self._once()
            if self.loop.time() > begun + STEADY:
                self.health.well()
            self.health.failed(error)
            await asyncio.sleep(pause(self.health))
            self.restarts += 1

    async def _once(self) -> BaseException:
        """Run the work to its end, which is always a failure; returns what it was."""
        inner = self._inner = self.loop.create_task(self._work(self.health), name=self.name)
        steady = self.loop.call_later(STEADY, self.health.well)
        try:
            await asyncio.wait([inner])
        except asyncio.CancelledError:  # it is to end for good, not merely its work
            await _cancel([inner])
            raise
        finally:
            steady.cancel()
        fault, self._fault = self._fault, None
        if inner.cancelled():
            return fault or EndedByItself(f"{self.name} was cancelled")
        return inner.exception() or fault or EndedByItself(f"{self.name} returned")


class Tasks:
    """The tasks of one owner, which stops them; their names begin with the owner's."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._supervised: list[Supervised] = []
        self._short: dict[asyncio.Task[Any], bool] = {}
        self._health: dict[str, Health] = {}
        self._gauges: dict[str, Gauge] = {}

    def supervise(self, name: str, work: Work) -> Supervised:
        """Keep `work()` running until it is stopped."""

        async def run(_health: Health) -> None:
            await work()

        return self._start(name, run)

    def every(self, name: str, seconds: float, work: Work, *, within: float) -> Supervised:
        """Do `work()` again and again, `seconds` from start to start, each time `within` seconds.

        A round that fails, or takes longer, counts as a failure of the task; the next one begins
        in its time.
        """

        async def run(health: Health) -> None:
            while True:
                begun = asyncio.get_running_loop().time()
                await _round(health, work, within)
                passed = asyncio.get_running_loop().time() - begun
                await asyncio.sleep(max(0.05, seconds - passed))

        return self._start(name, run)

    def spawn(
        self,
        name: str,
        work: Coroutine[Any, Any, T],
        *,
        awaited: bool = False,
        of_all: bool = False,
    ) -> asyncio.Task[T]:
        """Do `work` beside, and end.

        `awaited`: somebody awaits the task, and hears there how it failed. `of_all`: it works for
        others than the request that happens to start it, whose id is not on its log lines.
        """
        task = asyncio.get_running_loop().create_task(
            work,
            name=f"{self._owner}.{name}",
            context=contextvars.Context() if of_all else None,
        )
        self._short[task] = awaited
        _short.add(task)
        self._gauge(task.get_name()).inc()
        task.add_done_callback(self._ended)
        return task

    async def stop(self, within: float = 0.0) -> None:
        """Cancel the long-lived ones; short ones may end within so many seconds first."""
        await asyncio.gather(*(one.stop() for one in self._supervised))
        self._supervised.clear()
        deadline = asyncio.get_running_loop().time() + within
        while self._short and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._short, timeout=left)  # what ends may have begun another
        await _cancel(self._short)

    def _start(
        self, name: str, work: Callable[[Health], Coroutine[Any, Any, object]]
    ) -> Supervised:
        one = Supervised(f"{self._owner}.{name}", work)
        self._supervised.append(one)
        return one

    def _gauge(self, name: str) -> Gauge:
        found = self._gauges.get(name)
        if found is None:  # to look it up costs more than to start a task
            found = self._gauges[name] = TASKS.labels(name)
        return found

    def _ended(self, task: asyncio.Task[Any]) -> None:
        awaited, name = self._short.pop(task), task.get_name()
        _short.discard(task)
        self._gauge(name).dec()
        if awaited or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._health.setdefault(name, Health(name)).failed(error)
        elif name in self._health:
            self._health[name].well()


def start_thread(name: str, work: Callable[[], None]) -> None:
    """Do what blocks on a thread that nobody waits for: not the loop, and not the process's end.

    `work` raises nothing, and its number at a time is bounded by who starts it.
    """
    threading.Thread(target=work, name=name, daemon=True).start()


_short: set[asyncio.Task[Any]] = set()
"""Loops know their tasks by weak references only."""


_beside = Tasks("beside")


@contextlib.asynccontextmanager
async def beside(name: str, work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Do `work` while the block runs; it ends with the block at the latest.

    What it has raised by then is raised after the block.
    """
    task = _beside.spawn(name, work, awaited=True)
    try:
        yield task
    finally:
        await _cancel([task])
        error = None if task.cancelled() else task.exception()
    if error is not None:
        raise error


async def _round(health: Health, work: Work, within: float) -> None:
    try:
        async with asyncio.timeout(within) as limit:
            await work()
    except TimeoutError as error:
        late = TookTooLong(f"not done within {within} s") if limit.expired() else error
        health.failed(late)
    except Exception as error:  # noqa: BLE001  (whatever it is: counted, told, and gone on)
        health.failed(error)
    else:
        health.well()


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel these tasks until they have ended, even if this is cancelled meanwhile itself."""
    left = {task for task in tasks if not task.done()}
    cancelled: asyncio.CancelledError | None = None
    while left:
        for task in left:
            task.cancel()
        try:
            _, left = await asyncio.wait(left, timeout=DEAF)
        except asyncio.CancelledError as error:
            cancelled, left = error, {task for task in left if not task.done()}
    if cancelled is not None:
        raise cancelled
