"""What Apple's answer to a push, or the lack of one, means: what to do now, as a value.

Pure. Times are seconds of any one clock (`now`, `deadline`, `retry_at`), Apple's timestamps are
milliseconds since 1970. The rows are in `reaction_table`; unknown answers go by their class: 4xx
is final, 5xx is retried, anything else is final.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from app.core import reaction_table as table
from app.core.frozen import frozen
from app.core.reaction_table import (
    Alert,
    ConnectionAction,
    CredentialAction,
    NoAnswer,
    Retry,
    Row,
    Signal,
    row_for,
)

__all__ = [
    "Alert",
    "ConnectionAction",
    "CredentialAction",
    "NoAnswer",
    "OtherEnvironment",
    "ProviderTokenAction",
    "Reaction",
    "Signal",
    "TokenAction",
    "Verdict",
    "connection_after",
    "delay_before_retry",
    "react",
    "times_before",
]


class Verdict(StrEnum):
    """What the push is now."""

    ACCEPTED = "accepted"  # by Apple, not by the phone
    REFUSED = "refused"  # for good
    RETRY = "retry"  # at `retry_at`, with the same apns-id
    OUT_OF_TIME = "out_of_time"  # without an answer, and too late for another try


class TokenAction(StrEnum):
    """What becomes of the device's token."""

    KEEP = "keep"
    TRY_OTHER_ENVIRONMENT = "try_other_environment"  # and remember it if that accepts
    RETIRE = "retire"


class ProviderTokenAction(StrEnum):
    """What becomes of the provider token; the engine does this itself."""

    KEEP = "keep"
    SIGN_ANEW = "sign_anew"


class OtherEnvironment(StrEnum):
    """What is known of the token at the other host (sandbox or production)."""

    UNTRIED = "untried"
    REFUSED = "refused"  # BadDeviceToken there too
    UNAVAILABLE = "unavailable"  # no credential for it


@frozen
class Reaction:
    """What to do now. `retry_at` is set if and only if the verdict is RETRY."""

    verdict: Verdict
    retry_at: float | None = None
    token: TokenAction = TokenAction.KEEP
    credential: CredentialAction = CredentialAction.KEEP
    connection: ConnectionAction = ConnectionAction.KEEP
    provider_token: ProviderTokenAction = ProviderTokenAction.KEEP
    alert: Alert | None = None
    signal: Signal = Signal.NOTHING


LADDER: Final = (0.1, 0.25, 0.5, 1.0)
"""Seconds before the first, second, … retry; the last one repeats. Jitter is a quarter."""

FRESH_PROVIDER_TOKEN: Final = 1_500
"""Seconds: Apple lets a provider token be renewed at most every 20 minutes, and a new one is dated
five minutes back (`apns.jwt`)."""


def react(
    status: int,
    reason: str | None,
    *,
    attempt: int,
    now: float,
    deadline: float,
    random: float,
    no_answer: NoAnswer | None = None,
    repeats: int | None = None,
    retry_after: float | None = None,
    gone_at: int | None = None,
    registered_at: int | None = None,
    token_unchanged: bool = True,
    other_environment: OtherEnvironment = OtherEnvironment.UNAVAILABLE,
    burst: bool = False,
    may_retire: bool = True,
    provider_token_age: float | None = None,
) -> Reaction:
    """What to do about the end of one attempt to push.

    `status` is the HTTP status, 0 without an answer, and then `no_answer` says why (`reason` may
    still be one from a GOAWAY). `attempt` counts from 1, this one included; `repeats` how many
    earlier attempts of this push ended alike, see `times_before` (default: all). `random` is in
    [0, 1). `retry_after` is seconds from now. `gone_at` is Apple's timestamp of a 410 and
    `registered_at` when the token was last registered, both in milliseconds; `token_unchanged`
    that it still is the one that was pushed to. `burst` and `may_retire` are what
    `core.breaker.TokenRefusals` says. `provider_token_age` is in seconds, None for a certificate.
    """
    row = row_for(status, reason, no_answer)
    if row is table.ACCEPTED:
        return Reaction(Verdict.ACCEPTED, signal=Signal.GOOD)
    if row is table.DEVICE:
        return _device_refused(other_environment, now, deadline, burst=burst, retire=may_retire)
    if row is table.GONE:
        proven = gone_at is not None and registered_at is not None and gone_at > registered_at
        token = TokenAction.RETIRE if proven and token_unchanged else TokenAction.KEEP
        return Reaction(Verdict.REFUSED, token=token, signal=Signal.GOOD)
    before = attempt - 1 if repeats is None else repeats
    if row is table.EXPIRED:
        row, renew = _expired_provider_token(provider_token_age)
    else:
        renew = ProviderTokenAction.KEEP
    retry_at = None
    if row.retry is Retry.OFTEN or (row.retry is Retry.ONCE and before <= 0):
        retry_at = _retry_at(row, attempt, now, deadline, random, retry_after)
    return Reaction(
        verdict=_verdict(row, retry_at),
        retry_at=retry_at,
        credential=row.credential,
        connection=row.connection,
        provider_token=renew,
        alert=row.alert,
        signal=row.signal,
    )


def times_before(
    earlier: Iterable[tuple[int | None, str | None]],
    status: int,
    reason: str | None,
    no_answer: NoAnswer | None,
) -> int:
    """How many earlier attempts, as (status, reason), ended in the same row of the table as this.

    By row, not by reason: a 429 may come with or without a body, and other answers between.
    """
    row = row_for(status, reason, no_answer)
    return sum(
        row_for(code or 0, why, None if code else NoAnswer.LOST) is row for code, why in earlier
    )


def connection_after(status: int, reason: str | None) -> ConnectionAction:
    """The table's column for the connection that brought this answer."""
    return row_for(status, reason, None).connection


def delay_before_retry(attempt: int, random: float) -> float:
    """Seconds from the end of this attempt (from 1) to the next, jittered by a quarter."""
    return LADDER[min(max(attempt, 1), len(LADDER)) - 1] * (0.75 + 0.5 * random)


def _device_refused(
    other: OtherEnvironment, now: float, deadline: float, *, burst: bool, retire: bool
) -> Reaction:
    """BadDeviceToken and DeviceTokenNotForTopic: heal the environment, retire only on proof."""
    if burst:  # a wrong credential, not dead phones
        return Reaction(Verdict.REFUSED, alert=Alert.BAD_TOKEN_BURST)
    if other is OtherEnvironment.UNTRIED and now < deadline:
        return Reaction(
            Verdict.RETRY,
            retry_at=now,
            token=TokenAction.TRY_OTHER_ENVIRONMENT,
            signal=Signal.NOTHING,
        )
    proven = other is OtherEnvironment.REFUSED and retire
    return Reaction(Verdict.REFUSED, token=TokenAction.RETIRE if proven else TokenAction.KEEP)


def _expired_provider_token(age: float | None) -> tuple[Row, ProviderTokenAction]:
    """A token old enough is signed anew; a younger one means that somebody's clock is wrong."""
    if age is None:
        return table.STOPPED, ProviderTokenAction.KEEP
    if age >= FRESH_PROVIDER_TOKEN:
        return table.EXPIRED, ProviderTokenAction.SIGN_ANEW
    return table.CLOCK_SKEW, ProviderTokenAction.KEEP


def _retry_at(
    row: Row, attempt: int, now: float, deadline: float, random: float, retry_after: float | None
) -> float | None:
    delay = delay_before_retry(attempt, random)
    if retry_after is not None and (now + retry_after < deadline or row.status == 429):
        # A 503's wish that would end the ring is not kept; a 429's is: it is about this device.
        delay = max(delay, retry_after)
    return now + delay if now + delay < deadline else None


def _verdict(row: Row, retry_at: float | None) -> Verdict:
    if retry_at is not None:
        return Verdict.RETRY
    return Verdict.OUT_OF_TIME if row is table.UNANSWERED else Verdict.REFUSED
