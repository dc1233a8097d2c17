"""The dispatcher of one worker process: claims deliveries, sends them, hands on what came of each.

No transaction is open while a request is under way. The rows say what is to be done: a worker
that dies leaves claims that the others free as soon as its worker is known to be dead. Whatever a
try raises is a result like any other, so that no claim and no place is kept for ever.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from app.core.delivery import DeliveryError, DeliveryState
from app.core.webhook_retry import Answer
from app.core.webhook_share import share
from app.infra.bisection import Aside, rows_alone
from app.infra.db import dump_json
from app.infra.ids import uuid7
from app.infra.outage import is_transient
from app.infra.runtime import Runtime
from app.infra.safe_http import SafeHttp
from app.infra.tasks import Tasks
from app.infra.traces import Attributes, Span
from app.infra.vault import VaultError
from app.webhooks import claims
from app.webhooks.claimed import Delivery, DeliveryFacts, Key
from app.webhooks.open_deliveries import OpenDeliveries
from app.webhooks.recording import DeliveryRecorder, DeliveryResult
from app.webhooks.signing import SigningKeys, body_of, signed

log = structlog.get_logger(__name__)

LAST_WRITES: Final = 2.0
"""Seconds for the last results to be written when a worker stops."""

AGAIN: Final = 0.25
"""Seconds between two tries to read what is to be sent, while the database is away."""

TOLD_EVERY: Final = 60.0

Facts = Mapping[Key, DeliveryFacts]


class WebhookDispatcher:
    """Sends what is due to webhooks. Belongs to one event loop; `worker_id` is in `workers`."""

    def __init__(self, runtime: Runtime, worker_id: UUID, outbound: SafeHttp | None = None) -> None:
        self._runtime = runtime
        self._worker_id = worker_id
        allow_private = runtime.settings.webhook_allow_private
        self._outbound = outbound or SafeHttp(allow_private=allow_private)
        self._tasks = Tasks("webhooks")
        self._recording = Tasks("webhooks")
        self._open = OpenDeliveries(slowed=self.wake)
        self._keys = SigningKeys(runtime.keyring)
        self._recorder = DeliveryRecorder(
            runtime.database, self._recording, self._recorded, lambda: self._open.expected
        )
        self._claims = asyncio.Lock()
        self._claiming: asyncio.Task[None] | None = None
        self._again = False
        self._stopping = False
        self._told: dict[str, float] = {}
        self._bad = Aside[UUID]("webhooks")
        """Of which no delivery can be claimed: the others' are."""

    def known_as(self, worker_id: UUID) -> None:
        """Claim under this id from now on: the worker has been condemned under the old one."""
        self._worker_id = worker_id

    async def look(self) -> None:
        """Once a second: what is claimed and not held waits again, what is due is sent."""
        try:
            async with self._claims, self._runtime.database.autocommit() as session:
                await claims.free_but(session, self._worker_id, self._open.keys())
        finally:
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
        await self._recorder.finish(LAST_WRITES)
        await self._recording.stop()
        try:
            async with self._runtime.database.transaction() as session:
                await claims.free_but(session, self._worker_id, self._recorder.unwritten)
        except Exception as error:
            if not is_transient(error) and not isinstance(error, OSError):
                raise
            # the database is away: others free them when this worker is dead

    # --- claiming and sending ------------------------------------------------------------------

    async def _claim_all(self) -> None:
        try:
            while self._again and not self._stopping:
                self._again = False
                if claimed := await self._claim():
                    await self._send(claimed)
        except Exception as error:
            if not is_transient(error):
                raise
            # the database is away: the next look comes within a second
        finally:
            self._claiming = None

    async def _claim(self) -> list[Delivery]:
        """What is due and there is room for. Where all of that was taken, more may be there."""
        claimed: list[Delivery] = []
        async with self._claims:
            full = [*self._open.full(), *self._bad.keys()]
            async with self._runtime.database.autocommit() as session:
                found = await claims.work(session, full)
            counts = share(self._open.waiting(found), self._open.taken())

            async def take(webhooks: Sequence[UUID]) -> None:
                some = {webhook: counts[webhook] for webhook in webhooks}
                async with self._runtime.database.autocommit() as session:
                    taken = await claims.claim(session, self._worker_id, some)
                self._open.begin(taken)
                claimed.extend(taken)

            try:
                await rows_alone(list(counts), take, self._bad)
            except Exception:
                if not claimed:  # what has been claimed is sent, whatever became of the others
                    raise
                self._again = True
            taken = Counter(one.webhook_id for one in claimed)
            if any(taken[webhook] >= count for webhook, count in counts.items()):
                self._again = True
        return claimed

    async def _send(self, claimed: Sequence[Delivery]) -> None:
        try:
            facts = await self._read(claimed)
        except Exception as error:  # noqa: BLE001  (whatever it is: a result, told and counted)
            if len(claimed) > 1:  # one row's fault: the others are sent
                for one in claimed:
                    await self._send([one])
                return
            self._tell("delivery_not_begun", claimed[0], error)
            self._answered(claimed[0], Answer(None, DeliveryError.INTERNAL_ERROR))
            return
        for one in claimed:
            self._tasks.spawn("send", self._send_one(one, facts.get(one.key)))

    async def _read(self, claimed: Sequence[Delivery]) -> Facts:
        """What they say and what signs it. While the database is away they wait: it is no try."""
        while True:
            try:
                async with self._runtime.database.autocommit() as session:
                    return await claims.facts(session, claimed)
            except Exception as error:
                if not is_transient(error):
                    raise
            await asyncio.sleep(AGAIN)

    async def _send_one(self, claim: Delivery, fact: DeliveryFacts | None) -> None:
        self._open.start(claim)
        try:
            answer = await self._answer_to(claim, fact)
        except Exception as error:  # noqa: BLE001  (whatever it is: a result, told and counted)
            self._tell("delivery_raised", claim, error)
            answer = Answer(None, DeliveryError.INTERNAL_ERROR)
        except BaseException:
            self._open.end(claim)
            raise
        self._answered(claim, answer)

    async def _answer_to(self, claim: Delivery, fact: DeliveryFacts | None) -> Answer:
        if fact is None:
            return Answer(None, DeliveryError.EVENT_NOT_KEPT)
        try:
            keys = [self._keys.of(secret) for secret in fact.secrets()]
        except VaultError as error:
            self._tell("webhook_secret_unfit", claim, error)
            return Answer(None, DeliveryError.SECRET_UNFIT)
        body = dump_json(body_of(claim, fact)).encode()
        now = self._open.now(claim)
        headers = signed(claim.event_id, now, body, keys)
        span = self._span(claim, fact)
        if fact.traceparent is not None:
            headers["traceparent"] = fact.traceparent if span is None else span.traceparent
        answer = await self._outbound.post(fact.url, headers, body, now=now, owner=claim.tenant_id)
        if span is not None:
            if answer.status is not None:
                span.set({"http.response.status_code": answer.status})
            span.end(failed=not answer.ok)
        return answer

    def _span(self, claim: Delivery, fact: DeliveryFacts) -> Span | None:
        """Of a try, where its call is traced and this process has traces."""
        traces = self._runtime.traces
        if traces is None or fact.traceparent is None:
            return None
        said: Attributes = {
            "ringline.session_id": str(claim.session_id),
            "ringline.attempt": claim.attempts,
        }
        return traces.start("webhook", "CLIENT", fact.traceparent, said)

    def _answered(self, claim: Delivery, answer: Answer) -> None:
        started, finished = self._open.answered(claim)
        self._recorder.add(DeliveryResult(uuid7(), claim, answer, started, finished))

    def _tell(self, event: str, claim: Delivery, error: Exception) -> None:
        """Once a minute for each kind: a bug that meets every delivery must not fill the log."""
        now = asyncio.get_running_loop().time()
        if now > self._told.get(event, -TOLD_EVERY) + TOLD_EVERY:
            self._told[event] = now
            log.error(event, webhook=str(claim.webhook_id), exc_info=error)

    def _recorded(self, result: DeliveryResult, _state: DeliveryState | None) -> None:
        self._open.end(result.claim)
        self.wake()


async def free_orphans(runtime: Runtime) -> None:
    """What condemned workers had claimed waits again. For the sweep."""
    async with runtime.database.autocommit() as session:
        await claims.free_orphans(session)
