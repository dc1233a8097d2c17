"""What becomes of a push after an attempt: the words that every sender's policy speaks.

Pure. Times are seconds of any one clock, timestamps of others are milliseconds since 1970. Each
sender has a table of its own that says what its service's answers mean, such as `apns.policy`.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.core.frozen import frozen


class NoAnswer(StrEnum):
    """Why a push ended without an answer of the service's."""

    OUT_OF_TIME = "out_of_time"  # its deadline passed first
    NEVER_SENT = "never_sent"  # the server took no notice of it: sending it again is safe
    LOST = "lost"  # sent, then the stream or connection went without an answer


class Verdict(StrEnum):
    """What the push is now."""

    ACCEPTED = "accepted"  # by the service, not by the phone
    REFUSED = "refused"  # for good
    RETRY = "retry"  # at `retry_at`, with the same id
    OUT_OF_TIME = "out_of_time"  # without an answer, and not to be tried again


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


class CredentialAction(StrEnum):
    """What becomes of the credential."""

    KEEP = "keep"
    STOP = "stop"
    STOP_TOPIC = "stop_topic"  # for this bundle only


class ConnectionAction(StrEnum):
    """What becomes of the connection that brought an answer; the engine does this itself."""

    KEEP = "keep"
    SPARE = "spare"  # prefer another for a while
    REPLACE = "replace"  # open another, let this one finish and close


class Alert(StrEnum):
    """What a person should hear of: of each credential once, and again if it holds an hour on."""

    CREDENTIAL_REFUSED = "credential_refused"
    CREDENTIAL_FAILING = "credential_failing"
    TOPIC_REFUSED = "topic_refused"
    CLOCK_SKEW = "clock_skew"
    TOKEN_UPDATES_THROTTLED = "token_updates_throttled"  # noqa: S105 - not a password
    BAD_TOKEN_BURST = "bad_token_burst"  # noqa: S105 - not a password
    OUR_BUG = "our_bug"
    UNKNOWN_ANSWER = "unknown_answer"
    CREDENTIAL_UNFIT = "credential_unfit"  # these two: nothing is sent at all
    PAYLOAD_REFUSED = "payload_refused"


class Signal(StrEnum):
    """What an attempt says about the credential's health, for its circuit breaker."""

    GOOD = "good"  # the service works and knows the credential
    TROUBLE = "trouble"  # the service says that it does not work
    UNEXPLAINED = "unexplained"  # no answer, or a refusal of the credential by no known reason
    REFUSED = "refused"  # the service does not want this credential
    NOTHING = "nothing"


@frozen
class Attempt:
    """One attempt at a push and how it ended, at `ended`; `number` counts from 1.

    `status` is the service's, 0 without an answer, and then `no_answer` says why (`reason` may
    still be one from a GOAWAY) and `may_have_reached` whether the service may have acted on it.
    `retry_after` is seconds from `ended`; `gone_at` the time that comes with a 410, in milliseconds
    since 1970; `provider_token_age` is in seconds, None where there was none.
    """

    number: int
    ended: float
    status: int = 0
    reason: str | None = None
    no_answer: NoAnswer | None = None
    may_have_reached: bool = True
    retry_after: float | None = None
    gone_at: int | None = None
    provider_token_age: float | None = None


@frozen
class Known:
    """What is known of a push beside its latest attempt.

    `earlier` counts its attempts before that by their row of the table (`Reaction.row`).
    `registered_at` is when the token was last registered, in milliseconds since 1970, and
    `token_unchanged` that it still is the one that was pushed to. `burst` and `may_retire` are what
    `core.breaker.TokenRefusals` says.
    """

    deadline: float
    earlier: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    registered_at: int | None = None
    token_unchanged: bool = True
    other_environment: OtherEnvironment = OtherEnvironment.UNAVAILABLE
    burst: bool = False
    may_retire: bool = True


@frozen
class Reaction:
    """What to do now. `retry_at` is set if and only if the verdict is RETRY.

    `row` names the row of the sender's table, which is what once-only reactions are counted by.
    `other_credential`: where another serves the app, the push deserves a try by that one.
    """

    verdict: Verdict
    row: str
    retry_at: float | None = None
    token: TokenAction = TokenAction.KEEP
    credential: CredentialAction = CredentialAction.KEEP
    connection: ConnectionAction = ConnectionAction.KEEP
    provider_token: ProviderTokenAction = ProviderTokenAction.KEEP
    alert: Alert | None = None
    signal: Signal = Signal.NOTHING
    other_credential: bool = False


RETRY_DELAYS: Final = (0.1, 0.25, 0.5, 1.0)
"""Seconds before the first, second, … retry; the last one repeats. Jitter is a quarter."""


def delay_before_retry(attempt: int, random: float) -> float:
    """Seconds from the end of this attempt (from 1) to the next, jittered by a quarter."""
    return RETRY_DELAYS[min(max(attempt, 1), len(RETRY_DELAYS)) - 1] * (0.75 + 0.5 * random)
