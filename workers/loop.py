"""One asyncio loop per worker process, on a thread of its own.

It is started when Celery's worker is set up and before the broker is reached: pushes that are due
are swept with no Redis at all. It is drained when the worker shuts down.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from app.calls import reach
from app.credentials import key_check
from app.credentials import service as credentials
from app.infra import process
from app.infra.outage import DatabaseAway, is_transient
from app.infra.push_hints import PushHint
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings
from app.infra.tasks import Tasks
from app.infra.traces import open_traces
from app.push.dispatch import LEASE, Dispatcher
from app.webhooks import backlog
from app.webhooks.dispatcher import WebhookDispatcher, free_orphans
from workers import analyzing, partitions, removal, retention

log = structlog.get_logger(__name__)

LIFE = 0.5
SWEEP = 1.0
WARM = 2.0
LOOK = 0.1
FORGET = 300.0
MEASURE = 10.0
DRAIN = 10.0

RENEW_WITHIN = 1.5
"""Seconds for the lease to be renewed: less than it lasts, so that there is a second try."""

MISSES = 2
"""Renewals in a row that fail until the pool is thrown away."""

KEY_WITHIN = 3.0
"""Seconds for the database to say whether the key is its own."""

STUCK = 30.0
"""Seconds without a turn of the loop after which it is better to be started again."""

Round = Callable[[Runtime, Dispatcher], Awaitable[object]]


class Loop:
    """The loop's thread, the runtime on it, and the rounds that it goes."""

    def __init__(self, settings: Settings, sweep: Round) -> None:
        self._settings = settings
        self._sweep = sweep
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)
        self._stop: asyncio.Event | None = None
        self._missed = 0
        self._sweeps = False
        self._beat = 0.0
        self._rounds = Tasks("worker")
        self._sends = Tasks("worker")
        self.runtime: Runtime | None = None
        self.dispatcher: Dispatcher | None = None
        self.webhook_dispatcher: WebhookDispatcher | None = None

    def start(self) -> None:
        """Start the thread; returns when the loop takes work."""
        self._beat = time.monotonic()
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise SystemExit(f"the worker's loop did not start: {self._failed}")

    def submit(self, work: Callable[[Dispatcher], Coroutine[Any, Any, object]]) -> None:
        """Have `work` done on the loop; never waits for it."""
        assert self._loop is not None
        assert self.dispatcher is not None
        # if it fails the rows still say what is to be done: the sweep will
        self._loop.call_soon_threadsafe(self._spawn, work)

    def deliver(self) -> None:
        """Have the dispatcher look what is due to webhooks; never waits for it."""
        assert self._loop is not None
        if self.webhook_dispatcher is not None:
            self._loop.call_soon_threadsafe(self.webhook_dispatcher.wake)

    def stop(self) -> None:
        """Drain and end; returns when all is recorded, or after a bounded time."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DRAIN + 5)

    def stuck(self) -> str | None:
        """A word if the loop's thread has ended or does not come round; from any thread."""
        if not self._thread.is_alive():
            return "loop_ended"
        return "loop_stuck" if time.monotonic() > self._beat + STUCK else None

    def unready(self) -> str | None:
        """A word if this worker does not claim: it stops, or its lease has run out."""
        if self._stop is None or self._stop.is_set():
            return "stopping"
        held = self.dispatcher is not None and self.dispatcher.life.is_alive()
        return None if held else "no_lease"

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._main())
        except key_check.WrongSecretKey as error:
            log.critical("wrong_secret_key", why=str(error))
            self._failed = error
        except Exception as error:
            log.exception("loop_ended")
            self._failed = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.runtime = open_runtime(self._settings, open_traces("ringline-worker"))
        await self._check_key(self.runtime)
        self.dispatcher = Dispatcher(self.runtime, partial(reach.mark, self.runtime))
        only = self._settings.worker_only
        if only != "pushes":
            self.webhook_dispatcher = WebhookDispatcher(self.runtime, self.dispatcher.worker_id)
            self.dispatcher.on_new_life = self.webhook_dispatcher.known_as
        self._ready.set()
        if only != "webhooks":
            rehearsal = self._sends.spawn("rehearse", self.dispatcher.rehearse())
            await asyncio.wait([rehearsal], timeout=5)
        process.settle_memory()
        alive = Tasks("worker")
        alive.every("show_life", LIFE, self._show_life, within=LEASE)
        self._rounds.every(
            "backlog", MEASURE, partial(backlog.measure, self.runtime.database), within=10
        )
        if only != "webhooks":
            self._begin_rounds(self.runtime, self.dispatcher)
        if self.webhook_dispatcher is not None:
            self._begin_rounds_of_webhooks(self.runtime, self.dispatcher, self.webhook_dispatcher)
        await self._stop.wait()
        await self._rounds.stop()
        parts = [one for one in (self.webhook_dispatcher, self.dispatcher) if one is not None]
        stopped = await asyncio.gather(
            *(part.stop(DRAIN) for part in parts),
            return_exceptions=True,  # one must not keep the other from giving back what it has
        )
        for error in stopped:
            if isinstance(error, Exception) and not is_transient(error):
                log.error("stop_failed", exc_info=error)
        await self._sends.stop()
        await alive.stop()
        await self.runtime.close()

    async def _check_key(self, runtime: Runtime) -> None:
        """Refuse to start with a key that opens nothing; a database that is away or slow is no
        reason."""
        try:
            async with asyncio.timeout(KEY_WITHIN):
                await key_check.check(runtime.database, runtime.keyring)
        except Exception as error:
            if not (isinstance(error, TimeoutError) or is_transient(error)):
                raise

    async def _show_life(self) -> None:
        """Renew the lease. A pool that was silent twice is thrown away: new connections may do."""
        assert self.runtime is not None
        assert self.dispatcher is not None
        self._beat = time.monotonic()
        try:
            async with asyncio.timeout(RENEW_WITHIN):
                await self.dispatcher.show_life()
        except (TimeoutError, DatabaseAway):
            self._missed += 1
            if self._missed >= MISSES:
                self._missed = 0
                self.runtime.database.abandon()
            raise
        self._missed = 0

    def _begin_rounds(self, runtime: Runtime, dispatcher: Dispatcher) -> None:
        every = self._rounds.every
        every("sweep", SWEEP, partial(self._go_round, runtime, dispatcher), within=200)
        every("keep_warm", WARM, dispatcher.keep_warm, within=10)
        every("send_lost", SWEEP, dispatcher.send_lost, within=10)
        every("look", LOOK, dispatcher.look, within=10)
        progress = retention.Progress()
        every(
            "forget",
            FORGET,
            lambda: retention.forget_as_only(runtime, dispatcher.worker_id, progress),
            within=FORGET,
        )
        every(
            "partitions",
            partitions.EVERY,
            partial(partitions.keep_as_only, runtime, dispatcher.worker_id),
            within=partitions.EVERY,
        )
        if runtime.hints.on:
            hear = partial(runtime.hints.hear, self._hinted, dispatcher.is_idle)
            self._rounds.supervise("hear", hear)
        every("probe", SWEEP, partial(self._probe, runtime), within=60)
        every("remove", removal.EVERY, partial(self._remove, runtime), within=2 * removal.LONGEST)
        every("analyze", analyzing.EVERY, partial(self._analyze, runtime), within=120)

    def _hinted(self, hints: list[PushHint]) -> None:
        self._spawn(lambda dispatcher: dispatcher.send(hints))

    async def _go_round(self, runtime: Runtime, dispatcher: Dispatcher) -> None:
        self._sweeps = bool(await self._sweep(runtime, dispatcher))

    async def _probe(self, runtime: Runtime) -> None:
        """Beside the sweep, by the worker whose turn that was: services may take seconds."""
        if self._sweeps:
            await credentials.probe_due(runtime)

    async def _analyze(self, runtime: Runtime) -> None:
        """As `_probe`: for one worker to do, which nothing is kept waiting by."""
        if self._sweeps:
            await analyzing.analyze_grown(runtime.database)

    async def _remove(self, runtime: Runtime) -> None:
        """As `_analyze`."""
        if self._sweeps:
            await removal.remove(runtime)

    def _begin_rounds_of_webhooks(
        self, runtime: Runtime, dispatcher: Dispatcher, webhook_dispatcher: WebhookDispatcher
    ) -> None:
        self._rounds.every("deliver", SWEEP, webhook_dispatcher.look, within=10)
        if self._settings.worker_only is not None:  # who pushes sees to it in its sweep
            self._rounds.every("orphans", SWEEP, partial(_free, runtime, dispatcher), within=10)

    def _spawn(self, work: Callable[[Dispatcher], Coroutine[Any, Any, object]]) -> None:
        assert self.dispatcher is not None
        self._sends.spawn("send", work(self.dispatcher))


async def _free(runtime: Runtime, dispatcher: Dispatcher) -> None:
    """What the condemned had claimed of webhooks waits again, also when nobody is left to push."""
    await dispatcher.sweeping.condemn()
    await free_orphans(runtime)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415  (not everywhere)
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
