"""The sweep: every second on every worker's loop, one at a time, with no beat and no broker."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from app.calls import erase as erasing
from app.calls import reach
from app.calls import service as calls
from app.devices import service as devices
from app.infra.leases import as_only
from app.infra.observe import SWEEP_FAILING, SWEEP_FAILURES
from app.infra.outage import is_away
from app.infra.runtime import Runtime
from app.push.service import Dispatcher
from app.webhooks.dispatcher import free_orphans

log = structlog.get_logger(__name__)

Step = Callable[[], Awaitable[object]]

TOLD_EVERY = 60.0
"""Seconds between two log lines about a step that goes on failing."""

EVERY = 0.9
"""Seconds between two sweeps, however many workers there are, each of which looks once a second."""

LONGEST_STEP = 20.0
"""Seconds after which a step is ended, so that the others have their turn."""


class Steps:
    """The steps of the sweep, each apart: one that fails is counted and told, the others go on."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    async def go_through(self, steps: Mapping[str, Step]) -> None:
        """Do every step once, in order. Raises at once when the database is away."""
        for name, step in steps.items():
            try:
                async with asyncio.timeout(LONGEST_STEP) as limit:
                    await step()
            except Exception as error:
                self._failed(name, error)
                if is_away(error) and not limit.expired():
                    raise
            else:
                self._well(name)

    def _failed(self, name: str, error: Exception) -> None:
        SWEEP_FAILURES.labels(name).inc()
        SWEEP_FAILING.labels(name).set(1)
        now = time.monotonic()
        if now >= self._told.get(name, 0.0) + TOLD_EVERY and not is_away(error):
            self._told[name] = now
            log.error("sweep_step_failed", step=name, exc_info=error)

    def _well(self, name: str) -> None:
        SWEEP_FAILING.labels(name).set(0)
        if self._told.pop(name, None) is not None:
            log.info("sweep_step_well_again", step=name)


STEPS = Steps()
LOOK_AGAIN = 5.0
"""Seconds between two looks for rings that a worker's end left without a word: they are few."""

_looked = [0.0]


async def _now_and_then(step: Step) -> None:
    now = time.monotonic()
    if now >= _looked[0] + LOOK_AGAIN:
        _looked[0] = now
        await step()


async def sweep(runtime: Runtime, dispatcher: Dispatcher) -> None:
    """Go once through all that time brings, unless another worker is at it or has just been."""

    async def rounds() -> None:
        await STEPS.go_through(
            {
                "calls": lambda: calls.sweep(runtime),
                "late devices": lambda: calls.ring_late_devices(runtime),
                "large calls": lambda: calls.tell_large_calls(runtime),
                "due pushes": dispatcher.sweeping.send_due,
                "orphaned pushes": dispatcher.sweeping.send_orphans,
                "expired pushes": dispatcher.sweeping.expire,
                "orphaned deliveries": lambda: free_orphans(runtime),
                "dead workers": dispatcher.sweeping.forget_dead_workers,
                "unreachable": lambda: _now_and_then(partial(reach.sweep, runtime)),
                "erasures": lambda: erasing.sweep(runtime),
                "expired tokens": lambda: devices.sweep(runtime),
            }
        )

    await as_only(runtime.database, "sweep", dispatcher.worker_id, rounds, every=EVERY)
