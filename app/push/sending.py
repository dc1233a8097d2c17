"""Sending what has been claimed: which credential, what payload, and what an answer means."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import structlog

from app.apns import PushOutcome, Sender
from app.apns.flight import Flight
from app.core.frozen import frozen
from app.core.payload import PayloadError
from app.core.reaction import (
    CredentialAction,
    OtherEnvironment,
    Reaction,
    Verdict,
    react,
)
from app.credentials import store as credentials
from app.credentials.usable import Usable, pick
from app.infra.db import Row
from app.infra.runtime import Runtime
from app.infra.vault import VaultError
from app.push import store
from app.push.breakers import Breakers
from app.push.preparing import Preparing, refused_payload
from app.push.results import DatabaseClock, Result
from app.push.senders import Senders

log = structlog.get_logger(__name__)

WAITING = 0.2
"""Seconds for which a push may wait for a connection before its ring is looked at again."""

AT_A_STRETCH = 50
"""Pushes that are made before the loop gets its turn: the first of a group are soon away."""

STATES = {
    Verdict.ACCEPTED: "accepted",
    Verdict.REFUSED: "refused",
    Verdict.OUT_OF_TIME: "expired",
    Verdict.RETRY: "pending",
}
OTHER = {"production": "sandbox", "sandbox": "production"}

Claim = tuple[UUID, int]
"""A push's id and the fencing number under which this worker has it."""


@frozen
class Aloft:
    """A push that was handed to a sender and has no answer yet; `usable` are its credentials."""

    push: Row
    sender: Sender
    flight: Flight
    credential: Usable
    usable: "Serving"
    deadline: float


class Serving:
    """The credentials that may be used for one batch, and which of them serves a push."""

    def __init__(self, rows: Sequence[Usable]) -> None:
        self._rows = rows
        self._picked: dict[tuple[Any, ...], Usable | None] = {}

    def credential(
        self, push: Row, environment: str, without: Usable | None = None
    ) -> Usable | None:
        """The one to go by, leaving one out if that has been seen to fail."""
        app = (push["tenant_id"], push["bundle_id"])
        topic = None if push["kind"] == "voip" else push["bundle_id"]
        key = (*app, environment, topic, without and without.id)
        if key not in self._picked:
            rows = self._rows if without is None else [r for r in self._rows if r.id != without.id]
            self._picked[key] = pick(rows, *app, environment, topic)
        return self._picked[key]


class Sending:
    """The pushes of one worker between claim and result; `finish` takes each result."""

    def __init__(
        self, runtime: Runtime, clock: DatabaseClock, finish: Callable[[Result], None]
    ) -> None:
        self.senders = Senders(runtime.settings, runtime.keyring, clock.unix)
        self._loop = asyncio.get_running_loop()
        self._runtime = runtime
        self._clock = clock
        self._finish = finish
        self._breakers = Breakers()
        self._aloft: dict[Claim, Aloft] = {}

    async def send(self, claimed: list[dict[str, Any]], lapsed: Callable[[], bool]) -> bool:
        """Send claimed pushes; False, and nothing is sent, when the worker's lease has `lapsed`.

        It raises only before anything is sent.
        """
        async with self._runtime.database.reading() as session:
            usable = Serving(
                await credentials.for_bundles(
                    session, {(push["tenant_id"], push["bundle_id"]) for push in claimed}
                )
            )
        if lapsed():  # frozen meanwhile: what was read is old, and others have the claims
            return False
        calls = {push["call_id"]: push["call"] for push in claimed if push["call"] is not None}
        preparing = Preparing(calls, self._runtime.settings.public_url, self._runtime.keyring)
        start = self._loop.time() - self._clock.unix()
        for n, push in enumerate(claimed, 1):
            if n % AT_A_STRETCH == 0:
                await asyncio.sleep(0)  # what is written so far leaves
            why = _not_to_be_sent(push)
            if why is not None:
                self._finish(Result(push, "dropped", why))
                continue
            try:
                self._fly(push, preparing, usable, start + push["deadline"].timestamp())
            except Exception:
                log.exception("push_failed", push=str(push["id"]))
                self._finish(Result(push, "refused", "internal_error"))
        return True

    def _fly(self, push: Row, preparing: Preparing, usable: Serving, deadline: float) -> None:
        now = self._loop.time()
        credential, wait = self._choose(push, usable, now)
        if credential is None:
            self._finish(Result(push, "refused", "no_credential"))
            return
        if wait is not None:
            self._finish(_held_back(push, credential, now + wait, deadline))
            return
        try:
            request = preparing.request(push, self._clock.now(), credential.topics)
            sender = self.senders.get(credential, push["environment"])
        except PayloadError as error:
            log.error("payload_refused", **refused_payload(push, error))  # noqa: TRY400
            self._finish(Result(push, "refused", "payload", credential))
            return
        except (ValueError, VaultError) as error:
            log.error("credential_unfit", credential=str(credential.id), why=str(error))  # noqa: TRY400
            self._finish(Result(push, "refused", "credential_unfit", credential))
            return
        flight = sender.start(request, deadline)
        aloft = Aloft(push, sender, flight, credential, usable, deadline)
        self._aloft[push["id"], push["fence"]] = aloft
        flight.future.add_done_callback(lambda future: self._answered(aloft, future))

    def _choose(self, push: Row, usable: Serving, now: float) -> tuple[Usable | None, float | None]:
        """The credential to go by, and how long its breaker holds the push back.

        One that this worker has seen refused is passed over while another serves the app, though
        the database may not know of it yet.
        """
        environment = push["environment"]
        first = usable.credential(push, environment)
        if first is None:
            return None, None
        wait = self._breakers.wait(first, environment, now)
        if wait is None or not math.isinf(wait):
            return first, wait
        other = usable.credential(push, environment, without=first)
        if other is None:
            return first, wait
        instead = self._breakers.wait(other, environment, now)
        return (first, wait) if instead is not None and math.isinf(instead) else (other, instead)

    def _answered(self, aloft: Aloft, future: asyncio.Future[PushOutcome]) -> None:
        push, credential = aloft.push, aloft.credential
        self._aloft.pop((push["id"], push["fence"]), None)
        if future.cancelled():
            self._finish(Result(push, "dropped", "ring_settled"))
            return
        outcome, environment = future.result(), push["environment"]
        now = self._loop.time()
        self._breakers.note_answer(credential, environment, outcome.code, outcome.reason, now)
        reaction = self._react(aloft, outcome, now)
        alarm = self._breakers.note_reaction(credential, environment, reaction, now)
        state, retry_at = STATES[reaction.verdict], reaction.retry_at
        if reaction.credential is not CredentialAction.KEEP and now < aloft.deadline:
            other = aloft.usable.credential(push, environment, without=credential)
            if other is not None and self._breakers.wait(other, environment, now) is None:
                # another credential serves this app: the ring need not suffer for this one
                state, retry_at = "pending", now
        reason = outcome.reason or (outcome.no_answer.value if outcome.no_answer else None)
        self._finish(Result(push, state, reason, credential, outcome, reaction, retry_at, alarm))

    def _react(self, aloft: Aloft, outcome: PushOutcome, now: float) -> Reaction:
        push = aloft.push
        burst, may_retire = self._breakers.suspicion(aloft.credential, push["environment"], now)
        return react(
            outcome.code,
            outcome.reason,
            attempt=push["attempts"],
            now=now,
            deadline=aloft.deadline,
            random=random.random(),  # noqa: S311  (jitter)
            no_answer=outcome.no_answer,
            repeats=int(push["reason"] is not None and push["reason"] == outcome.reason),
            retry_after=outcome.retry_after,
            gone_at=outcome.timestamp,
            registered_at=int(push["token_registered_at"].timestamp() * 1000),
            other_environment=(
                OtherEnvironment.UNAVAILABLE  # nobody asks of a push that was taken
                if outcome.code == 200
                else _other_environment(push, aloft.usable)
            ),
            burst=burst,
            may_retire=may_retire,
            provider_token_age=outcome.provider_token_age,
        )

    async def withdraw_settled(self) -> None:
        """Take back what still waits for a connection though its ring has settled meanwhile."""
        before = self._loop.time() - WAITING
        waiting = [
            one for one in self._aloft.values()
            if not one.flight.stream and one.flight.started < before
        ]  # fmt: skip
        if not waiting:
            return
        async with self._runtime.database.reading() as session:
            now = await store.standings(session, [one.push["id"] for one in waiting])
        for one in waiting:
            unwanted = _not_to_be_sent({**one.push, **now.get(one.push["id"], GONE)}) is not None
            if unwanted and not one.flight.stream and not one.flight.future.done():
                one.sender.abandon(one.flight)


GONE: Row = {"ring_created_at": None}


def _not_to_be_sent(push: Row) -> str | None:
    """Why a claimed push must not go out after all: the ring settled, or the token moved on."""
    if push["ring_created_at"] is None:
        return "ring_gone"
    if push["purpose"] == "ring" and push["outcome"] is not None:
        return "ring_settled"
    return None if push["owned"] else "token_moved"


def _other_environment(push: Row, usable: Serving) -> OtherEnvironment:
    if push["healed"]:
        return OtherEnvironment.REFUSED
    other = usable.credential(push, OTHER[push["environment"]])
    return OtherEnvironment.UNTRIED if other is not None else OtherEnvironment.UNAVAILABLE


def _held_back(push: Row, credential: Usable, until: float, deadline: float) -> Result:
    """A push that its credential's breaker does not let pass now."""
    if math.isinf(until):
        return Result(push, "refused", "credential_stopped", credential)
    if until >= deadline:
        return Result(push, "expired", "apns_in_trouble", credential)
    return Result(push, "pending", "apns_in_trouble", credential, retry_at=until)
