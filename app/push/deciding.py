"""What to do with a claimed push: pure decisions, on rows as a claim gives them."""

import math
from collections.abc import Sequence
from typing import Any, Final, Protocol

from app.core.reaction import NoAnswer, OtherEnvironment, Reaction, Verdict
from app.credentials.usable import Usable, pick
from app.infra.db import Row
from app.push.results import Result

STATES: Final = {
    Verdict.ACCEPTED: "accepted",
    Verdict.REFUSED: "refused",
    Verdict.OUT_OF_TIME: "expired",
    Verdict.RETRY: "pending",
}
OTHER: Final = {"production": "sandbox", "sandbox": "production"}
UNKNOWN: Final = "unknown"
"""Reason of a push that may have been handed over, nobody knows, and that is not sent again."""


class Breakers(Protocol):
    """What is asked of the breakers: seconds to wait, None for now, infinity for a stopped one."""

    def wait(self, credential: Usable, environment: str, now: float) -> float | None: ...


class CredentialSet:
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


def choose(
    push: Row, usable: CredentialSet, breakers: Breakers, now: float
) -> tuple[Usable | None, float | None]:
    """The credential to go by, and how long its breaker holds the push back (None: not at all).

    One that this worker has seen refused or in trouble is passed over while another serves the
    app, though the database may not know of it yet.
    """
    environment = push["environment"]
    first = usable.credential(push, environment)
    if first is None:
        return None, None
    wait = breakers.wait(first, environment, now)
    if wait is None:
        return first, None
    other = usable.credential(push, environment, without=first)
    if other is None:
        return first, wait
    instead = breakers.wait(other, environment, now)
    if instead is None or instead < wait:
        return other, instead
    return first, wait


def not_to_be_sent(push: Row) -> str | None:
    """Why a claimed push must not go out after all: the ring settled, or the token moved on."""
    if push["ring_created_at"] is None:
        return "ring_gone"
    if push["purpose"] == "ring" and push["outcome"] is not None:
        return "ring_settled"
    return None if push["owned"] else "token_moved"


def other_environment(push: Row, usable: CredentialSet) -> OtherEnvironment:
    """What is known of a push's token at the other host."""
    if push["healed"]:
        return OtherEnvironment.REFUSED
    other = usable.credential(push, OTHER[push["environment"]])
    return OtherEnvironment.UNTRIED if other is not None else OtherEnvironment.UNAVAILABLE


def held_back(push: Row, credential: Usable, until: float, deadline: float) -> Result:
    """A push that its credential's breaker does not let pass now."""
    if math.isinf(until):
        return not_sent(push, "refused", "credential_stopped", credential)
    if until >= deadline:
        return not_sent(push, "expired", "apns_in_trouble", credential)
    return Result(push, "pending", "apns_in_trouble", credential, retry_at=until)


def not_sent(push: Row, state: str, reason: str, credential: Usable | None = None) -> Result:
    """The end of a push that this worker has not handed over, and will not.

    Of one that another may have handed over nobody knows: its phone may ring.
    """
    if push["inherited"]:
        return Result(push, "expired", UNKNOWN, credential)
    return Result(push, state, reason, credential)


def is_silent(no_answer: NoAnswer | None, *, may_have_reached: bool) -> bool:
    """Whether a try ended without an answer although Apple may have acted on it."""
    return no_answer is not None and may_have_reached


def state_after(reaction: Reaction) -> tuple[str, float | None]:
    """What a push is after a try, and when it is to be tried again (loop time)."""
    return STATES[reaction.verdict], reaction.retry_at
