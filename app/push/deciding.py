"""What to do with a claimed push: pure decisions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol
from uuid import UUID

from app import senders
from app.core.push import OF_OPEN_RINGS, Environment, Purpose, PushReason, PushState
from app.core.push_policy import (
    Alert,
    Attempt,
    Known,
    NoAnswer,
    OtherEnvironment,
    Reaction,
    Verdict,
)
from app.credentials.usable import Usable, in_order, made_for
from app.push.breakers import Try
from app.push.claimed import ClaimedPush, Standing
from app.push.results import Result

STATES: Final = {
    Verdict.ACCEPTED: PushState.ACCEPTED,
    Verdict.REFUSED: PushState.REFUSED,
    Verdict.OUT_OF_TIME: PushState.EXPIRED,
    Verdict.RETRY: PushState.PENDING,
}

ALARMS: Final = {
    PushReason.CREDENTIAL_UNFIT: Alert.CREDENTIAL_UNFIT,
    PushReason.PAYLOAD: Alert.PAYLOAD_REFUSED,
}
"""Why nothing is sent that the tenant has to mend."""


class Breakers(Protocol):
    """What is asked of the breakers."""

    def wait(
        self, credential: Usable, environment: Environment, now: float, one: Try
    ) -> float | None:
        """Seconds to wait, None for now, infinity for a stopped one."""

    def lets_all_pass(self, credential: Usable, environment: Environment) -> bool:
        """Whether no push has to wait, and none changes anything."""

    def is_failing(self, credential: Usable, environment: Environment, now: float) -> bool:
        """Whether another should go first."""


class CredentialSet:
    """The credentials that may be used for one batch, and which of them serve a push."""

    def __init__(self, rows: Sequence[Usable]) -> None:
        self._rows = rows
        self._ordered: dict[tuple[Any, ...], list[Usable]] = {}
        self._last: tuple[ClaimedPush | None, Environment | None, list[Usable]] = (None, None, [])
        """Of a push it is asked where it is served, and then by what."""

    def serving(self, push: ClaimedPush, environment: Environment) -> list[Usable]:
        """Those that serve a push's app in this environment, the fittest first."""
        last, where, served = self._last
        if push is last and environment is where:
            return served
        key = push.tenant_id, push.app_id, environment, push.kind
        found = self._ordered.get(key)
        if found is None:
            found = self._ordered[key] = in_order(self._rows, *key)
        served = made_for(push.token, push.kind, found)
        self._last = push, environment, served
        return served


def try_of(push: ClaimedPush) -> Try:
    """What breakers look at. A push that was only held back has not been tried."""
    return Try(push.id, push.token, first=not push.tried)


def choose(
    push: ClaimedPush,
    usable: CredentialSet,
    breakers: Breakers,
    now: float,
    failed: Sequence[UUID] = (),
) -> tuple[Usable | None, float | None]:
    """The credential to go by, and how long its breaker holds the push back (None: not at all).

    One that this worker has seen refused, failing or in trouble is passed over while another serves
    the app, though the database may not know of it yet; so are those by which this push has
    `failed` (in that order), until it has failed by all.
    """
    environment = push.environment
    found = usable.serving(push, environment)
    if not found:
        return None, None
    if len(found) == 1:
        only = found[0]
        if breakers.lets_all_pass(only, environment):
            return only, None
        return only, breakers.wait(only, environment, now, try_of(push))
    one = try_of(push)

    def group(credential: Usable) -> int:
        if credential.id in failed:
            return 2 + failed.index(credential.id)
        return int(breakers.is_failing(credential, environment, now))

    best, shortest, reached = found[0], math.inf, 0
    for credential in sorted(found, key=group):
        if not math.isinf(shortest) and group(credential) > reached:
            break  # it is worth the wait
        wait = breakers.wait(credential, environment, now, one)
        if wait is None:
            return credential, None
        if wait < shortest:
            best, shortest, reached = credential, wait, group(credential)
    return best, shortest


def choose_for_all(push: ClaimedPush, usable: CredentialSet, breakers: Breakers) -> Usable | None:
    """By what this push goes and all others of its app and kind, where there is no choice to be
    made and nothing holds any of them back; None: that is to be asked of each."""
    found = usable.serving(push, push.environment)
    if len(found) != 1 or senders.serving(push.kind).key_of(push.token) is not None:
        return None
    return found[0] if breakers.lets_all_pass(found[0], push.environment) else None


def another(
    push: ClaimedPush, usable: CredentialSet, breakers: Breakers, now: float, failed: Sequence[UUID]
) -> Usable | None:
    """A credential by which this push has not failed yet, and that this worker would use."""
    environment = push.environment
    for credential in usable.serving(push, environment):
        if credential.id not in failed and not breakers.is_failing(credential, environment, now):
            return credential
    return None


def not_to_be_sent(purpose: Purpose, known: Standing) -> PushReason | None:
    """Why a claimed push must not go out after all: the ring settled, or the token moved on."""
    if known.ring_gone:
        return PushReason.RING_GONE
    if purpose in OF_OPEN_RINGS and known.settled:
        return PushReason.RING_SETTLED
    return None if known.owned else PushReason.TOKEN_MOVED


def where_served(push: ClaimedPush, usable: CredentialSet) -> ClaimedPush:
    """The push as it is sent: in the only environment that has a credential, whatever it says.

    An app of which there is only a production certificate may say sandbox all the same; what is
    accepted is remembered of its token (`healed`).
    """
    other = push.environment.other
    if usable.serving(push, push.environment) or not usable.serving(push, other):
        return push
    return replace(push, environment=other, healed=True)


def other_environment(push: ClaimedPush, usable: CredentialSet) -> OtherEnvironment:
    """What is known of a push's token at the other host: nothing, if that cannot be asked."""
    if not usable.serving(push, push.environment.other):
        return OtherEnvironment.UNAVAILABLE
    return OtherEnvironment.REFUSED if push.healed else OtherEnvironment.UNTRIED


def held_back(push: ClaimedPush, credential: Usable, until: float, deadline: float) -> Result:
    """A push that its credential's breaker does not let pass now."""
    if math.isinf(until):
        return not_sent(push, PushState.REFUSED, PushReason.CREDENTIAL_STOPPED, credential)
    if until >= deadline:
        return not_sent(push, PushState.EXPIRED, PushReason.SERVICE_IN_TROUBLE, credential)
    reason = PushReason.SERVICE_IN_TROUBLE
    return Result(push, PushState.PENDING, reason, credential, retry_at=until)


def not_sent(
    push: ClaimedPush, state: PushState, reason: PushReason, credential: Usable | None = None
) -> Result:
    """The end of a push that this worker has not handed over, and will not.

    Of one that another may have handed over nobody knows: its phone may ring.
    """
    if push.inherited:
        return Result(push, PushState.EXPIRED, PushReason.UNKNOWN, credential)
    return Result(push, state, reason, credential, alarm=ALARMS.get(reason))


def taken(react: Callable[[Attempt, Known, float], Reaction], code: int) -> Reaction:
    """What a service's answer of this status means, with no reason: one for all that it accepts."""
    return react(Attempt(1, 0.0, status=code), Known(0.0), 0.5)


def is_silent(no_answer: NoAnswer | None, *, may_have_reached: bool) -> bool:
    """Whether a try ended without an answer although the service may have acted on it."""
    return no_answer is not None and may_have_reached


def state_after(reaction: Reaction) -> tuple[PushState, float | None]:
    """What a push is after a try, and when it is to be tried again (loop time)."""
    return STATES[reaction.verdict], reaction.retry_at
