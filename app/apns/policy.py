"""What Apple's answer to a push, or the lack of one, means: what to do now, as a value.

Pure. The rows are in `apns.answer_table`; unknown answers go by their class: 4xx is final, 5xx is
retried, anything else is final.
"""

from typing import Final

from app.apns import answer_table as table
from app.core.answer_rows import DEVICE, STOPPED, Row, follow
from app.core.push_policy import (
    Alert,
    Attempt,
    ConnectionAction,
    Known,
    OtherEnvironment,
    Reaction,
    Signal,
    TokenAction,
    Verdict,
)

row_of_stored: Final = table.TABLE.row_of_stored

FRESH_PROVIDER_TOKEN: Final = 1_500
"""Seconds: Apple lets a provider token be renewed at most every 20 minutes, and a new one is dated
five minutes back (`apns.jwt`)."""


def react(attempt: Attempt, known: Known, random: float) -> Reaction:
    """What to do about the end of one attempt to push; `random` in [0, 1) is for jitter.

    What a row lets happen once happens once in a push's life, whatever came in between.
    """
    row = table.TABLE.row_of(attempt)
    if row is DEVICE:
        return _device_refused(attempt, known)
    if row is table.GONE:
        return _gone(attempt, known)
    if row is table.EXPIRED:
        row = _expired_provider_token(attempt.provider_token_age)
    return follow(row, attempt, known, random)


def connection_after(status: int, reason: str | None) -> ConnectionAction:
    """The table's column for the connection that brought this answer."""
    return table.TABLE.row_for(status, reason, None).connection


def _device_refused(attempt: Attempt, known: Known) -> Reaction:
    """BadDeviceToken and DeviceTokenNotForTopic: heal the environment, retire only on proof."""
    row, now = DEVICE.name, attempt.ended
    if known.burst:  # a wrong credential, not dead phones
        return Reaction(Verdict.REFUSED, row, alert=Alert.BAD_TOKEN_BURST)
    other = known.other_environment
    if other is OtherEnvironment.UNTRIED and now < known.deadline:
        return Reaction(Verdict.RETRY, row, retry_at=now, token=TokenAction.TRY_OTHER_ENVIRONMENT)
    proven = other is OtherEnvironment.REFUSED and known.may_retire
    token = TokenAction.RETIRE if proven else TokenAction.KEEP
    return Reaction(Verdict.REFUSED, row, token=token)


def _gone(attempt: Attempt, known: Known) -> Reaction:
    """410: the token is dead if that is later than its registration."""
    at, registered = attempt.gone_at, known.registered_at
    proven = at is not None and registered is not None and at > registered
    token = TokenAction.RETIRE if proven and known.token_unchanged else TokenAction.KEEP
    return Reaction(Verdict.REFUSED, table.GONE.name, token=token, signal=Signal.GOOD)


def _expired_provider_token(age: float | None) -> Row:
    """A token old enough is signed anew; a younger one means that somebody's clock is wrong."""
    if age is None:
        return STOPPED
    return table.EXPIRED if age >= FRESH_PROVIDER_TOKEN else table.CLOCK_SKEW
