"""Apple's answers to a push, one row each: what it means for all but the push itself.

Pure data, read by `core.reaction`. Sources: Apple, "Handling notification responses from APNs",
and what Apple's engineers and other servers' code add to it.
"""

from enum import StrEnum
from typing import Final

from app.core.frozen import frozen


class NoAnswer(StrEnum):
    """Why a push ended without an answer of Apple's."""

    OUT_OF_TIME = "out_of_time"  # its deadline passed first
    NEVER_SENT = "never_sent"  # the server took no notice of it: sending it again is safe
    LOST = "lost"  # sent, then the stream or connection went without an answer


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
    """What a person should hear of. One alarm per credential, see `core.breaker`."""

    CREDENTIAL_REFUSED = "credential_refused"
    TOPIC_REFUSED = "topic_refused"
    CLOCK_SKEW = "clock_skew"
    TOKEN_UPDATES_THROTTLED = "token_updates_throttled"  # noqa: S105 - not a password
    BAD_TOKEN_BURST = "bad_token_burst"  # noqa: S105 - not a password
    OUR_BUG = "our_bug"
    UNKNOWN_ANSWER = "unknown_answer"


class Signal(StrEnum):
    """What an answer says about the credential's health, for its circuit breaker."""

    GOOD = "good"  # the service works and knows the credential
    TROUBLE = "trouble"  # the service or the way to it does not work
    REFUSED = "refused"  # the service does not want this credential
    NOTHING = "nothing"


class Retry(StrEnum):
    NEVER = "never"
    ONCE = "once"
    OFTEN = "often"


@frozen
class Row:
    """A row of the table. `status` is the one that the reason comes with."""

    status: int
    retry: Retry = Retry.NEVER
    credential: CredentialAction = CredentialAction.KEEP
    connection: ConnectionAction = ConnectionAction.KEEP
    alert: Alert | None = None
    signal: Signal = Signal.NOTHING


STOPPED: Final = Row(
    403,
    credential=CredentialAction.STOP,
    alert=Alert.CREDENTIAL_REFUSED,
    signal=Signal.REFUSED,
)
CERTIFICATE: Final = Row(
    403,
    credential=CredentialAction.STOP,
    connection=ConnectionAction.REPLACE,
    alert=Alert.CREDENTIAL_REFUSED,
    signal=Signal.REFUSED,
)
TOPIC: Final = Row(
    400,
    credential=CredentialAction.STOP_TOPIC,
    alert=Alert.TOPIC_REFUSED,
    signal=Signal.REFUSED,
)
DEVICE: Final = Row(400)
GONE: Final = Row(410, signal=Signal.GOOD)
BUG: Final = Row(400, alert=Alert.OUR_BUG)
UNAVAILABLE: Final = Row(503, Retry.OFTEN, connection=ConnectionAction.SPARE, signal=Signal.TROUBLE)

ACCEPTED: Final = Row(200, signal=Signal.GOOD)

EXPIRED: Final = Row(403, Retry.ONCE, connection=ConnectionAction.REPLACE, signal=Signal.TROUBLE)
"""A provider token that was old enough to be signed anew; see CLOCK_SKEW."""
CLOCK_SKEW: Final = Row(
    403, connection=ConnectionAction.REPLACE, alert=Alert.CLOCK_SKEW, signal=Signal.TROUBLE
)
"""A provider token younger than that: somebody's clock is wrong."""

BY_REASON: Final = {
    "BadDeviceToken": DEVICE,
    "DeviceTokenNotForTopic": DEVICE,
    "Unregistered": GONE,
    "ExpiredToken": GONE,
    "BadTopic": TOPIC,
    "MissingTopic": TOPIC,
    "TopicDisallowed": TOPIC,
    "BadMessageId": BUG,
    "BadCollapseId": BUG,
    "BadExpirationDate": BUG,
    "BadPriority": BUG,
    "DuplicateHeaders": BUG,
    "InvalidPushType": BUG,
    "PayloadEmpty": BUG,
    "MissingDeviceToken": BUG,
    "BadPath": Row(404, alert=Alert.OUR_BUG),
    "MethodNotAllowed": Row(405, alert=Alert.OUR_BUG),
    "PayloadTooLarge": Row(413, alert=Alert.OUR_BUG),
    "IdleTimeout": Row(400, Retry.OFTEN, connection=ConnectionAction.REPLACE),
    "BadCertificate": CERTIFICATE,
    "BadCertificateEnvironment": CERTIFICATE,
    "ExpiredProviderToken": EXPIRED,
    "InvalidProviderToken": STOPPED,
    "MissingProviderToken": STOPPED,
    "Forbidden": STOPPED,
    "BadEnvironmentKeyInToken": STOPPED,
    "BadEnvironmentKeyIdInToken": STOPPED,
    "UnrelatedKeyIdInToken": Row(
        403, Retry.ONCE, connection=ConnectionAction.REPLACE, signal=Signal.TROUBLE
    ),
    "TooManyRequests": Row(429, Retry.ONCE),
    "TooManyProviderTokenUpdates": Row(
        429,
        Retry.ONCE,
        connection=ConnectionAction.REPLACE,
        alert=Alert.TOKEN_UPDATES_THROTTLED,
        signal=Signal.TROUBLE,
    ),
    "InternalServerError": Row(
        500, Retry.OFTEN, connection=ConnectionAction.SPARE, signal=Signal.TROUBLE
    ),
    "ServiceUnavailable": UNAVAILABLE,
    "Shutdown": Row(503, Retry.OFTEN, connection=ConnectionAction.REPLACE, signal=Signal.TROUBLE),
}

BY_STATUS: Final = {
    200: ACCEPTED,
    404: BY_REASON["BadPath"],
    405: BY_REASON["MethodNotAllowed"],
    410: GONE,
    413: BY_REASON["PayloadTooLarge"],
    429: BY_REASON["TooManyRequests"],
    500: BY_REASON["InternalServerError"],
    503: UNAVAILABLE,
}
UNKNOWN_5XX: Final = Row(500, Retry.OFTEN, connection=ConnectionAction.SPARE, signal=Signal.TROUBLE)
UNKNOWN: Final = Row(400, alert=Alert.UNKNOWN_ANSWER)
UNANSWERED: Final = Row(0, Retry.OFTEN, signal=Signal.TROUBLE)


def row_for(status: int, reason: str | None, no_answer: NoAnswer | None) -> Row:
    """The row of an answer, or of the lack of one (then `status` is 0)."""
    row = BY_REASON.get(reason) if reason is not None else None
    if no_answer is not None:
        # A GOAWAY may bring a reason that concerns the credential; any other tells us nothing.
        return row if row is not None and row.signal is Signal.REFUSED else UNANSWERED
    if row is not None and row.status == status:
        return row
    if status in BY_STATUS:
        return BY_STATUS[status]
    return UNKNOWN_5XX if 500 <= status < 600 else UNKNOWN
