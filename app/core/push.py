"""The words of a push's row: what it is for, where it goes, what became of it and why.

The database holds them as text. A row is read by the tables below: to look a word up costs a tenth
of what calling the enum does.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Purpose(StrEnum):
    """What a push is for. A row says `again` with its number: `again 2`."""

    RING = "ring"
    STOP = "stop"
    NOTIFY = "notify"
    MISSED = "missed"
    AGAIN = "again"
    OVER = "over"

    @property
    def is_alert(self) -> bool:
        """Whether the phone's system shows it by itself."""
        return self in ALERTS


class TokenKind(StrEnum):
    """Which push a token takes."""

    VOIP = "voip"
    ALERT = "alert"
    FCM = "fcm"
    WEBPUSH = "webpush"


class Environment(StrEnum):
    """Which of Apple's services a token is good at."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"

    @property
    def other(self) -> "Environment":
        """The one that it is not."""
        return OTHER[self]


class PushState(StrEnum):
    """pending -> sending -> accepted | refused | expired; dropped: never handed over."""

    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"
    DROPPED = "dropped"


class PushReason(StrEnum):
    """Why a push is in its state, where the reason is ours; the others are a service's own."""

    RING_GONE = "ring_gone"
    RING_SETTLED = "ring_settled"
    TOKEN_MOVED = "token_moved"  # noqa: S105 - not a password
    DEVICE_REMOVED = "device_removed"
    DEADLINE = "deadline"
    UNKNOWN = "unknown"  # it may have been handed over, nobody knows, and it is not sent again
    NO_CREDENTIAL = "no_credential"
    CREDENTIAL_UNFIT = "credential_unfit"
    CREDENTIAL_STOPPED = "credential_stopped"
    SERVICE_IN_TROUBLE = "service_in_trouble"
    PAYLOAD = "payload"
    INTERNAL_ERROR = "internal_error"
    OUT_OF_TIME = "out_of_time"  # these three: why there was no answer, see `NoAnswer`
    NEVER_SENT = "never_sent"
    LOST = "lost"


class RetiredReason(StrEnum):
    """Why a token is retired, where the reason is ours; the others are a service's own."""

    EXPIRED = "expired"
    REFUSED = "refused"
    NOT_ACTIVATED = "not_activated"  # nobody has shown yet that its pushes arrive


OTHER: Final = {
    Environment.PRODUCTION: Environment.SANDBOX,
    Environment.SANDBOX: Environment.PRODUCTION,
}
ALERTS: Final = frozenset({Purpose.NOTIFY, Purpose.MISSED, Purpose.AGAIN, Purpose.OVER})
OF_OPEN_RINGS: Final = frozenset({Purpose.RING, Purpose.NOTIFY, Purpose.AGAIN})
"""What is not sent any more once its ring has settled."""
PURPOSES: Final[Mapping[str, Purpose]] = {one.value: one for one in Purpose}
TOKEN_KINDS: Final[Mapping[str, TokenKind]] = {one.value: one for one in TokenKind}
ENVIRONMENTS: Final[Mapping[str, Environment]] = {one.value: one for one in Environment}
PUSH_STATES: Final[Mapping[str, PushState]] = {one.value: one for one in PushState}
