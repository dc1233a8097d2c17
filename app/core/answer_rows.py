"""The rows of a sender's table of answers, and what follows from one for all senders alike.

Pure. A sender's own `answer_table` holds its rows; what is peculiar to its service (another
environment, a time that comes with an answer) is its `policy`'s to add.
"""

from collections.abc import Mapping
from enum import StrEnum

from app.core.frozen import frozen
from app.core.push_policy import (
    Alert,
    Attempt,
    ConnectionAction,
    CredentialAction,
    Known,
    NoAnswer,
    ProviderTokenAction,
    Reaction,
    Signal,
    TokenAction,
    Verdict,
    delay_before_retry,
)


class Retry(StrEnum):
    """How often a push may be tried again for answers of one row."""

    NEVER = "never"
    ONCE = "once"
    OFTEN = "often"


@frozen
class Row:
    """A row of a table. `status` is the one that the reason comes with, 0 for no answer.

    `name` is what a push's attempts are counted by; it is stored, so it must not change. `wait` is
    how many seconds the service wants waited where its answer does not say.
    """

    name: str
    status: int
    retry: Retry = Retry.NEVER
    token: TokenAction = TokenAction.KEEP
    credential: CredentialAction = CredentialAction.KEEP
    connection: ConnectionAction = ConnectionAction.KEEP
    provider_token: ProviderTokenAction = ProviderTokenAction.KEEP
    alert: Alert | None = None
    signal: Signal = Signal.NOTHING
    other_credential: bool = False
    wait: float | None = None


ACCEPTED = Row("accepted", 200, signal=Signal.GOOD)
UNSENT = Row("unsent", 0, Retry.OFTEN, signal=Signal.UNEXPLAINED, other_credential=True)
"""The service cannot have acted on it: it may go again as long as there is time."""
SILENT = Row("silent", 0, Retry.ONCE, signal=Signal.UNEXPLAINED, other_credential=True)
"""It may have arrived: a phone is handed a ring a second time at most."""
STOPPED = Row(
    "credential_refused",
    403,
    credential=CredentialAction.STOP,
    alert=Alert.CREDENTIAL_REFUSED,
    signal=Signal.REFUSED,
    other_credential=True,
)
"""The service does not let this credential send, or does not know it (any more)."""
FORBIDDEN = Row(
    "forbidden",
    403,
    alert=Alert.UNKNOWN_ANSWER,
    signal=Signal.UNEXPLAINED,
    other_credential=True,
)
"""A 403 whose reason nobody knows: the credential's, most likely."""
DEVICE = Row("device_refused", 400)
BUG = Row("our_bug", 400, alert=Alert.OUR_BUG)
UNAVAILABLE = Row(
    "unavailable",
    503,
    Retry.OFTEN,
    connection=ConnectionAction.SPARE,
    signal=Signal.TROUBLE,
)
INTERNAL = Row(
    "internal_error",
    500,
    Retry.OFTEN,
    connection=ConnectionAction.SPARE,
    signal=Signal.TROUBLE,
)
SERVER_ERROR = Row(
    "server_error",
    500,
    Retry.OFTEN,
    connection=ConnectionAction.SPARE,
    signal=Signal.TROUBLE,
)
UNKNOWN = Row("unknown", 400, alert=Alert.UNKNOWN_ANSWER)


@frozen
class Table:
    """A service's rows, by its reasons and by its statuses; what it never said goes by class."""

    by_reason: Mapping[str, Row]
    by_status: Mapping[int, Row]

    def row_for(
        self,
        status: int,
        reason: str | None,
        no_answer: NoAnswer | None,
        *,
        may_have_reached: bool = True,
    ) -> Row:
        """The row of an answer, or of the lack of one (then `status` is 0)."""
        row = self.by_reason.get(reason) if reason is not None else None
        if no_answer is not None:
            # A reason without an answer may concern the credential; any other tells us nothing.
            if row is not None and row.signal is Signal.REFUSED:
                return row
            sent = may_have_reached and no_answer is not NoAnswer.NEVER_SENT
            return SILENT if sent else UNSENT
        if row is not None and row.status == status:
            return row
        return self.by_status.get(status) or (SERVER_ERROR if 500 <= status < 600 else UNKNOWN)

    def row_of(self, attempt: Attempt) -> Row:
        """The row of how this attempt ended."""
        return self.row_for(
            attempt.status,
            attempt.reason,
            attempt.no_answer,
            may_have_reached=attempt.may_have_reached,
        )

    def row_of_stored(self, status: int | None, reason: str | None) -> str:
        """The row's name of an earlier attempt as it is stored: its status, and the reason."""
        if status:
            return self.row_for(status, reason, None).name
        silent = reason in (NoAnswer.LOST.value, NoAnswer.OUT_OF_TIME.value)
        return self.row_for(0, reason, NoAnswer.LOST if silent else NoAnswer.NEVER_SENT).name


def follow(row: Row, attempt: Attempt, known: Known, random: float) -> Reaction:
    """What a row says to do about the end of one attempt; `random` in [0, 1) is for jitter.

    What a row lets happen once happens once in a push's life, whatever came in between.
    """
    retry_at = None
    if row.retry is Retry.OFTEN or (row.retry is Retry.ONCE and not known.earlier.get(row.name)):
        retry_at = _retry_at(row, attempt, known.deadline, random)
    return Reaction(
        verdict=_verdict(row, retry_at),
        row=row.name,
        retry_at=retry_at,
        token=row.token if known.token_unchanged else TokenAction.KEEP,
        credential=row.credential,
        connection=row.connection,
        provider_token=row.provider_token,
        alert=row.alert,
        signal=row.signal,
        other_credential=row.other_credential and _may_go_elsewhere(row, attempt, known),
    )


def _may_go_elsewhere(row: Row, attempt: Attempt, known: Known) -> bool:
    """Whether another credential may try, for which what befell the push here proves nothing."""
    if attempt.ended >= known.deadline:
        return False
    if row.retry is Retry.OFTEN or row.signal is Signal.REFUSED:
        return True  # the refused ones are stopped, so that this ends
    return not known.earlier.get(row.name)


def _retry_at(row: Row, attempt: Attempt, deadline: float, random: float) -> float | None:
    now, wish = attempt.ended, row.wait if attempt.retry_after is None else attempt.retry_after
    delay = delay_before_retry(attempt.number, random)
    if wish is not None and (now + wish < deadline or row.status == 429):
        # A 503's wish that would end the ring is not kept; a 429's is: it is about this device.
        delay = max(delay, wish)
    return now + delay if now + delay < deadline else None


def _verdict(row: Row, retry_at: float | None) -> Verdict:
    if row is ACCEPTED:
        return Verdict.ACCEPTED
    if retry_at is not None:
        return Verdict.RETRY
    return Verdict.OUT_OF_TIME if row is UNSENT or row is SILENT else Verdict.REFUSED
