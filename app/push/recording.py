"""Recording how tries ended: an answer in hand is kept until it is written, whatever happens.

Nothing is sent again for want of a commit. While the database is away, or a row is locked, results
wait here and their pushes stay claimed; only a value that no database can hold (SQLSTATE classes 22
and 23) ends a result otherwise: it is found by halves, and written bare.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy import text

from app.core.push import PushState
from app.infra.batching import GroupWriter, by_size
from app.infra.db import Connection
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks
from app.push import batch_claims, batches, records
from app.push.claimed import Batch, ClaimedPlace
from app.push.consequences import write_alarms, write_credentials, write_tokens
from app.push.results import (
    DatabaseClock,
    Result,
    ended,
    is_plainly_taken,
    is_taken_in_batch,
    is_told,
    measure,
    narrate,
    taken,
    tried,
)

log = structlog.get_logger(__name__)

BATCH = 500
PAUSE_FOR_EACH = 0.0005
LONGEST_PAUSE = 0.05
"""Seconds before a commit, for each other push that has been claimed and has no answer yet: a lone
one waits for nothing, a thousand a second gather into some twenty commits, and to record the first
of a group's answers does not hold up its last pushes."""

TENANTS_AT_ONCE = 4
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '500ms'")
"""What a tenant's token or credential may cost those whose results are written beside."""


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
        self._plain = GroupWriter(
            "push.results", self._write, _by_batch, self._told, self._pause, longest=LONGEST_PAUSE
        )
        self._more = GroupWriter(
            "push.consequences", self._write_more, _by_tenant, self._told, lambda _: 0.0,
            TENANTS_AT_ONCE,
        )  # fmt: skip
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
        return len(self._plain.kept()) + len(self._more.kept())

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
            states = await write(session, batch, self._clock)
        self._measure(batch, states)
        accepted = sum(result.state is PushState.ACCEPTED for result in batch)
        if accepted:
            log.info("pushes_accepted", count=accepted)
        return states

    async def _write_more(self, batch: Sequence[Result]) -> dict[UUID, PushState | None]:
        """Results of one tenant and what follows from them, in one transaction."""
        async with self._runtime.database.transaction() as session:
            await session.execute(LOCK_TIMEOUT)
            states = await write(session, batch, self._clock)
            mine = [result for result in batch if states.get(result.push.id) is not None]
            seen = [result for result in batch if result.push.id in states and not result.bare]
            await write_tokens(session, [result for result in mine if not result.bare])
            await write_credentials(session, seen)
            await write_alarms(session, seen, self._clock.now())
        self._measure(batch, states)
        return states

    def _measure(self, batch: Sequence[Result], states: Mapping[UUID, PushState | None]) -> None:
        try:
            measure(batch, states, self._clock)
        except Exception:  # it is written all the same
            log.exception("result_not_told", item=str(batch[0].key))

    def _told(self, result: Result, state: PushState | None) -> None:
        self._recorded(result)
        narrate(result, state)


async def write(
    session: Connection, results: Sequence[Result], clock: DatabaseClock
) -> dict[UUID, PushState | None]:
    """What became of each, but for those whose row another transaction has locked.

    What is taken at the first try is written in its batch; all else leaves that before.
    """
    states: dict[UUID, PushState | None] = {}
    in_batches: list[Result] = []
    rest: list[Result] = []
    for result in results:
        (in_batches if is_taken_in_batch(result) else rest).append(result)
    if in_batches:
        rest += await _take(session, in_batches, states, clock)
    places = {
        result.push.id: result.push.batch.id
        for result in rest
        if isinstance(result.push, ClaimedPlace)
    }
    if places:
        gone = await batches.leave(session, places)
        rest = [one for one in rest if one.push.id not in places or one.push.id in gone]
    workers = {result.push.claimed_by for result in rest}
    if len(workers) == 1 and all(map(is_plainly_taken, rest)):
        rows = [taken(result, clock) for result in rest]
        written = await records.record_taken(session, workers.pop(), rows)
        states |= dict.fromkeys(written, PushState.ACCEPTED)
        rest = [one for one in rest if one.push.id not in written]
    if rest:
        states |= await records.record(session, *_rows(rest, clock))
    return states


async def _take(
    session: Connection,
    accepted: Sequence[Result],
    states: dict[UUID, PushState | None],
    clock: DatabaseClock,
) -> list[Result]:
    """Write what was taken in its batch, and in `states`; returns what has left it."""
    in_hand: dict[UUID, Batch] = {}
    ahead = clock.ahead()
    for result in accepted:
        push, outcome = result.push, result.outcome
        assert isinstance(push, ClaimedPlace)
        assert outcome is not None
        in_hand[push.batch.id] = push.batch
        push.batch.take(push.place, outcome.started + ahead, outcome.ended + ahead)
    written = await batch_claims.record(session, list(in_hand.values()))
    left = []
    for result in accepted:
        push = result.push
        assert isinstance(push, ClaimedPlace)
        if push.batch.id not in written:
            continue
        now, before = written[push.batch.id]
        place = 1 << push.place - 1
        if now & place:
            states[push.id] = PushState.ACCEPTED
        elif before & place:
            states[push.id] = None
        else:
            left.append(result)
    return left


def _rows(
    batch: Sequence[Result], clock: DatabaseClock
) -> tuple[list[records.PushEnd], list[records.PushTry]]:
    return (
        [ended(result, clock) for result in batch],
        [tried(one, clock) for one in batch if one.outcome is not None and not is_told(one)],
    )


def _by_batch(results: Sequence[Result]) -> list[list[Result]]:
    return by_size(results, BATCH)


def _by_tenant(results: Sequence[Result]) -> list[list[Result]]:
    tenants: dict[UUID, list[Result]] = {}
    for result in results:
        tenants.setdefault(result.push.tenant_id, []).append(result)
    return [unit for some in tenants.values() for unit in _by_batch(some)]
