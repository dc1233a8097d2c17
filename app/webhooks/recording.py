"""Recording how tries ended: set-wise, and until it is written.

An answer in hand is kept while the database is away: nothing is sent again for want of a commit.
What one tenant's row keeps from being written (a lock, a value that fits no column) keeps nobody
else's.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog

from app.core.delivery import DeliveryError, DeliveryState, DisabledReason
from app.core.event import rfc3339
from app.core.webhook_retry import TRIED_FOR, Answer, next_try, rest
from app.infra.batching import GroupWriter, by_size
from app.infra.db import Connection, Database
from app.infra.ids import uuid7, uuid7_hexes
from app.infra.observe import DELIVERIES
from app.infra.tasks import Tasks
from app.webhooks import endpoints, publish, records
from app.webhooks.claimed import Key
from app.webhooks.open_deliveries import OpenDeliveries, OpenDelivery
from app.webhooks.records import Alike, DeliveryEnd

log = structlog.get_logger(__name__)

BATCH: Final = 200
PAUSE_FOR_EACH: Final = 0.001
LONGEST_PAUSE: Final = 0.05
"""Seconds before a commit, for each other delivery that is quick and has no answer yet: a lone one
waits for nothing, and what was sent together is recorded together."""

OURS: Final = frozenset({DeliveryError.SECRET_UNFIT, DeliveryError.INTERNAL_ERROR})
"""What may be no fault of the endpoint's: it is asked more seldom, and never disabled for it."""

States = dict[str, DeliveryState | None]
"""By key; None where the claim had been taken over."""


@dataclass(slots=True, eq=False)
class DeliveryResult:
    """One try at a claimed delivery; times are Unix seconds of the database's clock.

    `key` is the attempt's id, in hexadecimal digits, once it has been tried to write it: those that
    are written together are made together. `well`: the endpoint has taken it. A `bare` one says
    that and no more: nothing in it came from outside.
    """

    of: OpenDelivery
    answer: Answer
    started: float
    finished: float
    well: bool
    bare: bool = False
    key: str = ""

    @property
    def finished_at(self) -> datetime:
        """When it was answered."""
        return datetime.fromtimestamp(self.finished, UTC)

    def laid_bare(self) -> "DeliveryResult":
        """The same without what the endpoint said."""
        bare = Answer(200) if self.well else Answer(None, DeliveryError.INTERNAL_ERROR)
        return replace(self, answer=bare, bare=True)

    def is_judged(self) -> bool:
        """Whether it says something bad of the endpoint."""
        return not self.well and not self.bare


class DeliveryRecorder:
    """Writes the results of one worker. `recorded` hears of each once it is written.

    With it comes the state that the delivery now has; None where the claim had been taken over, or
    where it cannot be written in any form: then it waits again.
    """

    def __init__(
        self,
        database: Database,
        tasks: Tasks,
        recorded: Callable[[DeliveryResult, DeliveryState | None], None],
        deliveries: OpenDeliveries,
    ) -> None:
        self._database = database
        self._recorded = recorded
        self._open = deliveries
        self._writer = GroupWriter(
            "webhooks.results", self._write, _by_batch, self._told, self._pause, 2,
            lambda result: recorded(result, None),
        )  # fmt: skip
        self.add = self._writer.add
        tasks.supervise("record", self._writer.run)

    @property
    def unwritten(self) -> list[Key]:
        """Deliveries whose answer is known and not written yet."""
        return [result.of.claim.key for result in self._writer.kept()]

    async def finish(self, within: float) -> None:
        """Wait until all is written, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._writer.idle.wait()

    def _pause(self, _new: int) -> float:
        expected = self._open.expected
        return min(LONGEST_PAUSE, PAUSE_FOR_EACH * expected) if expected else 0.0

    async def _write(self, batch: Sequence[DeliveryResult]) -> States:
        new = [one for one in batch if not one.key]
        for one, key in zip(new, uuid7_hexes(len(new)), strict=True):
            one.key = key
        states = await self._record(batch)
        odd = [one for one in batch if states.get(one.key) is not DeliveryState.DELIVERED]
        DELIVERIES.labels(DeliveryState.DELIVERED, "").inc(len(batch) - len(odd))
        for one in odd:
            if one.key in states:
                state, error = states[one.key] or "taken_over", one.answer.error or ""
                DELIVERIES.labels(state, error).inc()
        return states

    async def _record(self, batch: Sequence[DeliveryResult]) -> States:
        if all(result.well or result.bare for result in batch):
            async with self._database.autocommit() as session:
                return await _written(session, batch)
        async with self._database.transaction() as session:
            busy = await endpoints.hold_all(
                session, sorted({result.of.claim.webhook_id for result in batch})
            )
            now = [result for result in batch if result.of.claim.webhook_id not in busy]
            if not now:
                return {}
            states = await _written(session, now)
            await _judge(session, [one for one in now if states.get(one.key)], states)
        return states

    def _told(self, result: DeliveryResult, state: DeliveryState | None) -> None:
        if not result.well:
            _tell(result, state)
        self._recorded(result, state)


def _by_batch(results: Sequence[DeliveryResult]) -> list[list[DeliveryResult]]:
    """Those of endpoints of which nothing bad is said are one statement each."""
    bad = {one.of.claim.webhook_id for one in results if not one.well and one.is_judged()}
    if not bad:
        return by_size(results, BATCH)
    well = [one for one in results if one.of.claim.webhook_id not in bad]
    judged = [one for one in results if one.of.claim.webhook_id in bad]
    return by_size(well, BATCH) + by_size(judged, BATCH)


def _tell(result: DeliveryResult, state: DeliveryState | None) -> None:
    log.info(
        "webhook_not_delivered",
        webhook=str(result.of.claim.webhook_id),
        delivery=result.of.claim.event_id,
        attempt=result.of.claim.attempts,
        status=result.answer.status,
        error=result.answer.error,
        state=state,
    )


async def _judge(session: Connection, batch: Sequence[DeliveryResult], states: States) -> None:
    """What answers say of the endpoints, which are locked: failing, to be left alone, disabled."""
    good = {one.of.claim.webhook_id for one in batch if one.answer.ok}
    bad = Counter(
        one.of.claim.webhook_id
        for one in batch
        if one.is_judged() and one.answer.error is not DeliveryError.EVENT_NOT_KEPT
    )
    failing = {webhook: count for webhook, count in bad.items() if webhook not in good}
    if not failing:
        return
    stand = await endpoints.failed(session, failing)
    await endpoints.leave_alone(session, {one.id: rest(one.failures) for one in stand})
    given_up = [
        one
        for one in batch
        if states[one.key] is DeliveryState.FAILED and one.answer.error not in OURS
    ]
    for one in stand:
        last = [result for result in given_up if result.of.claim.webhook_id == one.id]
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


async def _written(session: Connection, batch: Sequence[DeliveryResult]) -> States:
    """What became of each that was not locked. That most are answered alike is said once."""
    first = batch[0].answer
    tenants = {one.of.claim.webhook_id: one.of.claim.tenant_id for one in batch}
    places = {webhook: place for place, webhook in enumerate(tenants, 1)}
    ends: list[DeliveryEnd] = []
    states: States = {}
    for result in batch:
        claim, key = result.of.claim, result.key
        end: DeliveryEnd = {
            "id": key,
            "webhook": places[claim.webhook_id],
            "event_id": claim.event_id,
            "fence": claim.fence,
            "started": result.started,
            "finished": result.finished,
        }
        ends.append(end)
        states[key] = DeliveryState.DELIVERED
        if result.answer is not first or not result.well or result.bare:
            states[key] = _add_unlike(end, result, first)
    not_written = await records.record(session, ends, Alike(tenants, first.status, first.text))
    for key, taken_over in not_written.items():
        if taken_over:
            states[key] = None
        else:
            del states[key]
    return states


def _add_unlike(end: DeliveryEnd, result: DeliveryResult, alike: Answer) -> DeliveryState:
    """Add to `end` what is not as with most; returns the state that the delivery shall have."""
    answer, state = result.answer, DeliveryState.DELIVERED
    if answer is not alike and (answer.status, answer.text) != (alike.status, alike.text):
        end |= {"own": True, "status": answer.status, "answer": answer.text}
    if result.bare or not result.well:
        due = _next_try(result)
        ended = DeliveryState.DELIVERED if result.well else DeliveryState.FAILED
        state = ended if due is None else DeliveryState.PENDING
        end |= {"state": state, "due_at": due, "error": answer.error, "bare": result.bare}
    return state


def _next_try(result: DeliveryResult) -> datetime | None:
    claim, answer = result.of.claim, result.answer
    if answer.ok or answer.error is DeliveryError.EVENT_NOT_KEPT:
        return None
    return next_try(
        answer,
        attempts=claim.attempts,
        created_at=datetime.fromtimestamp(claim.created, UTC),
        now=result.finished_at,
        random=random.random(),  # noqa: S311  (jitter)
    )
