"""Apple's answers to a push, one row each: what it means for all but the push itself.

Pure data, read by `apns.policy`. Sources: Apple, "Handling notification responses from APNs",
and what Apple's engineers and other servers' code add to it.
"""

from typing import Final

from app.core.answer_rows import (
    ACCEPTED,
    BUG,
    DEVICE,
    FORBIDDEN,
    INTERNAL,
    STOPPED,
    UNAVAILABLE,
    Retry,
    Row,
    Table,
)
from app.core.push_policy import (
    Alert,
    ConnectionAction,
    CredentialAction,
    ProviderTokenAction,
    Signal,
)

CERTIFICATE: Final = Row(
    "certificate_refused",
    403,
    credential=CredentialAction.STOP,
    connection=ConnectionAction.REPLACE,
    alert=Alert.CREDENTIAL_REFUSED,
    signal=Signal.REFUSED,
    other_credential=True,
)
TOPIC: Final = Row(
    "topic_refused",
    400,
    credential=CredentialAction.STOP_TOPIC,
    alert=Alert.TOPIC_REFUSED,
    signal=Signal.REFUSED,
    other_credential=True,
)
GONE: Final = Row("gone", 410, signal=Signal.GOOD)

EXPIRED: Final = Row(
    "provider_token_expired",
    403,
    Retry.ONCE,
    connection=ConnectionAction.REPLACE,
    provider_token=ProviderTokenAction.SIGN_ANEW,
    signal=Signal.TROUBLE,
)
"""A provider token that was old enough to be signed anew; see CLOCK_SKEW."""
CLOCK_SKEW: Final = Row(
    "clock_skew",
    403,
    connection=ConnectionAction.REPLACE,
    alert=Alert.CLOCK_SKEW,
    signal=Signal.TROUBLE,
    other_credential=True,
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
    "BadPath": Row("bad_path", 404, alert=Alert.OUR_BUG),
    "MethodNotAllowed": Row("method_not_allowed", 405, alert=Alert.OUR_BUG),
    "PayloadTooLarge": Row("payload_too_large", 413, alert=Alert.OUR_BUG),
    "IdleTimeout": Row(
        "idle_timeout",
        400,
        Retry.OFTEN,
        connection=ConnectionAction.REPLACE,
    ),
    "BadCertificate": CERTIFICATE,
    "BadCertificateEnvironment": CERTIFICATE,
    "ExpiredProviderToken": EXPIRED,
    "InvalidProviderToken": STOPPED,
    "MissingProviderToken": STOPPED,
    "Forbidden": STOPPED,
    "BadEnvironmentKeyInToken": STOPPED,
    "BadEnvironmentKeyIdInToken": STOPPED,
    "UnrelatedKeyIdInToken": Row(
        "unrelated_key",
        403,
        Retry.ONCE,
        connection=ConnectionAction.REPLACE,
        signal=Signal.TROUBLE,
        other_credential=True,
    ),
    "TooManyRequests": Row("too_many_requests", 429, Retry.ONCE),
    "TooManyProviderTokenUpdates": Row(
        "token_updates_throttled",
        429,
        Retry.ONCE,
        connection=ConnectionAction.REPLACE,
        alert=Alert.TOKEN_UPDATES_THROTTLED,
        signal=Signal.TROUBLE,
        other_credential=True,
    ),
    "InternalServerError": INTERNAL,
    "ServiceUnavailable": UNAVAILABLE,
    "Shutdown": Row(
        "shutdown",
        503,
        Retry.OFTEN,
        connection=ConnectionAction.REPLACE,
        signal=Signal.TROUBLE,
    ),
}

BY_STATUS: Final = {
    200: ACCEPTED,
    403: FORBIDDEN,
    404: BY_REASON["BadPath"],
    405: BY_REASON["MethodNotAllowed"],
    410: GONE,
    413: BY_REASON["PayloadTooLarge"],
    429: BY_REASON["TooManyRequests"],
    500: INTERNAL,
    503: UNAVAILABLE,
}
TABLE: Final = Table(BY_REASON, BY_STATUS)
