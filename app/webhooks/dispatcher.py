"""The courier of one worker process: claims deliveries, sends them, records what came of each.

No transaction is open while a request is under way. The rows say what is to be done: a courier
that dies leaves claims that the others free as soon as its worker is known to be dead.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.core.event import rfc3339
from app.core.webhook_retry import TRIED_FOR, Answer, next_try, rest
from app.infra.db import Row, Session, dump_json
from app.infra.ids import uuid7
from app.infra.observe import DELIVERIES
from app.infra.runtime import Runtime
from app.infra.safe_http import Outbound
from app.infra.tasks import Tasks
from app.infra.vault import VaultError
from app.webhooks import deliveries, endpoints, publish
from app.webhooks.signing import body_of, signed, unseal_secret

log = structlog.get_logger(__name__)

PER_WEBHOOK = 16
MOST_FLYING = 200
BATCH = 200

EVENT_NOT_KEPT = "event_not_kept"
SECRET_UNFIT = "secret_unfit"  # noqa: S105
DATABASE_AWAY = "database_away"
OURS = frozenset({EVENT_NOT_KEPT, SECRET_UNFIT, DATABASE_AWAY})
"""What is no fault of the endpoint's."""


@dataclass(frozen=True, slots=True)
class Result:
    """One try at a claimed delivery."""

    claim: Row
    answer: Answer
    started_at: datetime
    finished_at: datetime


class Courier:
    """Sends what is due to webhooks. Belongs to one event loop; `worker_id` is in `workers`."""

    def __init__(self, runtime: Runtime, worker_id: UUID, outbound: Outbound | None = None) -> None:
        self._runtime = runtime
        self._worker_id = worker_id
        allow_private = runtime.settings.webhook_allow_private
        self._outbound = outbound or Outbound(allow_private=allow_private)
        self._flying = 0
        self._finished: list[Result] = []
        self._recording: asyncio.Task[None] | None = None
        self._claiming: asyncio.Task[None] | None = None
        self._again = False
        self._stopping = False
        self._tasks = Tasks("webhooks")

    async def look(self) -> None:
        """Once a second: what dead workers had claimed waits again, what is due is sent."""
        async with self._runtime.database.transaction() as session:
            await deliveries.free_orphans(session)
        self.wake()

    def wake(self) -> None:
        """Claim what is due; while that runs, have it run once more."""
        self._again = True
        if self._claiming is None and not self._stopping:
            self._claiming = self._tasks.spawn("claim", self._claim_all())

    async def stop(self, within: float) -> None:
        """Claim nothing more, let what is under way end within `within` seconds, give back."""
        self._stopping = True
        await self._tasks.stop(within)
        await self._outbound.close()
        async with self._runtime.database.transaction() as session:
            await deliveries.give_back(session, self._worker_id)

    # --- claiming and sending ------------------------------------------------------------------

    async def _claim_all(self) -> None:
        try:
            while self._again and self._flying < MOST_FLYING and not self._stopping:
                self._again = False
                claimed = await self._claim()
                if claimed:
                    await self._send(claimed)
                    self._again = True
        finally:
            self._claiming = None

    async def _claim(self) -> list[dict[str, Any]]:
        async with self._runtime.database.transaction() as session:
            found = await deliveries.work(session)
            well = [
                one["id"] for one in found if not one["failures"] and one["flying"] < PER_WEBHOOK
            ]
            # one at a time to who fails: it may be down
            unwell = [one["id"] for one in found if one["failures"] and not one["flying"]]
            claimed = []
            if well:
                claimed += await deliveries.claim(session, self._worker_id, well, PER_WEBHOOK)
            if unwell:
                claimed += await deliveries.claim(session, self._worker_id, unwell, 1)
        return claimed

    async def _send(self, claimed: Sequence[Row]) -> None:
        self._flying += len(claimed)
        try:
            async with self._runtime.database.reading() as session:
                facts = await deliveries.facts(session, claimed)
                sealed = await endpoints.secrets_of(session, [one["webhook_id"] for one in claimed])
        except (SQLAlchemyError, OSError, TimeoutError):
            now = datetime.now(UTC)
            for one in claimed:
                self._finish(Result(one, Answer(None, DATABASE_AWAY), now, now))
            return
        for one in claimed:
            fact = facts.get(_key(one))
            self._tasks.spawn("send", self._send_one(one, fact, sealed.get(one["webhook_id"], [])))

    async def _send_one(self, claim: Row, fact: Row | None, sealed: Sequence[Row]) -> None:
        started = datetime.now(UTC)
        if fact is None:
            answer = Answer(None, EVENT_NOT_KEPT)
        else:
            try:
                secrets = [unseal_secret(self._runtime.keyring, row) for row in sealed]
                body = dump_json(body_of(claim, fact))
                headers = signed(claim["event_id"], started, body, secrets)
                answer = await self._outbound.post(fact["url"], headers, body.encode())
            except VaultError:
                log.exception("webhook_secret_unfit", webhook=str(claim["webhook_id"]))
                answer = Answer(None, SECRET_UNFIT)
        self._finish(Result(claim, answer, started, datetime.now(UTC)))

    def _finish(self, result: Result) -> None:
        self._finished.append(result)
        if self._recording is None:
            self._recording = self._tasks.spawn("record", self._record())

    # --- recording -----------------------------------------------------------------------------

    async def _record(self) -> None:
        """Write results in batches: while one commit runs, the next gathers."""
        try:
            while self._finished:
                batch, self._finished = self._finished[:BATCH], self._finished[BATCH:]
                try:
                    rows = await self._write(batch)
                except Exception:
                    log.exception("deliveries_not_written", count=len(batch))
                    self._finished = batch + self._finished
                    await asyncio.sleep(0.5)
                    continue
                self._flying -= len(batch)
                self.wake()
                for result in batch:
                    self._after(result, rows[_key(result.claim)]["state"])
        finally:
            self._recording = None

    async def _write(self, batch: Sequence[Result]) -> dict[tuple[UUID, str], Row]:
        rows: dict[tuple[UUID, str], Row] = {_key(one.claim): _row(one) for one in batch}
        async with self._runtime.database.transaction() as session:
            taken = await deliveries.record(session, list(rows.values()))
            await deliveries.add_attempts(session, [_attempt(one) for one in batch])
            counted = [one for one in batch if _key(one.claim) in taken]
            await self._judge(session, counted, rows)
        return rows

    def _after(self, result: Result, state: str) -> None:
        answer = result.answer
        DELIVERIES.labels(state, answer.error or "").inc()
        if not answer.ok:
            log.info(
                "webhook_not_delivered",
                webhook=str(result.claim["webhook_id"]),
                delivery=result.claim["event_id"],
                attempt=result.claim["attempts"],
                status=answer.status,
                error=answer.error,
                state=state,
            )

    async def _judge(
        self, session: Session, batch: Sequence[Result], rows: Mapping[tuple[UUID, str], Row]
    ) -> None:
        """What answers say of the endpoints: well again, failing, to be left alone, disabled."""
        good = {one.claim["webhook_id"] for one in batch if one.answer.ok}
        bad = Counter(
            one.claim["webhook_id"]
            for one in batch
            if not one.answer.ok and one.answer.error not in OURS
        )
        await endpoints.hold_all(session, sorted(good | set(bad)))
        if good:
            before = await endpoints.succeeded(session, sorted(good))
            back = [webhook for webhook, failures in before.items() if rest(failures)]
            if back:
                await deliveries.bring_forward(session, back)
        failing = {webhook: count for webhook, count in bad.items() if webhook not in good}
        if not failing:
            return
        stand = await endpoints.failed(session, failing)
        await endpoints.leave_alone(session, {one["id"]: rest(one["failures"]) for one in stand})
        given_up = [one for one in batch if rows[_key(one.claim)]["state"] == "failed"]
        for one in stand:
            last = [result for result in given_up if result.claim["webhook_id"] == one["id"]]
            if any(result.answer.gone for result in last):
                await disable(session, one["id"], "gone")
            elif any(r.claim["now"] - one["failing_since"] >= TRIED_FOR for r in last):
                await disable(session, one["id"], "failing_for_a_day")


async def disable(session: Session, webhook: UUID, why: str) -> None:
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


def _key(claim: Row) -> tuple[UUID, str]:
    return claim["webhook_id"], claim["event_id"]


def _row(result: Result) -> dict[str, Any]:
    claim, answer = result.claim, result.answer
    due = None
    if not answer.ok and answer.error != EVENT_NOT_KEPT:
        due = next_try(
            answer,
            attempts=claim["attempts"],
            created_at=claim["created_at"],
            now=claim["now"],
            random=random.random(),  # noqa: S311  (jitter)
        )
    return {
        "webhook_id": claim["webhook_id"],
        "event_id": claim["event_id"],
        "fence": claim["fence"],
        "state": "delivered" if answer.ok else "failed" if due is None else "pending",
        "due_at": due,
        "status": answer.status,
        "error": answer.error,
    }


def _attempt(result: Result) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "tenant_id": result.claim["tenant_id"],
        "webhook_id": result.claim["webhook_id"],
        "event_id": result.claim["event_id"],
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "status": result.answer.status,
        "error": result.answer.error,
        "answer": result.answer.text,
    }
