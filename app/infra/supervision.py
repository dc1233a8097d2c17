"""What supervised tasks and threads share: the registry, what is known of failures, the pauses."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from app.infra.observe import TASK_FAILURES, TASKS_FAILING
from app.infra.outage import NOT_MIGRATED, is_transient, lacks_schema

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
STEADY = 30.0
"""Seconds after which a task that runs is well again: its next failure is a first one."""

TOLD_EVERY = 60.0
"""Seconds between two log lines about the same trouble of one task."""


class LongLived(Protocol):
    """A task or thread that runs as long as its process."""

    name: str
    restarts: int
    health: "Health"

    @property
    def running(self) -> bool:
        """Whether its work runs at this moment: not in the pause before a restart."""

    def fail(self, error: Exception) -> None:
        """Have its work fail with `error` where it stands: a drill of what a bug would do."""


registry: set[LongLived] = set()
"""All that run in this process."""


def supervised() -> list[LongLived]:
    """Every long-lived task and thread of this process that has not ended, by name."""
    return sorted(registry, key=lambda one: one.name)


class Health:
    """What is known of one task's failures: counts them, and tells without drowning the log."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures = 0
        self.in_a_row = 0
        self._told: dict[type[BaseException], float] = {}
        TASK_FAILURES.labels(name)
        TASKS_FAILING.labels(name).set(0)

    def failed(self, error: BaseException) -> None:
        """Count a failure; tell it unless one of its kind was told within the last minute.

        That the database is away is told by the door to it, once for all.
        """
        self.failures += 1
        self.in_a_row += 1
        TASK_FAILURES.labels(self.name).inc()
        TASKS_FAILING.labels(self.name).set(1)
        now = time.monotonic()
        if not is_transient(error) and now > self._told.get(type(error), -TOLD_EVERY) + TOLD_EVERY:
            self._told[type(error)] = now
            told = {"why": NOT_MIGRATED} if lacks_schema(error) else {"exc_info": error}
            log.error("task_failed", task=self.name, failures=self.in_a_row, **told)

    def well(self) -> None:
        """It works: what fails next is a first failure."""
        if self.in_a_row:
            TASKS_FAILING.labels(self.name).set(0)
            if self._told:
                log.info("task_well_again", task=self.name, failures=self.in_a_row)
            self.in_a_row = 0
            self._told.clear()


def pause(health: Health) -> float:
    """Seconds to wait after so many failures in a row: 0.1, 0.2 ... 5."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(health.in_a_row - 1, 16))


class SupervisedThread:
    """A long-lived thread, in the registry like a task; for what blocks and must not end either.

    `work` returns when the thread is to end, and calls `check` whenever it has waited; `wake` ends
    such a wait.
    """

    def __init__(self, name: str, work: Callable[[], None], wake: Callable[[], None]) -> None:
        self.name = name
        self.restarts = 0
        self.health = Health(name)
        self._work = work
        self._wake = wake
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        registry.add(self)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def fail(self, error: Exception) -> None:
        """Have its work fail with `error` at its next `check`: a drill."""
        self._fault = error
        self._wake()

    def check(self) -> None:
        """Raise what a drill wants raised."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def join(self, within: float) -> None:
        """Wait for its end, for so many seconds at most."""
        self._thread.join(within)

    def _run(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                self._work()
            except Exception as error:  # noqa: BLE001  (whatever it is: counted, told, begun anew)
                if time.monotonic() > begun + STEADY:
                    self.health.well()
                self.health.failed(error)
            else:
                registry.discard(self)
                return
            time.sleep(pause(self.health))
            self.restarts += 1
