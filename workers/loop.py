"""One asyncio loop per worker process, on a thread of its own.

It is started when Celery's worker is set up and before the broker is reached: pushes that are due
are swept with no Redis at all. It is drained when the worker shuts down.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from app.credentials import service as credentials
from app.infra import memory
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings
from app.push.service import Dispatcher
from app.webhooks.dispatcher import Courier
from workers import retention

log = structlog.get_logger(__name__)

LIFE = 0.5
SWEEP = 1.0
LOOK = 0.25
FORGET = 300.0
DRAIN = 10.0

Round = Callable[[Runtime, Dispatcher], Awaitable[object]]


class Loop:
    """The loop's thread, the runtime on it, and the rounds that it goes."""

    def __init__(self, settings: Settings, sweep: Round) -> None:
        self._settings = settings
        self._sweep = sweep
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)
        self._stop: asyncio.Event | None = None
        self.runtime: Runtime | None = None
        self.dispatcher: Dispatcher | None = None
        self.courier: Courier | None = None

    def start(self) -> None:
        """Start the thread; returns when the loop takes work."""
        self._thread.start()
        self._ready.wait()

    def submit(self, work: Callable[[Dispatcher], Coroutine[Any, Any, object]]) -> None:
        """Have `work` done on the loop; never waits for it."""
        assert self._loop is not None
        assert self.dispatcher is not None
        future = asyncio.run_coroutine_threadsafe(work(self.dispatcher), self._loop)
        future.add_done_callback(_report)

    def deliver(self) -> None:
        """Have the courier look what is due to webhooks; never waits for it."""
        assert self._loop is not None
        assert self.courier is not None
        self._loop.call_soon_threadsafe(self.courier.wake)

    def stop(self) -> None:
        """Drain and end; returns when all is recorded, or after a bounded time."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DRAIN + 5)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.runtime = open_runtime(self._settings)
        self.dispatcher = Dispatcher(self.runtime)
        self.courier = Courier(self.runtime, self.dispatcher.worker_id)
        self._ready.set()
        await _tried(self.dispatcher.rehearse)
        memory.settle()
        rounds = [
            asyncio.create_task(_every(LIFE, self.dispatcher.show_life)),
            asyncio.create_task(_every(SWEEP, self._go_round)),
            asyncio.create_task(_every(SWEEP, self.dispatcher.keep_warm)),
            asyncio.create_task(_every(SWEEP, self.dispatcher.send_lost)),
            asyncio.create_task(_every(LOOK, self.dispatcher.withdraw_settled)),
            asyncio.create_task(_every(SWEEP, self.courier.look)),
            asyncio.create_task(_every(FORGET, partial(retention.forget, self.runtime))),
            asyncio.create_task(_every(SWEEP, partial(credentials.probe_due, self.runtime))),
        ]
        await self._stop.wait()
        for task in rounds[1:]:
            task.cancel()
        await asyncio.gather(self.courier.stop(DRAIN), self.dispatcher.stop(DRAIN))
        rounds[0].cancel()
        await asyncio.gather(*rounds, return_exceptions=True)
        await self.runtime.close()

    async def _go_round(self) -> None:
        assert self.runtime is not None
        assert self.dispatcher is not None
        await self._sweep(self.runtime, self.dispatcher)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415  (not everywhere)
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _tried(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except Exception:
        log.exception("round_failed", work=_name_of(work))


def _name_of(work: Callable[[], Awaitable[object]]) -> str:
    inner = work.func if isinstance(work, partial) else work
    return str(getattr(inner, "__qualname__", inner))


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` again and again; what goes wrong is logged and tried again."""
    loop = asyncio.get_running_loop()
    while True:
        begun = loop.time()
        await _tried(work)
        await asyncio.sleep(max(0.05, begun + seconds - loop.time()))


def _report(future: Any) -> None:
    if not future.cancelled() and future.exception() is not None:
        # the rows still say what is to be done: the sweep will
        log.error("task_failed", exc_info=future.exception())
