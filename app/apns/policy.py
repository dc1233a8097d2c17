"""What Apple's answer to a push, or the lack of one, means: what to do now, as a value.

Pure. The rows are in `apns.answer_table`; unknown answers go by their class: 4xx is final, 5xx is
retried, anything else is final.
"""

from typing import Final

from app.apns import answer_table as table
from app.apns.answer_table import Retry, Row, row_for
from app.core.push_policy import (
    Alert,
    Attempt,
    ConnectionAction,
    Known,
    NoAnswer,
    OtherEnvironment,
    ProviderTokenAction,
    Reaction,
    Signal,
    TokenAction,
    Verdict,
    delay_before_retry,
)

FRESH_PROVIDER_TOKEN: Final = 1_500
"""Seconds: Apple lets a provider token be renewed at most every 20 minutes, and a new one is dated
five minutes back (`apns.jwt`)."""


def react(attempt: Attempt, known: Known, random: float) -> Reaction:
    """What to do about the end of one attempt to push; `random` in [0, 1) is for jitter.

    What a row lets happen once happens once in a push's life, whatever came in between.
    """
    row = row_for(
        attempt.status,
        attempt.reason,
        attempt.no_answer,
        may_have_reached=attempt.may_have_reached,
    )
    if row is table.ACCEPTED:
        return Reaction(Verdict.ACCEPTED, row.name, signal=Signal.GOOD)
    if row is table.DEVICE:
        return _device_refused(attempt, known)
    if row is table.GONE:
        return _gone(attempt, known)
    renew = ProviderTokenAction.KEEP
    if row is table.EXPIRED:
        row, renew = _expired_provider_token(attempt.provider_token_age)
    retry_at = None
    if row.retry is Retry.OFTEN or (row.retry is Retry.ONCE and not known.earlier.get(row.name)):
        retry_at = _retry_at(row, attempt, known.deadline, random)
    return Reaction(
        verdict=_verdict(row, retry_at),
        row=row.name,
        retry_at=retry_at,
        credential=row.credential,
        connection=row.connection,
        provider_token=renew,
        alert=row.alert,
        signal=row.signal,
        other_credential=row.other_credential and _may_go_elsewhere(row, attempt, known),
    )


def connection_after(status: int, reason: str | None) -> ConnectionAction:
    """The table's column for the connection that brought this answer."""
    return row_for(status, reason, None).connection


def row_of_stored(status: int | None, reason: str | None) -> str:
    """The row's name of an earlier attempt as it is stored: its status, Apple's reason or ours."""
    if status:
        return row_for(status, reason, None).name
    silent = reason in (NoAnswer.LOST.value, NoAnswer.OUT_OF_TIME.value)
    return row_for(0, reason, NoAnswer.LOST if silent else NoAnswer.NEVER_SENT).name


def _device_refused(attempt: Attempt, known: Known) -> Reaction:
    """BadDeviceToken and DeviceTokenNotForTopic: heal the environment, retire only on proof."""
    row, now = table.DEVICE.name, attempt.ended
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


def _expired_provider_token(age: float | None) -> tuple[Row, ProviderTokenAction]:
    """A token old enough is signed anew; a younger one means that somebody's clock is wrong."""
    if age is None:
        return table.STOPPED, ProviderTokenAction.KEEP
    if age >= FRESH_PROVIDER_TOKEN:
        return table.EXPIRED, ProviderTokenAction.SIGN_ANEW
    return table.CLOCK_SKEW, ProviderTokenAction.KEEP


def _may_go_elsewhere(row: Row, attempt: Attempt, known: Known) -> bool:
    """Whether another credential may try, for which what befell the push here proves nothing."""
    if attempt.ended >= known.deadline:
        return False
    if row.retry is Retry.OFTEN or row.signal is Signal.REFUSED:
        return True  # the refused ones are stopped, so that this ends
    return not known.earlier.get(row.name)


def _retry_at(row: Row, attempt: Attempt, deadline: float, random: float) -> float | None:
    now, wish = attempt.ended, attempt.retry_after
    delay = delay_before_retry(attempt.number, random)
    if wish is not None and (now + wish < deadline or row.status == 429):
        # A 503's wish that would end the ring is not kept; a 429's is: it is about this device.
        delay = max(delay, wish)
    return now + delay if now + delay < deadline else None


def _verdict(row: Row, retry_at: float | None) -> Verdict:
    if retry_at is not None:
        return Verdict.RETRY
    silent = row is table.UNSENT or row is table.SILENT
    return Verdict.OUT_OF_TIME if silent else Verdict.REFUSED
