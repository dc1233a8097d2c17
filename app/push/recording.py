"""Recording how tries ended: set-wise, while one commit runs the next batch gathers."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import time
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from app.apns import PushOutcome
from app.core.event import rfc3339
from app.core.frozen import frozen
from app.core.reaction import Alert, CredentialAction, Reaction, TokenAction
from app.credentials.health import apple_accepts, apple_refuses
from app.credentials.usable import Usable
from app.infra.db import Row, Session
from app.infra.ids import uuid7
from app.infra.observe import PUSHES, RING_TO_ACCEPTED
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks
from app.push import store, tokens
from app.webhooks import publish

log = structlog.get_logger(__name__)
DETAILED = logging.getLogger(__name__)

BATCH = 500
PAUSE_FOR_EACH = 0.0005
LONGEST_PAUSE = 0.06
"""Seconds before a commit, for each other push that has been claimed and has no answer yet: a lone
one waits for nothing, a thousand a second gather into some twenty commits, and to record the first
of a group's answers does not hold up its last pushes."""

TRY_AGAIN = 0.5
"""Seconds between tries to write while the database is away; the rows stay claimed meanwhile."""


@frozen
class Result:
    """How one try at a claimed push ended; `outcome` None when nothing was sent.

    `retry_at` is loop time, with state `pending`. `alarm` is one to raise for the credential.
    """

    push: Row
    state: str
    reason: str | None
    credential: Usable | None = None
    outcome: PushOutcome | None = None
    reaction: Reaction | None = None
    retry_at: float | None = None
    alarm: Alert | None = None


class DatabaseClock:
    """Wall time as the database has it; time left is counted on a loop's monotonic clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._offset = 0.0

    def learn(self, now: datetime) -> None:
        """Take the database's time from an answer that has just come."""
        self._offset = now.timestamp() - time()

    def unix(self) -> float:
        """Unix seconds now."""
        return time() + self._offset

    def now(self) -> datetime:
        """The same as a datetime in UTC."""
        return datetime.fromtimestamp(self.unix(), UTC)

    def at(self, loop_time: float) -> datetime:
        """The wall time of a moment on the loop's clock."""
        ago = self._loop.time() - loop_time
        return datetime.fromtimestamp(self.unix() - ago, UTC)


class Recorder:
    """Writes the results of one worker. `recorded` hears of each, with the state it now has.

    `held`: how many pushes this worker has claimed and not recorded.

    The state is None where the claim had been taken over: such an answer is kept as an attempt and
    changes nothing.
    """

    def __init__(
        self,
        runtime: Runtime,
        worker_id: UUID,
        clock: DatabaseClock,
        recorded: Callable[[Result, str | None], None],
        held: Callable[[], int],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._runtime = runtime
        self._worker_id = worker_id
        self._clock = clock
        self._recorded = recorded
        self._held = held
        self._waiting: list[Result] = []
        self._writing: asyncio.Task[None] | None = None
        self._tasks = Tasks("push")

    def add(self, result: Result) -> None:
        """Have a result written."""
        self._waiting.append(result)
        if self._writing is None:
            self._writing = self._tasks.spawn("record", self._write_all(), of_all=True)

    async def finish(self, deadline: float) -> None:
        """Wait until all that was added is written, until `deadline` (loop time) at most."""
        left = deadline - self._loop.time()
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=max(0.0, left))

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                expected = max(0, self._held() - len(self._waiting))
                await asyncio.sleep(min(LONGEST_PAUSE, PAUSE_FOR_EACH * expected))
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                try:
                    await self._write(batch)
                except (DBAPIError, OSError) as error:
                    await self._failed(batch, error)
        finally:
            self._writing = None

    async def _failed(self, batch: list[Result], error: Exception) -> None:
        log.error("results_not_written", count=len(batch), exc_info=error)
        if isinstance(error, DBAPIError) and not error.connection_invalidated:
            if len(batch) == 1:
                self._tell(batch[0], None)  # it alone is bad: its claim will be found stale
                return
            for result in batch:
                try:
                    await self._write([result])
                except (DBAPIError, OSError) as again:
                    await self._failed([result], again)
            return
        self._waiting = batch + self._waiting
        await asyncio.sleep(TRY_AGAIN)

    async def _write(self, batch: Sequence[Result]) -> None:
        attempts = [self._attempt(result) for result in batch if result.outcome is not None]
        rows = [row_of(result, self._clock) for result in batch]
        if all(_says_no_more(result) for result in batch):
            async with self._runtime.database.each() as session:
                taken = await store.record(session, rows, attempts)
        else:
            async with self._runtime.database.transaction() as session:
                taken = await store.record(session, rows, attempts)
                mine = [result for result in batch if result.push["id"] in taken]
                await _write_tokens(session, mine)
                await _write_credentials(session, batch)
                await _write_alarms(session, batch, self._clock.now())
        for result in batch:
            self._tell(result, taken.get(result.push["id"]))
        accepted = sum(result.state == "accepted" for result in batch)
        if accepted:
            log.info("pushes_accepted", count=accepted)

    def _tell(self, result: Result, state: str | None) -> None:
        _observe(result, state, self._clock)
        self._recorded(result, state)

    def _attempt(self, result: Result) -> dict[str, Any]:
        push, outcome = result.push, result.outcome
        assert outcome is not None
        return {
            "id": uuid7(),
            "push_id": push["id"],
            "call_id": push["call_id"],
            "worker_id": self._worker_id,
            "fence": push["fence"],
            "environment": push["environment"],
            "started_at": self._clock.at(outcome.started),
            "finished_at": self._clock.at(outcome.ended),
            "status": outcome.code or None,
            "reason": result.reason,
            "unique_id": outcome.apns_unique_id,
        }


def row_of(result: Result, clock: DatabaseClock) -> dict[str, Any]:
    """What `store.record` writes of a result."""
    push, outcome, reaction = result.push, result.outcome, result.reaction
    heal = reaction is not None and reaction.token is TokenAction.TRY_OTHER_ENVIRONMENT
    other = "sandbox" if push["environment"] == "production" else "production"
    return {
        "id": push["id"],
        "fence": push["fence"],
        "state": result.state,
        "due_at": None if result.retry_at is None else clock.at(result.retry_at),
        "status": outcome.code or None if outcome is not None else None,
        "reason": result.reason,
        "environment": other if heal else push["environment"],
        "healed": push["healed"] or heal,
        "sent_at": clock.at(outcome.started) if outcome is not None else None,
        "answered_at": clock.at(outcome.ended) if outcome is not None else None,
    }


def _says_no_more(result: Result) -> bool:
    """Whether a result is about its push alone: nothing follows for token or credential."""
    return result.state == "accepted" and not (
        result.push["healed"]
        or result.alarm is not None
        or (result.credential is not None and result.credential.refused)
    )


async def _write_tokens(session: Session, mine: Sequence[Result]) -> None:
    """What answers prove of tokens, as long as these are unchanged."""
    healed = [r.push for r in mine if r.state == "accepted" and r.push["healed"]]
    retired = [
        (r.push, r.reason or "refused")
        for r in mine
        if r.reaction is not None and r.reaction.token is TokenAction.RETIRE
    ]
    if healed:
        await tokens.heal_tokens(session, healed)
    if retired:
        await tokens.retire_tokens(session, retired)


async def _write_credentials(session: Session, batch: Sequence[Result]) -> None:
    """What answers say of credentials: refused by Apple, or taken again."""
    known = [(r, r.credential) for r in batch if r.credential is not None]
    refused = {
        (credential.id, r.push["environment"]): (
            credential, r.push["environment"], r.reason or "refused"
        )
        for r, credential in known
        if r.reaction is not None and r.reaction.credential is not CredentialAction.KEEP
    }  # fmt: skip
    accepted = {
        (credential.id, r.push["environment"]): (credential, r.push["environment"])
        for r, credential in known
        if r.state == "accepted" and r.push["environment"] in credential.refused
    }
    if refused:
        await apple_refuses(session, list(refused.values()))
    if accepted:
        await apple_accepts(session, list(accepted.values()))


QUIET = frozenset({Alert.CREDENTIAL_REFUSED, Alert.TOPIC_REFUSED})
"""Alarms that `apple_refuses` raises itself, once for all workers."""


async def _write_alarms(session: Session, batch: Sequence[Result], now: datetime) -> None:
    alarms: dict[tuple[Any, Alert], Result] = {}
    for result in batch:
        if result.alarm is not None and result.alarm not in QUIET:
            credential_id = result.credential.id if result.credential is not None else None
            alarms.setdefault((credential_id, result.alarm), result)
    for (credential_id, alarm), result in alarms.items():
        log.error(
            "push_alarm", alarm=alarm.value, reason=result.reason, push=str(result.push["id"])
        )
        await publish.alarm(
            session,
            {
                "id": uuid7(),
                "tenant_id": result.push["tenant_id"],
                "type": "push.alarm",
                "at": now,
                "data": {
                    "alarm": alarm.value,
                    "credential_id": None if credential_id is None else str(credential_id),
                    "bundle_id": result.push["bundle_id"],
                    "environment": result.push["environment"],
                    "reason": result.reason,
                    "at": rfc3339(now),
                },
            },
        )


def _observe(result: Result, state: str | None, clock: DatabaseClock) -> None:
    """The metrics of a try, and a log line; of the token its last four digits only.

    A push that was taken gets its line when all is told (`debug`): at rest there is a line for each
    anyhow, and under load a thousand a second say less than a count.
    """
    push, outcome = result.push, result.outcome
    PUSHES.labels(push["purpose"], result.state, result.reason or "").inc()
    if state == "accepted" and outcome is not None and push["purpose"] == "ring":
        waited = clock.at(outcome.ended) - push["created_at"]
        RING_TO_ACCEPTED.observe(max(0.0, waited.total_seconds()))
    if state == "accepted" and not DETAILED.isEnabledFor(logging.DEBUG):
        return
    log.log(
        logging.DEBUG if state == "accepted" else logging.INFO,
        "push",
        push=str(push["id"]),
        ring=str(push["ring"]),
        purpose=push["purpose"],
        token=f"...{push['token'][-4:]}",
        environment=push["environment"],
        attempt=push["attempts"],
        outcome=result.state,
        status=outcome.code if outcome is not None else None,
        reason=result.reason,
        cause=outcome.cause if outcome is not None else None,
        milliseconds=round((outcome.ended - outcome.started) * 1000, 1) if outcome else None,
        fenced=state is None,
    )
