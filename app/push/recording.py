"""Recording how tries ended: an answer in hand is kept until it is written, whatever happens.

Nothing is sent again for want of a commit. While the database is away, or a row is locked, results
wait here and their pushes stay claimed; only a value that no database can hold (SQLSTATE classes 22
and 23) ends a result otherwise: it is found by halves, and written bare.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from app.core.push import PushState
from app.infra.outage import is_row_fault, is_transient
from app.infra.runtime import Runtime
from app.infra.supervision import Health
from app.infra.tasks import Tasks
from app.push import records
from app.push.consequences import write_alarms, write_credentials, write_tokens
from app.push.results import DatabaseClock, Result, ended, observe, tried

log = structlog.get_logger(__name__)

BATCH = 500
PAUSE_FOR_EACH = 0.0005
LONGEST_PAUSE = 0.05
"""Seconds before a commit, for each other push that has been claimed and has no answer yet: a lone
one waits for nothing, a thousand a second gather into some twenty commits, and to record the first
of a group's answers does not hold up its last pushes."""

TRY_AGAIN = 0.25
"""Seconds between tries to write while that fails; the rows stay claimed meanwhile."""

MOST_UNITS = 50
"""So many are tried apart while what fails is no row's fault: there may be no good row."""

TENANTS_AT_ONCE = 4
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '500ms'")
"""What a tenant's token or credential may cost those whose results are written beside."""

Write = Callable[[Sequence[Result]], Awaitable[dict[UUID, PushState | None]]]
"""Writes results; returns the state that each push now has, None where the claim was lost, and
leaves out those that another transaction has locked."""


class Lane:
    """Results that are written together; `units` are written in one go each, or kept."""

    def __init__(
        self,
        name: str,
        write: Write,
        split: Callable[[Sequence[Result]], list[list[Result]]],
        told: Callable[[Result, PushState | None], None],
        pause: Callable[[int], float],
        at_once: int,
    ) -> None:
        self._write = write
        self._split = split
        self._told = told
        self._pause = pause
        self._health = Health(f"push.{name}")
        self._at_once = asyncio.Semaphore(at_once)
        self._new: list[Result] = []
        self._units: list[list[Result]] = []
        self._wake = asyncio.Event()
        self._soon = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    def add(self, result: Result) -> None:
        """Have a result written."""
        self._new.append(result)
        self.idle.clear()
        self._wake.set()

    def hurry(self) -> None:
        """The database is back: try at once what could not be written."""
        self._soon.set()

    def kept(self) -> int:
        """How many results are not written yet."""
        return len(self._new) + sum(map(len, self._units))

    async def run(self) -> None:
        """Write what comes, for ever."""
        while True:
            if not self._new and not self._units:
                self._wake.clear()
                self.idle.set()
                await self._wake.wait()
            await asyncio.sleep(self._pause(len(self._new)))
            # a unit leaves the list when it is written, and not before
            self._units += self._split(self._new)
            self._new = []
            self._soon.clear()
            tried = [self._try(unit) for unit in list(self._units)]
            if all(await asyncio.gather(*tried)):
                self._health.well()
            else:
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(TRY_AGAIN):
                await self._soon.wait()
        except TimeoutError:
            return

    async def _try(self, unit: list[Result]) -> bool:
        """Whether there is no cause to wait: it is written, or has been taken apart."""
        try:
            async with self._at_once:
                states = await self._write(unit)
        except Exception as error:  # noqa: BLE001  (whatever it is, the answers are kept)
            return self._not_written(unit, error)
        self._units.remove(unit)
        left = [result for result in unit if result.push.id not in states]
        if left:
            self._units.append(left)
        for result in unit:
            if result.push.id in states:
                self._tell(result, states[result.push.id])
        return not left

    def _not_written(self, unit: list[Result], error: Exception) -> bool:
        if not _at_fault(error):
            self._health.failed(error)
            if not is_transient(error) and len(unit) > 1 and len(self._units) < MOST_UNITS:
                self._halve(unit)  # whatever it is, of a trigger or a broken page: not all have it
            return False
        if len(unit) > 1:
            self._halve(unit)
            return True
        self._units.remove(unit)
        if not unit[0].bare:
            log.error("result_written_bare", push=str(unit[0].push.id), exc_info=error)
            self._units.append([unit[0].laid_bare()])
        else:  # its claim ends at the deadline, see `Dispatcher.send_lost`
            log.critical("result_not_written", push=str(unit[0].push.id), exc_info=error)
        return True

    def _halve(self, unit: list[Result]) -> None:
        half = len(unit) // 2
        self._units.remove(unit)
        self._units += [unit[:half], unit[half:]]

    def _tell(self, result: Result, state: PushState | None) -> None:
        try:
            self._told(result, state)
        except Exception:
            log.exception("result_not_told", push=str(result.push.id))


def _at_fault(error: Exception) -> bool:
    """Whether it is a result that is bad, not the database: SQL's word, or our encoder's."""
    if is_transient(error):
        return False
    if is_row_fault(error) or isinstance(error, (DataError, IntegrityError)):
        return True
    return not isinstance(error, (SQLAlchemyError, OSError))


class Recorder:
    """Writes the results of one worker. `recorded` hears of each that is written.

    `held`: how many pushes this worker has claimed and not recorded. An answer to a claim that had
    been taken over is kept as an attempt and changes nothing.
    """

    def __init__(
        self,
        runtime: Runtime,
        tasks: Tasks,
        clock: DatabaseClock,
        recorded: Callable[[Result], None],
        held: Callable[[], int],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._runtime = runtime
        self._clock = clock
        self._recorded = recorded
        self._held = held
        self._plain = Lane("results", self._write, _by_batch, self._told, self._pause, 1)
        self._more = Lane(
            "consequences", self._write_more, _by_tenant, self._told, lambda _: 0.0, TENANTS_AT_ONCE
        )
        tasks.supervise("record", self._plain.run)
        tasks.supervise("record_consequences", self._more.run)

    def add(self, result: Result) -> None:
        """Have a result written."""
        (self._more if result.says_more() else self._plain).add(result)

    def hurry(self) -> None:
        """The database is back: write at once what could not be written."""
        self._plain.hurry()
        self._more.hurry()

    def kept(self) -> int:
        """How many answers in hand are not written yet."""
        return self._plain.kept() + self._more.kept()

    async def finish(self, deadline: float) -> None:
        """Wait until all that was added is written, until `deadline` (loop time) at most."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._plain.idle.wait()
                await self._more.idle.wait()
        except TimeoutError:
            log.error("results_not_written", count=self.kept())  # noqa: TRY400  (no fault of ours)

    def _pause(self, new: int) -> float:
        return min(LONGEST_PAUSE, PAUSE_FOR_EACH * max(0, self._held() - new))

    async def _write(self, batch: Sequence[Result]) -> dict[UUID, PushState | None]:
        async with self._runtime.database.vital.autocommit() as session:
            states = await records.record(session, *self._rows(batch))
        accepted = sum(result.state is PushState.ACCEPTED for result in batch)
        if accepted:
            log.info("pushes_accepted", count=accepted)
        return states

    async def _write_more(self, batch: Sequence[Result]) -> dict[UUID, PushState | None]:
        """Results of one tenant and what follows from them, in one transaction."""
        async with self._runtime.database.transaction() as session:
            await session.execute(LOCK_TIMEOUT)
            states = await records.record(session, *self._rows(batch))
            mine = [result for result in batch if states.get(result.push.id) is not None]
            seen = [result for result in batch if result.push.id in states and not result.bare]
            await write_tokens(session, [result for result in mine if not result.bare])
            await write_credentials(session, seen)
            await write_alarms(session, seen, self._clock.now())
        return states

    def _rows(self, batch: Sequence[Result]) -> tuple[list[records.PushEnd], list[records.PushTry]]:
        return (
            [ended(result, self._clock) for result in batch],
            [tried(result, self._clock) for result in batch if result.outcome is not None],
        )

    def _told(self, result: Result, state: PushState | None) -> None:
        self._recorded(result)
        observe(result, state, self._clock)


def _by_batch(results: Sequence[Result]) -> list[list[Result]]:
    return [list(results[at : at + BATCH]) for at in range(0, len(results), BATCH)]


def _by_tenant(results: Sequence[Result]) -> list[list[Result]]:
    tenants: dict[UUID, list[Result]] = {}
    for result in results:
        tenants.setdefault(result.push.tenant_id, []).append(result)
    return [unit for some in tenants.values() for unit in _by_batch(some)]
