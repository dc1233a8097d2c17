"""The dispatcher of one worker process: claims deliveries, sends them, hands on what came of each.

No transaction is open while a request is under way. The rows say what is to be done: a worker
that dies leaves claims that the others free as soon as its worker is known to be dead. Whatever a
try raises is a result like any other, so that no claim and no place is kept for ever.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from app.core.delivery import DeliveryError, DeliveryState
from app.core.frozen import frozen
from app.core.text import is_header
from app.core.webhook_retry import Answer
from app.core.webhook_share import share
from app.infra.bisection import Aside, rows_alone
from app.infra.db import Connection
from app.infra.outage import is_transient
from app.infra.runtime import Runtime
from app.infra.safe_http import SafeHttp
from app.infra.signing_key import SigningKey
from app.infra.tasks import Tasks
from app.infra.traces import Attributes, Span
from app.infra.vault import VaultError
from app.webhooks import claims
from app.webhooks.claimed import Delivery, Destination, DueEvent
from app.webhooks.open_deliveries import Moment, OpenDeliveries, OpenDelivery
from app.webhooks.recording import DeliveryRecorder, DeliveryResult
from app.webhooks.signing import SigningKeys, body_of, signed

log = structlog.get_logger(__name__)

LAST_WRITES: Final = 2.0
"""Seconds for the last results to be written when a worker stops."""

AGAIN: Final = 0.25
"""Seconds between two tries to read what is to be sent, while the database is away."""

TOLD_EVERY: Final = 60.0


@frozen
class Said:
    """An event as it is sent: its id, as in headers, and its body."""

    id: bytes
    body: bytes
    event: DueEvent


@frozen
class Place:
    """Where a webhook's deliveries go, and what signs them."""

    url: str
    keys: Sequence[SigningKey]


class Facts:
    """What deliveries claimed together say, where they go and what signs them, each made once."""

    def __init__(
        self, events: Mapping[str, DueEvent], destinations: Mapping[UUID, Destination]
    ) -> None:
        self._events = events
        self._destinations = destinations
        self.said: dict[str, Said] = {}
        self.places: dict[UUID, Place] = {}

    def say(self, claim: Delivery) -> Said | None:
        """Of an event, the same for all its endpoints; None when it has gone."""
        found = self.said.get(claim.event_id)
        if found is None and (event := self._events.get(claim.event_id)) is not None:
            trace = event.traceparent
            if not is_header(claim.event_id) or not (trace is None or is_header(trace)):
                raise ValueError("an event's id or trace would be more than one header")
            found = Said(claim.event_id.encode(), body_of(claim, event), event)
            self.said[claim.event_id] = found
        return found

    def find(self, webhook: UUID, known: SigningKeys) -> Place | None:
        """None when it has gone. Raises VaultError."""
        found = self.places.get(webhook)
        if found is None and (to := self._destinations.get(webhook)) is not None:
            found = Place(to.url, [known.of(secret) for secret in to.secrets()])
            self.places[webhook] = found
        return found


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
            runtime.database, self._recording, self._recorded, self._open
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
        self._open.measure()
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
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        await self._tasks.stop(within)
        while self._open.unanswered() and loop.time() < deadline:  # noqa: ASYNC110  (answers have no event)
            await asyncio.sleep(0.01)
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
                claimed, facts = await self._claim()
                if claimed:
                    await self._send(claimed, facts)
        except Exception as error:
            if not is_transient(error):
                raise
            # the database is away: the next look comes within a second
        finally:
            self._claiming = None

    async def _claim(self) -> tuple[list[OpenDelivery], Facts | None]:
        """What is due and there is room for, and what it says, by one connection.

        More can be there only where less was due of some than there was room for: others may have
        theirs. What else comes free comes by a record, or a delivery that turns slow.
        """
        claimed: list[OpenDelivery] = []
        async with self._claims, self._runtime.database.autocommit() as session:
            found = await claims.work(session, [*self._open.full(), *self._bad.keys()])
            waiting = self._open.waiting(found)
            counts = share(waiting, self._open.taken())
            tenants = {one.webhook: one.tenant for one in waiting}

            async def take(webhooks: Sequence[UUID]) -> None:
                some = {(webhook, tenants[webhook]): counts[webhook] for webhook in webhooks}
                taken = await claims.claim(session, self._worker_id, some)
                claimed.extend(self._open.begin(taken))

            try:
                await rows_alone(list(counts), take, self._bad)
            except Exception:
                if not claimed:  # what has been claimed is sent, whatever became of the others
                    raise
                self._again = True
            if 0 < len(claimed) < sum(counts.values()):
                short = any(one.room > counts.get(one.webhook, 0) for one in waiting)
                self._again = self._again or short
            return claimed, await self._first_read(session, claimed)

    async def _first_read(
        self, session: Connection, claimed: Sequence[OpenDelivery]
    ) -> Facts | None:
        """What they say; None if nothing was claimed, or if that cannot be read so."""
        if not claimed:
            return None
        try:
            return Facts(*await claims.facts(session, [one.claim for one in claimed]))
        except Exception:  # noqa: BLE001  (it is read again, and whatever is raised then is told)
            return None

    async def _send(self, claimed: Sequence[OpenDelivery], facts: Facts | None = None) -> None:
        try:
            facts = facts or await self._read([one.claim for one in claimed])
        except Exception as error:  # noqa: BLE001  (whatever it is: a result, told and counted)
            if len(claimed) > 1:  # one row's fault: the others are sent
                for one in claimed:
                    await self._send([one])
                return
            self._tell("delivery_not_begun", claimed[0].claim, error)
            self._answered(claimed[0], Answer(None, DeliveryError.INTERNAL_ERROR))
            return
        moment = self._open.moment(claimed[0])
        self._open.start(claimed, moment)
        for one in claimed:
            try:
                self._post(one, facts, moment)
            except VaultError as error:
                self._tell("webhook_secret_unfit", one.claim, error)
                self._answered(one, Answer(None, DeliveryError.SECRET_UNFIT))
            except Exception as error:  # noqa: BLE001  (whatever it is: a result, told and counted)
                self._raised(one, error)

    async def _read(self, claimed: Sequence[Delivery]) -> Facts:
        """What they say and what signs it. While the database is away they wait: it is no try."""
        while True:
            try:
                async with self._runtime.database.autocommit() as session:
                    return Facts(*await claims.facts(session, claimed))
            except Exception as error:
                if not is_transient(error):
                    raise
            await asyncio.sleep(AGAIN)

    def _post(self, one: OpenDelivery, facts: Facts, moment: Moment) -> None:
        claim = one.claim
        said = facts.said.get(claim.event_id) or facts.say(claim)
        to = facts.places.get(claim.webhook_id) or facts.find(claim.webhook_id, self._keys)
        if said is None or to is None:
            self._answered(one, Answer(None, DeliveryError.EVENT_NOT_KEPT))
            return
        headers, span = signed(said.id, moment.second, said.body, to.keys), None
        trace = said.event.traceparent
        if trace is not None:
            span = self._span(claim, trace)
            trace = trace if span is None else span.traceparent
            headers += b"traceparent: %b\r\n" % trace.encode("ascii")
        self._outbound.send(
            to.url,
            headers,
            said.body,
            partial(self._heard, one, span),
            now=moment.at,
            owner=claim.tenant_id,
        )

    def _heard(self, one: OpenDelivery, span: Span | None, said: Answer | BaseException) -> None:
        """What came of a request."""
        if isinstance(said, Answer):
            if span is not None:
                if said.status is not None:
                    span.set({"http.response.status_code": said.status})
                span.end(failed=not said.ok)
            self._answered(one, said)
        elif isinstance(said, Exception):
            self._raised(one, said)
        else:  # this worker stops: whoever is next sends it
            self._open.end(one)

    def _raised(self, one: OpenDelivery, error: Exception) -> None:
        self._tell("delivery_raised", one.claim, error)
        self._answered(one, Answer(None, DeliveryError.INTERNAL_ERROR))

    def _span(self, claim: Delivery, trace: str) -> Span | None:
        """Of a try whose call is traced, where this process has traces."""
        if self._runtime.traces is None:
            return None
        said: Attributes = {
            "ringline.session_id": str(claim.session_id),
            "ringline.attempt": claim.attempts,
        }
        return self._runtime.traces.start("webhook", "CLIENT", trace, said)

    def _answered(self, one: OpenDelivery, answer: Answer) -> None:
        started, finished = self._open.answered(one)
        self._recorder.add(DeliveryResult(one, answer, started, finished, answer.ok))

    def _tell(self, event: str, claim: Delivery, error: Exception) -> None:
        """Once a minute for each kind: a bug that meets every delivery must not fill the log."""
        now = asyncio.get_running_loop().time()
        if now > self._told.get(event, -TOLD_EVERY) + TOLD_EVERY:
            self._told[event] = now
            log.error(event, webhook=str(claim.webhook_id), exc_info=error)

    def _recorded(self, result: DeliveryResult, _state: DeliveryState | None) -> None:
        self._open.end(result.of)
        self.wake()


async def free_orphans(runtime: Runtime) -> None:
    """What condemned workers had claimed waits again. For the sweep."""
    async with runtime.database.autocommit() as session:
        await claims.free_orphans(session)
