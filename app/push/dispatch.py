"""Sending: from claimed pushes to recorded results, with no transaction open in between.

One Dispatcher lives in each worker process, on its loop. What it has claimed is in `_held` from
the claim to the record; a push that shall be tried again goes back to `pending` and is claimed
anew by this process's own timer, or by whoever inherits it.
"""

import asyncio
import math
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from app.core.payload import PayloadError
from app.core.reaction import (
    OtherEnvironment,
    Reaction,
    TokenAction,
    Verdict,
    react,
)
from app.credentials import store as credentials
from app.credentials.store import Usable
from app.db import Row, Session
from app.ids import uuid7
from app.observe import PUSHES, RING_TO_ACCEPTED
from app.push import store
from app.push.apns import PushOutcome, Sender
from app.push.apns.flight import Flight
from app.push.preparing import Preparing, refused_payload
from app.push.senders import Senders
from app.runtime import Runtime
from app.vault import VaultError

log = structlog.get_logger(__name__)

BATCH = 500
WAITING = 0.2
"""Seconds for which a push may wait for a connection before its ring is looked at again."""

LEASE = 2.0
"""Seconds for which a claim outlives its worker's last sign of life (renewed every 0.5 s)."""

STATES = {
    Verdict.ACCEPTED: "accepted",
    Verdict.REFUSED: "refused",
    Verdict.OUT_OF_TIME: "expired",
    Verdict.RETRY: "pending",
}


NOTHING = {"environment": "sandbox", "healed": False}


@dataclass(frozen=True, slots=True)
class Result:
    """How one try at a claimed push ended; `outcome` None when nothing was sent."""

    push: Row
    state: str
    reason: str | None
    outcome: PushOutcome | None = None
    reaction: Reaction | None = None


Claim = tuple[UUID, int]
"""A push's id and the fencing number under which this worker has it."""


@dataclass(frozen=True, slots=True)
class Aloft:
    """A push that was handed to a sender and has no answer yet."""

    push: Row
    sender: Sender
    flight: Flight


class DatabaseClock:
    """Wall time as the database has it; time left is counted on the loop's monotonic clock."""

    def __init__(self) -> None:
        self._offset = 0.0

    def learn(self, now: datetime) -> None:
        """Take the database's time from an answer that has just come."""
        self._offset = now.timestamp() - time.time()

    def unix(self) -> float:
        """Unix seconds now."""
        return time.time() + self._offset

    def now(self) -> datetime:
        """The same as a datetime in UTC."""
        return datetime.fromtimestamp(self.unix(), UTC)


class Dispatcher:
    """Claims, sends and records the pushes of one worker process."""

    def __init__(self, runtime: Runtime) -> None:
        self.worker_id = uuid7()
        self.clock = DatabaseClock()
        self._runtime = runtime
        self._senders = Senders(runtime.settings, runtime.keyring, self.clock.unix)
        self._finished: list[Result] = []
        self._recording: asyncio.Task[None] | None = None
        self._retries: set[UUID] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._held: set[Claim] = set()
        self._lost: set[Claim] = set()
        self._aloft: dict[Claim, Aloft] = {}
        self._alive_at = -math.inf
        self._stopping = False

    # --- claiming ------------------------------------------------------------------------------

    async def send(self, rings: Sequence[UUID]) -> None:
        """Claim and send the due pushes of these rings, one or a thousand."""
        await self._claim_all(
            lambda session: store.claim_rings(session, self.worker_id, rings, BATCH)
        )

    async def send_due(self) -> None:
        """Claim and send whatever is due: kicks that were lost, retries that were inherited."""
        await self._claim_all(lambda session: store.claim_due(session, self.worker_id, BATCH))

    async def send_orphans(self) -> None:
        """Take over and send what dead workers had claimed."""
        await self._claim_all(lambda session: store.claim_orphans(session, self.worker_id, BATCH))

    async def _retry(self) -> None:
        pushes, self._retries = sorted(self._retries), set()
        await self._claim_all(
            lambda session: store.claim_pushes(session, self.worker_id, pushes, BATCH)
        )

    async def _claim_all(self, claim: Callable[[Session], Awaitable[list[dict[str, Any]]]]) -> None:
        while not self._stopping:
            if self._lapsed():  # others would take at once what a worker claims that is not alive
                await self.show_life()
            async with self._runtime.database.transaction() as session:
                claimed = await claim(session)
            self._held.update((push["id"], push["fence"]) for push in claimed)
            if claimed:
                self.clock.learn(claimed[0]["now"])
                await self._send_or_give_back(claimed)
            if len(claimed) < BATCH:
                return

    def _lapsed(self) -> bool:
        return asyncio.get_running_loop().time() - self._alive_at > LEASE

    async def send_lost(self) -> None:
        """Claim anew what the database says that this worker has, and it does not know of.

        A claim whose commit went unanswered. It must be missing twice, a second apart: a claim
        that is being made at this moment is not known yet either.
        """
        async with self._runtime.database.reading() as session:
            known = await store.claims_of(session, self.worker_id)
        missing = set(known) - self._held
        pushes = sorted(push for push, _ in missing & self._lost)
        self._lost = missing
        if pushes:
            await self._claim_all(
                lambda session: store.claim_again(session, self.worker_id, pushes, BATCH)
            )

    # --- sending -------------------------------------------------------------------------------

    async def _send_or_give_back(self, claimed: list[dict[str, Any]]) -> None:
        try:
            await self._send_claimed(claimed)
        except Exception:
            # nothing has been sent yet: what comes after the reading of rows does not raise
            log.exception("claims_given_back", count=len(claimed))
            for push in claimed:
                self._finish(Result(push, "pending", push["reason"]))

    async def _send_claimed(self, claimed: list[dict[str, Any]]) -> None:
        async with self._runtime.database.reading() as session:
            facts = await store.facts(session, sorted({push["ring"] for push in claimed}))
            owned = await store.still_owned(session, claimed)
            usable = await credentials.for_bundles(
                session, {(push["tenant_id"], push["bundle_id"]) for push in claimed}
            )
        preparing = Preparing(
            facts, self._runtime.settings.public_url, self._runtime.keyring, payloads={}
        )
        if self._lapsed():  # frozen meanwhile: what was read is old, and others have the claims
            self._held.difference_update((push["id"], push["fence"]) for push in claimed)
            return
        start = asyncio.get_running_loop().time() - self.clock.unix()
        for push in claimed:
            why = _not_to_be_sent(push, facts.get(push["ring"]), owned)
            if why is not None:
                self._finish(Result(push, "dropped", why))
                continue
            try:
                self._fly(push, preparing, usable, start + push["deadline"].timestamp())
            except Exception:
                log.exception("push_failed", push=str(push["id"]))
                self._finish(Result(push, "refused", "internal_error"))

    def _fly(
        self, push: Row, preparing: Preparing, usable: Sequence[Usable], deadline: float
    ) -> None:
        tenant, bundle, environment = push["tenant_id"], push["bundle_id"], push["environment"]
        credential = credentials.pick(usable, tenant, bundle, environment)
        if credential is None:
            self._finish(Result(push, "refused", "no_credential"))
            return
        try:
            request = preparing.request(push, self.clock.now())
            sender = self._senders.get(credential, environment)
        except PayloadError as error:
            log.error("payload_refused", **refused_payload(push, error))
            self._finish(Result(push, "refused", "payload"))
            return
        except (ValueError, VaultError) as error:
            log.error("credential_unfit", credential=str(credential.id), why=str(error))
            self._finish(Result(push, "refused", "credential_unfit"))
            return
        other = "sandbox" if environment == "production" else "production"
        has_other = credentials.pick(usable, tenant, bundle, other) is not None
        flight = sender.start(request, deadline)
        self._aloft[push["id"], push["fence"]] = Aloft(push, sender, flight)
        flight.future.add_done_callback(
            lambda future: self._answered(push, future, deadline, has_other=has_other)
        )

    def _answered(
        self, push: Row, future: asyncio.Future[PushOutcome], deadline: float, *, has_other: bool
    ) -> None:
        self._aloft.pop((push["id"], push["fence"]), None)
        if future.cancelled():
            self._finish(Result(push, "dropped", "ring_settled"))
            return
        outcome = future.result()
        other = OtherEnvironment.UNTRIED if has_other else OtherEnvironment.UNAVAILABLE
        if push["healed"]:
            other = OtherEnvironment.REFUSED
        reaction = react(
            outcome.code,
            outcome.reason,
            attempt=push["attempts"],
            now=asyncio.get_running_loop().time(),
            deadline=deadline,
            random=random.random(),  # noqa: S311  (jitter)
            no_answer=outcome.no_answer,
            repeats=int(push["reason"] is not None and push["reason"] == outcome.reason),
            retry_after=outcome.retry_after,
            gone_at=outcome.timestamp,
            registered_at=int(push["token_registered_at"].timestamp() * 1000),
            other_environment=other,
            provider_token_age=outcome.provider_token_age,
        )
        reason = outcome.reason or (outcome.no_answer.value if outcome.no_answer else None)
        self._finish(Result(push, STATES[reaction.verdict], reason, outcome, reaction))

    async def withdraw_settled(self) -> None:
        """Take back what still waits for a connection though its ring has settled meanwhile."""
        before = asyncio.get_running_loop().time() - WAITING
        waiting = [
            one for one in self._aloft.values()
            if not one.flight.stream and one.flight.started < before
        ]  # fmt: skip
        if not waiting:
            return
        pushes = [one.push for one in waiting]
        async with self._runtime.database.reading() as session:
            facts = await store.facts(session, sorted({push["ring"] for push in pushes}))
            owned = await store.still_owned(session, pushes)
        for one in waiting:
            push = one.push
            unwanted = _not_to_be_sent(push, facts.get(push["ring"]), owned) is not None
            if unwanted and not one.flight.stream and not one.flight.future.done():
                one.sender.abandon(one.flight)

    # --- recording -----------------------------------------------------------------------------

    def _finish(self, result: Result) -> None:
        self._finished.append(result)
        if self._recording is None:
            self._recording = self._spawn(self._record())

    async def _record(self) -> None:
        """Write results in batches: while one commit runs, the next gathers."""
        try:
            while self._finished:
                batch, self._finished = self._finished[:BATCH], self._finished[BATCH:]
                try:
                    taken = await self._write(batch)
                except Exception:
                    # The rows stay claimed. If this worker goes on they are written later.
                    log.exception("results_not_written", count=len(batch))
                    self._finished = batch + self._finished
                    await asyncio.sleep(0.5)
                    continue
                for result in batch:
                    self._held.discard((result.push["id"], result.push["fence"]))
                    self._after(result, taken.get(result.push["id"]))
        finally:
            self._recording = None

    async def _write(self, batch: Sequence[Result]) -> dict[UUID, str]:
        rows = [self._row(result) for result in batch]
        attempts = [self._attempt(result) for result in batch if result.outcome is not None]
        async with self._runtime.database.transaction() as session:
            taken = await store.record(session, rows)
            await store.add_attempts(session, attempts)
            await self._write_tokens(session, batch, taken)
        return taken

    def _row(self, result: Result) -> dict[str, Any]:
        push, outcome, reaction = result.push, result.outcome, result.reaction
        heal = reaction is not None and reaction.token is TokenAction.TRY_OTHER_ENVIRONMENT
        other = "sandbox" if push["environment"] == "production" else "production"
        retry_at = reaction.retry_at if reaction is not None else None
        return {
            "id": push["id"],
            "fence": push["fence"],
            "state": result.state,
            "due_at": None if retry_at is None else self._wall(retry_at),
            "status": outcome.code or None if outcome is not None else None,
            "reason": result.reason,
            "environment": other if heal else push["environment"],
            "healed": push["healed"] or heal,
            "sent_at": self._wall(outcome.started) if outcome is not None else None,
            "answered_at": self._wall(outcome.ended) if outcome is not None else None,
        }

    def _attempt(self, result: Result) -> dict[str, Any]:
        push, outcome = result.push, result.outcome
        assert outcome is not None
        return {
            "id": uuid7(),
            "push_id": push["id"],
            "call_id": push["call_id"],
            "worker_id": self.worker_id,
            "fence": push["fence"],
            "environment": push["environment"],
            "started_at": self._wall(outcome.started),
            "finished_at": self._wall(outcome.ended),
            "status": outcome.code or None,
            "reason": result.reason,
            "unique_id": outcome.apns_unique_id,
        }

    def _wall(self, loop_time: float) -> datetime:
        return self.clock.now() + timedelta(seconds=loop_time - asyncio.get_running_loop().time())

    async def _write_tokens(
        self, session: Session, batch: Sequence[Result], taken: dict[UUID, str]
    ) -> None:
        """What answers prove of tokens; only where the claim held, and the token is unchanged."""
        mine = [result for result in batch if result.push["id"] in taken]
        healed = [r.push for r in mine if r.state == "accepted" and r.push["healed"]]
        retired = [
            (r.push, r.reason or "refused")
            for r in mine
            if r.reaction is not None and r.reaction.token is TokenAction.RETIRE
        ]
        if healed:
            await store.heal_tokens(session, healed)
        if retired:
            await store.retire_tokens(session, retired)

    def _after(self, result: Result, state: str | None) -> None:
        push, outcome, reaction = result.push, result.outcome, result.reaction
        PUSHES.labels(push["purpose"], result.state, result.reason or "").inc()
        log.info(
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
        if state == "accepted" and push["purpose"] == "ring" and outcome is not None:
            waited = self._wall(outcome.ended) - push["created_at"]
            RING_TO_ACCEPTED.observe(max(0.0, waited.total_seconds()))
        if state == "pending" and reaction is not None and reaction.retry_at is not None:
            asyncio.get_running_loop().call_at(reaction.retry_at, self._retry_soon, push["id"])

    def _retry_soon(self, push_id: UUID) -> None:
        if not self._retries:
            self._spawn(self._retry())
        self._retries.add(push_id)

    async def rehearse(self) -> None:
        """Go once through the statements of a push, before a ring needs them; nothing stays."""
        ring, pushed = uuid7(), Result({"id": uuid7(), "fence": 0} | NOTHING, "refused", None)
        async with self._runtime.database.rehearsal() as session:
            await store.claim_rings(session, self.worker_id, [ring], BATCH)
            await store.record(session, [self._row(pushed)])
        async with self._runtime.database.reading() as session:
            await store.facts(session, [ring])
            await store.still_owned(session, [])
            await credentials.for_bundles(session, {(ring, "rehearsal")})

    # --- living --------------------------------------------------------------------------------

    async def show_life(self) -> None:
        """Renew this worker's lease, and learn the database's time."""
        begun = asyncio.get_running_loop().time()
        async with self._runtime.database.transaction() as session:
            now = await store.renew_worker(
                session, self.worker_id, host=socket.gethostname(), pid=os.getpid(), lease=LEASE
            )
        self._alive_at = begun
        self.clock.learn(now)

    async def keep_warm(self) -> None:
        """Have a connection open for each credential and environment that phones may need."""
        async with self._runtime.database.reading() as session:
            wanted = await credentials.wanted_environments(session)
        await self._senders.keep_warm(wanted)

    async def sweep(self) -> None:
        """Whatever nobody has looked after: due pushes, dead workers' claims, deadlines."""
        await self.send_due()
        await self.send_orphans()
        async with self._runtime.database.transaction() as session:
            await store.expire(session, BATCH)
            await store.forget_dead_workers(session)

    async def stop(self, within: float) -> None:
        """Claim nothing more, let what flies end within `within` seconds, record it, go."""
        self._stopping = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        await self._senders.drain(deadline)
        while self._held and loop.time() < deadline + 1:
            await asyncio.sleep(0.01)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._senders.close()
        async with self._runtime.database.transaction() as session:
            await store.remove_worker(session, self.worker_id)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("push_task_failed", exc_info=task.exception())


def _not_to_be_sent(push: Row, facts: Row | None, owned: set[UUID]) -> str | None:
    """Why a claimed push must not go out after all: the ring settled, or the token moved on."""
    if facts is None:
        return "ring_gone"
    if push["purpose"] == "ring" and facts["outcome"] is not None:
        return "ring_settled"
    if push["token_id"] not in owned:
        return "token_moved"
    return None
