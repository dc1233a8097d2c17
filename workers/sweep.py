"""The sweep: every second on every worker's loop, one at a time, with no beat and no broker."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from app.calls import closing, reach
from app.calls import erase as erasing
from app.calls import service as calls
from app.devices import service as devices
from app.infra.leases import as_only
from app.infra.observe import SWEEP_FAILING, SWEEP_FAILURES
from app.infra.outage import is_away
from app.infra.runtime import Runtime
from app.push.dispatch import Dispatcher
from app.webhooks.dispatcher import free_orphans

log = structlog.get_logger(__name__)

Step = Callable[[], Awaitable[object]]

TOLD_EVERY = 60.0
"""Seconds between two log lines about a step that goes on failing."""

EVERY = 0.9
"""Seconds between two sweeps, however many workers there are, each of which looks once a second."""

OTHERS_AFTER = 0.4
"""Seconds by which it must be late for another worker to take it over."""

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
SELDOM = {
    "orphaned deliveries": 2.0,
    "erasures": 2.0,
    "deleted tenants": 2.0,
    "unreachable": 5.0,
    "expired tokens": 5.0,
    "dead workers": 60.0,
}
"""Seconds between two goes through the steps that nobody waits for."""


class Pace:
    """When each of the steps that are seldom gone through is due in this process."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def due(self, steps: Mapping[str, Step]) -> dict[str, Step]:
        """Those of these steps whose turn has come."""
        now = time.monotonic()
        found = {name: step for name, step in steps.items() if now >= self._due.get(name, 0.0)}
        self._due |= {name: now + SELDOM[name] for name in found if name in SELDOM}
        return found


async def sweep(runtime: Runtime, dispatcher: Dispatcher) -> bool:
    """Go once through all that time brings, unless another worker is at it or has just been.

    Returns whether it was this worker's turn.
    """
    pace = runtime.keep("workers.sweep", Pace)

    async def rounds() -> None:
        steps: dict[str, Step] = {
            "calls": lambda: calls.sweep(runtime),
            "late devices": lambda: calls.ring_late_devices(runtime),
            "large calls": lambda: calls.tell_large_calls(runtime),
            "due pushes": dispatcher.sweeping.send_due,
            "orphaned pushes": dispatcher.sweeping.send_orphans,
            "expired pushes": dispatcher.sweeping.expire,
            "orphaned deliveries": lambda: free_orphans(runtime),
            "dead workers": dispatcher.sweeping.forget_dead_workers,
            "unreachable": partial(reach.sweep, runtime),
            "erasures": lambda: erasing.sweep(runtime),
            "expired tokens": lambda: devices.sweep(runtime),
            "deleted tenants": partial(closing.end_calls, runtime),
        }
        await STEPS.go_through(pace.due(steps))

    return await as_only(
        runtime.database,
        "sweep",
        dispatcher.worker_id,
        rounds,
        every=EVERY,
        others_after=OTHERS_AFTER,
    )
