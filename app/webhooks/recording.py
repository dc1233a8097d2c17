"""Recording how tries ended: set-wise, and until it is written.

An answer in hand is kept while the database is away: nothing is sent again for want of a commit.
What one tenant's row keeps from being written (a lock, a value that fits no column) keeps nobody
else's.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from app.core.delivery import DeliveryError, DeliveryState, DisabledReason
from app.core.event import rfc3339
from app.core.webhook_retry import TRIED_FOR, Answer, next_try, rest
from app.infra.db import Connection, Database
from app.infra.ids import uuid7
from app.infra.observe import DELIVERIES
from app.infra.outage import is_transient, name_of
from app.infra.tasks import Tasks
from app.webhooks import deliveries, endpoints, publish
from app.webhooks.claimed import Delivery, DeliveryEnd, DeliveryTry, Key

log = structlog.get_logger(__name__)

BATCH: Final = 200
FIRST_PAUSE: Final = 0.005
AGAIN: Final = 0.25
"""Seconds before what could not be written is tried again: another worker's commit is soon over,
and a database that is away is not asked all the time."""

OURS: Final = frozenset({DeliveryError.SECRET_UNFIT, DeliveryError.INTERNAL_ERROR})
"""What may be no fault of the endpoint's: it is asked more seldom, and never disabled for it."""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """One try at a claimed delivery; times are the database's. `id` is the attempt's."""

    id: UUID
    claim: Delivery
    answer: Answer
    started_at: datetime
    finished_at: datetime


class DeliveryRecorder:
    """Writes the results of one worker. `recorded` hears of each once it is written.

    With it comes the state that the delivery now has; None where the claim had been taken over.
    """

    def __init__(
        self,
        database: Database,
        tasks: Tasks,
        recorded: Callable[[DeliveryResult, DeliveryState | None], None],
    ) -> None:
        self._database = database
        self._tasks = tasks
        self._recorded = recorded
        self._waiting: list[DeliveryResult] = []
        self._writing: asyncio.Task[None] | None = None

    @property
    def unwritten(self) -> list[Key]:
        """Deliveries whose answer is known and not written yet."""
        return [result.claim.key for result in self._waiting]

    def add(self, result: DeliveryResult) -> None:
        """Have a result written: while one commit runs, the next gathers."""
        self._waiting.append(result)
        if self._writing is None:
            self._writing = self._tasks.spawn("record", self._write_all())

    async def finish(self, within: float) -> None:
        """Wait until all is written, for so many seconds at most."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=within)

    async def _write_all(self) -> None:
        pause = FIRST_PAUSE
        try:
            while self._waiting:
                batch = self._waiting[:BATCH]
                written = await self._try(batch)
                pause = FIRST_PAUSE if written else min(2 * pause, AGAIN)
                if len(written) < len(batch):
                    await asyncio.sleep(pause)
        finally:
            self._writing = None

    async def _try(self, batch: Sequence[DeliveryResult]) -> list[DeliveryResult]:
        """Write what can be written of these; what cannot goes behind all others."""
        try:
            written = await self._write(batch)
        except Exception as error:  # noqa: BLE001  (whatever it is, one row's: written apart)
            if is_transient(error):
                return []
            _tell_failure(error, len(batch))
            if len(batch) == 1:
                return await self._write_bare(batch[0])
            return [one for result in batch for one in await self._try([result])]
        return written

    async def _write(self, batch: Sequence[DeliveryResult]) -> list[DeliveryResult]:
        async with self._database.transaction() as session:
            busy = await endpoints.hold_all(
                session, sorted({result.claim.webhook_id for result in batch})
            )
            now = [result for result in batch if result.claim.webhook_id not in busy]
            if not now:
                self._set_aside(batch)
                return []
            rows = {result.claim.key: _end(result) for result in now}
            mine, locked = await deliveries.record(session, list(rows.values()))
            now = [result for result in now if result.claim.key not in locked]
            if now:
                await deliveries.add_attempts(session, [_attempt(result) for result in now])
            counted = [result for result in now if result.claim.key in mine]
            await _judge(session, counted, rows)
        self._done(now, {key: rows[key]["state"] for key in mine})
        written = {one.id for one in now}
        self._set_aside([one for one in batch if one.id not in written])
        return now

    async def _write_bare(self, result: DeliveryResult) -> list[DeliveryResult]:
        """What is left when all else fails: that it was tried, with nothing that came from outside.

        Nothing in such a row can be at fault; if it fails too it is the database, for all alike.
        """
        bare = replace(result, answer=Answer(None, DeliveryError.INTERNAL_ERROR))
        if result.answer.ok:
            bare = replace(result, answer=Answer(200))
        row = _end(bare)
        try:
            async with self._database.transaction() as session:
                mine, locked = await deliveries.record(session, [row])
        except Exception as error:  # noqa: BLE001  (tried again until it is written)
            _tell_failure(error, 1)
            locked = {result.claim.key}
        if locked:
            self._set_aside([result])
            return []
        self._done([result], dict.fromkeys(mine, row["state"]))
        return [result]

    def _set_aside(self, results: Sequence[DeliveryResult]) -> None:
        """Somebody holds their rows locked: others first."""
        aside = {one.id for one in results}
        self._waiting = [one for one in self._waiting if one.id not in aside] + list(results)

    def _done(self, results: Sequence[DeliveryResult], states: Mapping[Key, DeliveryState]) -> None:
        done = {one.id for one in results}
        self._waiting = [one for one in self._waiting if one.id not in done]
        for result in results:
            state = states.get(result.claim.key)
            _tell(result, state)
            self._recorded(result, state)


def _tell_failure(error: Exception, count: int) -> None:
    """That it is away is told by the door. No traceback: it repeats what the endpoint said."""
    if not is_transient(error):
        log.error("deliveries_not_written", count=count, error=name_of(error))


def _tell(result: DeliveryResult, state: DeliveryState | None) -> None:
    answer = result.answer
    DELIVERIES.labels(state or "taken_over", answer.error or "").inc()
    if not answer.ok:
        log.info(
            "webhook_not_delivered",
            webhook=str(result.claim.webhook_id),
            delivery=result.claim.event_id,
            attempt=result.claim.attempts,
            status=answer.status,
            error=answer.error,
            state=state,
        )


async def _judge(
    session: Connection, batch: Sequence[DeliveryResult], rows: Mapping[Key, DeliveryEnd]
) -> None:
    """What answers say of the endpoints, which are locked: well again, failing, to be left alone,
    disabled."""
    good = {one.claim.webhook_id for one in batch if one.answer.ok}
    bad = Counter(
        one.claim.webhook_id
        for one in batch
        if not one.answer.ok and one.answer.error is not DeliveryError.EVENT_NOT_KEPT
    )
    if good:
        before = await endpoints.succeeded(session, sorted(good))
        back = [webhook for webhook, failures in before.items() if rest(failures)]
        if back:
            await deliveries.bring_forward(session, back)
    failing = {webhook: count for webhook, count in bad.items() if webhook not in good}
    if not failing:
        return
    stand = await endpoints.failed(session, failing)
    await endpoints.leave_alone(session, {one.id: rest(one.failures) for one in stand})
    given_up = [
        one
        for one in batch
        if rows[one.claim.key]["state"] is DeliveryState.FAILED and one.answer.error not in OURS
    ]
    for one in stand:
        last = [result for result in given_up if result.claim.webhook_id == one.id]
        if any(result.answer.gone for result in last):
            await disable(session, one.id, DisabledReason.GONE)
        elif any(r.finished_at - one.failing_since >= TRIED_FOR for r in last):
            await disable(session, one.id, DisabledReason.FAILING_FOR_A_DAY)


async def disable(session: Connection, webhook: UUID, why: DisabledReason) -> None:
    """Stop sending to an endpoint, and raise the alarm: an event of the tenant's own."""
    row = await endpoints.disable(session, webhook, why)
    if row is None:
        return
    since = row["failing_since"]
    log.warning("webhook_disabled", webhook=str(webhook), tenant=str(row["tenant_id"]), why=why)
    event = {
        "id": uuid7(),
        "tenant_id": row["tenant_id"],
        "type": "webhook.disabled",
        "at": row["disabled_at"],
        "data": {
            "webhook_id": str(webhook),
            "url": row["url"],
            "reason": why,
            "failing_since": rfc3339(since) if since else None,
        },
    }
    await publish.tenant_events(session, [event])


def _end(result: DeliveryResult) -> DeliveryEnd:
    claim, answer = result.claim, result.answer
    due = None
    if not answer.ok and answer.error is not DeliveryError.EVENT_NOT_KEPT:
        due = next_try(
            answer,
            attempts=claim.attempts,
            created_at=claim.created_at,
            now=result.finished_at,
            random=random.random(),  # noqa: S311  (jitter)
        )
    ended = DeliveryState.DELIVERED if answer.ok else DeliveryState.FAILED
    return {
        "webhook_id": claim.webhook_id,
        "event_id": claim.event_id,
        "fence": claim.fence,
        "state": ended if due is None else DeliveryState.PENDING,
        "due_at": due,
        "status": answer.status,
        "error": answer.error,
    }


def _attempt(result: DeliveryResult) -> DeliveryTry:
    return {
        "id": result.id,
        "tenant_id": result.claim.tenant_id,
        "webhook_id": result.claim.webhook_id,
        "event_id": result.claim.event_id,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "status": result.answer.status,
        "error": result.answer.error,
        "answer": result.answer.text,
    }
