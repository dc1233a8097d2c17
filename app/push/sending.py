"""Sending what has been claimed: from claimed rows to streams, and from answers to results."""

import asyncio
import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from app.core.outcome import Outcome
from app.core.payload import PayloadError
from app.core.push import PushReason, PushState
from app.core.push_policy import Known, OtherEnvironment, Reaction, Verdict
from app.credentials import store as credentials
from app.credentials.usable import Usable
from app.infra.boottime import boottime
from app.infra.runtime import Runtime
from app.infra.vault import VaultError
from app.push.alerts import locales, unseen
from app.push.breakers import Breakers, is_plain_good
from app.push.claimed import Batch, Claim, ClaimedPush, Look
from app.push.deciding import (
    CredentialSet,
    another,
    choose,
    choose_for_all,
    held_back,
    is_silent,
    not_sent,
    not_to_be_sent,
    other_environment,
    state_after,
    taken,
    where_served,
)
from app.push.in_flight import Course, InFlight
from app.push.life import Life
from app.push.preparing import Preparing, are_translated, refused_payload
from app.push.results import DatabaseClock, Result
from app.push.senders import Senders
from app.push.stretch import AT_A_STRETCH, Stretch, first_stretch, in_turn, runs
from app.push.tracing import PushSpans

log = structlog.get_logger(__name__)

FAILED_KEPT = 10_000
"""Pushes of which it is remembered by which credentials they have failed."""

MOST_KNOWN = 1_000
"""Sets of apps of which it is kept what may push for them."""

App = tuple[UUID, str]
"""(tenant, id of an app)."""

NONE_EARLIER: Mapping[str, int] = {}
NOTHING: Mapping[str, Any] = {}

NOT_YET = float("-inf")
"""`start_by` of a push that may not begin before a look has noted that it is a repeat."""


class Sending:
    """The pushes of one worker between claim and result.

    `finish` takes each result; `forget` hears of claims that have become another's.
    """

    def __init__(
        self,
        runtime: Runtime,
        clock: DatabaseClock,
        finish: Callable[[Result], None],
        forget: Callable[[Claim], None],
    ) -> None:
        self.senders = Senders(runtime.settings, runtime.keyring, clock.unix)
        self._loop = asyncio.get_running_loop()
        self._runtime = runtime
        self._clock = clock
        self._spans = None if runtime.traces is None else PushSpans(runtime.traces)
        self._finish = finish if self._spans is None else self._spans.finished(finish)
        self._forget = forget if self._spans is None else self._spans.forgotten(forget)
        self._breakers = Breakers()
        self._in_flight: dict[Claim, InFlight] = {}
        self._failed: OrderedDict[UUID, tuple[UUID, ...]] = OrderedDict()
        self._usable_known: dict[frozenset[App], tuple[str | None, Sequence[Usable]]] = {}
        self._when_taken: dict[tuple[str, int], Reaction] = {}
        self._waiting: dict[Claim, InFlight] = {}
        """Those of them that had no stream when it was last looked."""

    async def send(self, claimed: Sequence[ClaimedPush], life: Life, read: float) -> None:
        """Send pushes that were claimed by a statement which began at `read` (`boottime()`).

        What it does not come to, when it fails or is cancelled, goes back to be claimed again.
        """
        left, missed = in_turn(claimed)
        try:
            usable = CredentialSet(await self._usable(claimed))
            preparing = self._preparing(claimed, read)
            if translated := are_translated(claimed, preparing):
                await self._read_locales(translated, preparing)
            size = first_stretch(len(left))
            while left or missed:
                if not left:
                    await self._count_unseen(missed, preparing)
                    left, missed = deque(missed), []
                going = Stretch(
                    life, read, preparing, usable, self._loop.time(), self._clock.unix()
                )
                some = [left.popleft() for _ in range(min(size, len(left)))]
                for batch, run in runs(some):
                    self._send_run(run, batch, going)
                size = AT_A_STRETCH
                await asyncio.sleep(0)  # what is written so far leaves
        finally:
            for push in (*left, *missed):
                self._finish(Result(push, PushState.PENDING, push.reason))

    def _preparing(self, claimed: Sequence[ClaimedPush], read: float) -> Preparing:
        calls = {push.session_id: push.call for push in claimed if push.call is not None}
        if self._spans is not None:
            self._spans.claimed(claimed, calls, read)
        said = {UUID(one): s for push in claimed for one, s in (push.settings or NOTHING).items()}
        return Preparing(calls, said, self._runtime.settings.public_url, self._runtime.keyring)

    async def _usable(self, claimed: Sequence[ClaimedPush]) -> Sequence[Usable]:
        """What may push for these; read anew where it is not as their claim says."""
        apps = frozenset((push.tenant_id, push.app_id) for push in claimed)
        stamp = next((push.credentials for push in claimed if push.credentials is not None), None)
        known = self._usable_known.get(apps)
        if known is not None and stamp is not None and known[0] == stamp:
            return known[1]
        async with self._runtime.database.autocommit() as session:
            rows = await credentials.for_apps(session, apps)
        if len(self._usable_known) >= MOST_KNOWN:
            self._usable_known.clear()
        # what is newer than its stamp is read once more, by the next claim
        self._usable_known[apps] = stamp, rows
        return rows

    async def _read_locales(self, told: Sequence[ClaimedPush], preparing: Preparing) -> None:
        async with self._runtime.database.autocommit() as session:
            preparing.locales.update(await locales(session, {one.device_row for one in told}))

    async def _count_unseen(self, missed: Sequence[ClaimedPush], preparing: Preparing) -> None:
        users = {(one.tenant_id, one.user_id) for one in missed}
        async with self._runtime.database.autocommit() as session:
            preparing.badges.update(await unseen(session, users))

    def _send_run(self, run: list[ClaimedPush], batch: Batch | None, going: Stretch) -> None:
        """Some of one batch, or of none: what is plain of them goes together."""
        course = None if batch is None or going.life.ended else self._course(run[0], going)
        if course is None:
            for push in run:
                self._send_one(push, going)
            return
        plain, requests = [], []
        for push in run:
            request = course.request(push) if not_to_be_sent(push.purpose, push) is None else None
            if request is None:
                self._send_one(push, going)  # which says what is the matter
            else:
                plain.append(push)
                requests.append(request)
        self._start_all(plain, requests, course, going)

    def _course(self, push: ClaimedPush, going: Stretch) -> Course | None:
        """How all of a push's batch go now; None: that is to be asked of each."""
        if self._failed or push.inherited:
            return None
        try:
            credential = choose_for_all(push, going.usable, self._breakers)
            if credential is None:
                return None
            request = going.preparing.alike(push, going.moment, credential.topics)
            if request is None:
                return None
            sender = self.senders.get(credential, push.environment)
        except Exception:  # noqa: BLE001  (of each by itself it is found again, and said)
            return None
        deadline = going.deadline(push.deadline)
        return Course(credential, sender, request, deadline, going.start_by(deadline))

    def _start_all(
        self, pushes: list[ClaimedPush], requests: list[Any], course: Course, going: Stretch
    ) -> None:
        try:
            begun = course.sender.start_all(requests, course.deadline, course.start_by)
        except Exception:
            log.exception("push_failed", push=str(pushes[0].id))
            for push in pushes:
                self._finish(not_sent(push, PushState.REFUSED, PushReason.INTERNAL_ERROR))
            return
        for push, pending in zip(pushes, begun, strict=True):
            self._follow(
                InFlight(
                    push.claim, push, going.life, course.sender, pending, course.credential,
                    going.usable, course.deadline, going.read, False, False,
                )
            )  # fmt: skip

    def _send_one(self, push: ClaimedPush, going: Stretch) -> None:
        unwanted = not_to_be_sent(push.purpose, push)
        try:
            if going.life.ended:  # condemned: others have it, or will
                self._forget(push.claim)
            elif unwanted is not None:
                self._finish(not_sent(push, PushState.DROPPED, unwanted))
            else:
                self._start(push, going)
        except Exception:
            log.exception("push_failed", push=str(push.id))
            self._finish(not_sent(push, PushState.REFUSED, PushReason.INTERNAL_ERROR))

    def _start(self, push: ClaimedPush, going: Stretch) -> None:
        push = where_served(push, going.usable)
        deadline = going.deadline(push.deadline)
        failed = self._failed.get(push.id, ()) if self._failed else ()
        credential, wait = choose(push, going.usable, self._breakers, going.now, failed)
        if credential is None:
            self._finish(not_sent(push, PushState.REFUSED, PushReason.NO_CREDENTIAL))
            return
        if wait is not None:
            self._finish(held_back(push, credential, going.now + wait, deadline))
            return
        try:
            request = going.preparing.request(push, going.moment, credential.topics)
            sender = self.senders.get(credential, push.environment)
        except PayloadError as error:
            log.error("payload_refused", **refused_payload(push, error))  # noqa: TRY400
            self._finish(not_sent(push, PushState.REFUSED, PushReason.PAYLOAD, credential))
            return
        except (ValueError, VaultError) as error:
            log.error("credential_unfit", credential=str(credential.id), why=str(error))  # noqa: TRY400
            unfit = PushReason.CREDENTIAL_UNFIT
            self._finish(not_sent(push, PushState.REFUSED, unfit, credential))
            return
        unmarked = push.inherited and not push.repeated
        pending = sender.start(request, deadline, NOT_YET if unmarked else going.start_by(deadline))
        self._follow(
            InFlight(
                push.claim, push, going.life, sender, pending, credential, going.usable, deadline,
                going.read, unmarked, push.repeated,
            )
        )  # fmt: skip

    def _follow(self, one: InFlight) -> None:
        """Until it has its end."""
        self._in_flight[one.claim] = one
        if not one.pending.stream and one.waits():
            self._waiting[one.claim] = one
        one.pending.future.add_done_callback(partial(self._done, one))

    # --- what waits ----------------------------------------------------------------------------

    def waiting(self, older: float) -> list[InFlight]:
        """Pushes without a stream to be looked at: held back for being old, or older than that."""
        for one in list(self._waiting.values()):
            if not one.waits():
                del self._waiting[one.claim]
        return [one for one in self._waiting.values() if one.is_held_back() or one.looked < older]

    def looked_at(self, one: InFlight, look: Look | None, read: float) -> None:
        """Act on what a look that began at `read` says; None: the claim is another's now."""
        if not one.waits():
            return
        if look is None:
            self.give_up(one, None)
            return
        unwanted = not_to_be_sent(one.push.purpose, look)
        if unwanted is not None:
            self.give_up(one, not_sent(one.push, PushState.DROPPED, unwanted))
            return
        one.looked = read
        if one.unmarked:
            if not look.marked:
                return
            one.unmarked, one.repeated = False, True
        until = boottime() + one.deadline - self._loop.time()
        one.sender.renew(one.pending, min(one.life.start_by(read), until))

    def give_up(self, one: InFlight, end: Result | None) -> None:
        """Take back a push for which no stream was opened."""
        one.end = end
        one.sender.abandon(one.pending)

    def forget_unbegun(self, life: Life) -> None:
        """That life has ended: what it had not begun is others' to send."""
        for one in list(self._waiting.values()):
            if one.life is life and one.waits():
                self.give_up(one, None)

    def has(self, claim: Claim) -> bool:
        """Whether a claim is with a sender."""
        return claim in self._in_flight

    # --- answers -------------------------------------------------------------------------------

    def _done(self, one: InFlight, future: asyncio.Future[Outcome]) -> None:
        self._in_flight.pop(one.claim, None)
        if future.cancelled():
            if one.end is None:
                self._forget(one.claim)
            else:
                self._finish(one.end)
            return
        outcome = future.result()
        try:
            self._finish(self._judge(one, outcome))
        except Exception:  # the answer is known all the same
            log.exception("answer_not_understood", push=str(one.push.id))
            state = PushState.ACCEPTED if 200 <= outcome.code < 300 else PushState.REFUSED
            self._finish(Result(one.push, state, PushReason.INTERNAL_ERROR, outcome=outcome))

    def _judge(self, one: InFlight, outcome: Outcome) -> Result:
        """What a push's outcome means for it."""
        push, credential, environment = one.push, one.credential, one.push.environment
        now = self._loop.time()
        reaction = self._taken(credential, outcome)
        if reaction is not None:
            if self._breakers.note_taken(credential, environment, now) and is_plain_good(reaction):
                if self._failed:
                    self._failed.pop(push.id, None)
                made = self._clock.unix_at(now)
                return Result(
                    push, PushState.ACCEPTED, None, credential, outcome, reaction, made=made
                )
        else:
            self._breakers.note_answer(credential, environment, outcome.code, outcome.reason, now)
            reaction = self._react(one, outcome, now)
        silent = is_silent(outcome.no_answer, may_have_reached=outcome.may_have_reached)
        # What was never sent says nothing of the phone; anything else may be the phone's own.
        unsent = outcome.no_answer is not None and not silent
        subject = str(push.id) if unsent else push.token
        alarm = self._breakers.note_reaction(credential, environment, reaction, now, subject)
        reason = outcome.reason or (outcome.no_answer.value if outcome.no_answer else None)
        state, retry_at = state_after(reaction)
        if reaction.other_credential:
            failed = self._note_failed(push.id, credential.id)
            if reaction.verdict is Verdict.REFUSED and another(
                push, one.usable, self._breakers, now, failed
            ):  # the ring need not suffer for this one
                state, retry_at = PushState.PENDING, now
        if silent and one.repeated:
            # what may have arrived is repeated once, whoever did not hear of it
            state, retry_at, reason = PushState.EXPIRED, None, PushReason.UNKNOWN
        if self._failed and state is not PushState.PENDING:
            self._failed.pop(push.id, None)
        return Result(
            push, state, reason, credential, outcome, reaction, retry_at, alarm, silent=silent
        )

    def _note_failed(self, push_id: UUID, credential_id: UUID) -> tuple[UUID, ...]:
        """By which credentials a push has failed, the latest last; forgotten when it has ended."""
        before = self._failed.pop(push_id, ())
        failed = (*(one for one in before if one != credential_id), credential_id)
        self._failed[push_id] = failed
        if len(self._failed) > FAILED_KEPT:
            self._failed.popitem(last=False)
        return failed

    def _taken(self, credential: Usable, outcome: Outcome) -> Reaction | None:
        """What follows if a push was simply taken, which is the same for all; None: was it?"""
        code = outcome.code
        if not 200 <= code < 300 or outcome.reason is not None or outcome.no_answer is not None:
            return None
        known = self._when_taken.get((credential.kind, code))
        if known is None:
            known = self._when_taken[credential.kind, code] = taken(credential.service.react, code)
        return known if known.verdict is Verdict.ACCEPTED else None

    def _react(self, one: InFlight, outcome: Outcome, now: float) -> Reaction:
        push, service = one.push, one.credential.service
        burst, may_retire = self._breakers.suspicion(one.credential, push.environment, now)
        known = Known(
            one.deadline,
            earlier=(
                Counter(service.row_of_stored(status, why) for status, why in push.tried)
                if push.tried
                else NONE_EARLIER
            ),
            registered_at=int(push.token_registered_at.timestamp() * 1000),
            other_environment=(
                OtherEnvironment.UNAVAILABLE  # nobody asks of a push that was taken
                if 200 <= outcome.code < 300
                else other_environment(push, one.usable)
            ),
            burst=burst,
            may_retire=may_retire,
        )
        attempt = outcome.attempt(push.attempts, now)
        return service.react(attempt, known, random.random())  # noqa: S311  (jitter)
