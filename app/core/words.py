"""What stored reasons mean, in words for people: the one table of them.

`tests/core/test_words.py` holds it complete. A service's own word is shown beside ours.
"""

from collections.abc import Mapping
from typing import Final

from app.core.delivery import DeliveryError, DisabledReason
from app.core.model import CallKit, Outcome, Reason
from app.core.push import PushReason, RetiredReason

CALLKIT: Final[Mapping[int, str]] = {
    CallKit.FAILED: "failed",
    CallKit.REMOTE_ENDED: "ended by the other side",
    CallKit.UNANSWERED: "unanswered",
    CallKit.ANSWERED_ELSEWHERE: "answered elsewhere",
    CallKit.DECLINED_ELSEWHERE: "declined elsewhere",
}
OUTCOMES: Final[Mapping[str, str]] = {
    Outcome.ACCEPTED: "was accepted",
    Outcome.DECLINED: "was declined",
    Outcome.CANCELLED: "was cancelled",
    Outcome.MISSED: "was not answered in time",
    Outcome.UNREACHABLE: "reached nobody",
}
ENDS: Final[Mapping[str, str]] = {
    Reason.COMPLETED: "everyone had left",
    Reason.CANCELLED: "the caller gave up",
    Reason.DECLINED: "everyone had declined",
    Reason.BUSY: "everyone was busy",
    Reason.MISSED: "nobody answered",
    Reason.UNREACHABLE: "nobody could be reached",
    Reason.ALONE: "one member was left alone in it",
    Reason.MAX_DURATION: "it had lasted as long as a call may",
    Reason.ENDED_BY_SERVER: "the server ended it",
    Reason.FAILED: "it failed",
}
UNSENT: Final[Mapping[str, str]] = {
    PushReason.RING_SETTLED: "the ring had settled before it was sent",
    PushReason.RING_GONE: "its ring is not kept any more",
    PushReason.TOKEN_MOVED: "its token had gone to another user or device",
    PushReason.DEVICE_REMOVED: "its device had been removed",
    PushReason.DEADLINE: "its time was over before it was taken",
    PushReason.NO_CREDENTIAL: "there is no credential for this app and environment",
    PushReason.CREDENTIAL_UNFIT: "the credential cannot be used",
    PushReason.CREDENTIAL_STOPPED: "its credential is refused, so nothing is sent by it",
    PushReason.SERVICE_IN_TROUBLE: "the push service was in trouble, and its turn did not come",
    PushReason.PAYLOAD: "its payload could not be made",
    PushReason.INTERNAL_ERROR: "a fault of Ringline's own, which its log tells",
    PushReason.NEVER_SENT: "no connection took it",
    PushReason.UNKNOWN: "it may have been taken: nobody heard the answer",
}
"""Why a push was not sent, or is not known to have been. No service has said these."""
UNANSWERED: Final[Mapping[str, str]] = {
    PushReason.OUT_OF_TIME: "its time was over before an answer came",
    PushReason.LOST: "the connection was lost before an answer came",
}
SAID: Final[Mapping[str, str]] = {
    "BadCertificate": "the certificate is not good",
    "BadCertificateEnvironment": "the certificate belongs to the other environment",
    "BadCollapseId": "Ringline sent a collapse id that Apple does not take",
    "BadDeviceToken": "the token is not one of this app and environment",
    "BadEnvironmentKeyIdInToken": "the .p8 key belongs to the other environment",
    "BadEnvironmentKeyInToken": "the .p8 key belongs to the other environment",
    "BadExpirationDate": "Ringline sent an expiry that Apple does not take",
    "BadMessageId": "Ringline sent an id that Apple does not take",
    "BadPath": "Ringline asked for what Apple does not know",
    "BadPriority": "Ringline sent a priority that Apple does not take",
    "BadTopic": "Apple does not know the app's topic",
    "DeviceTokenNotForTopic": "the token belongs to another app",
    "DuplicateHeaders": "Ringline sent a header twice",
    "ExpiredProviderToken": "the provider token was too old",
    "ExpiredToken": "the token has expired",
    "Forbidden": "the credential may do nothing here",
    "IdleTimeout": "Apple closed a connection that had been idle",
    "InternalServerError": "Apple's service failed",
    "InvalidProviderToken": "the .p8 key, its id or its team id is wrong",
    "InvalidPushType": "Ringline sent a push type that Apple does not take",
    "MethodNotAllowed": "Ringline asked in a way that Apple does not take",
    "MissingDeviceToken": "Ringline named no token",
    "MissingProviderToken": "Apple takes this app's pushes by certificate, or wants a key's token",
    "MissingTopic": "the certificate serves several topics, and none was named",
    "PayloadEmpty": "the payload was empty",
    "PayloadTooLarge": "the payload was too large",
    "ServiceUnavailable": "Apple's service was not available",
    "Shutdown": "Apple's server was being shut down",
    "TooManyProviderTokenUpdates": "provider tokens of this team changed too often",
    "TooManyRequests": "too many pushes to this device in short time",
    "TopicDisallowed": "the credential may not push to this app",
    "Unregistered": "the app is no longer on this phone",
    "UnrelatedKeyIdInToken": "the connection had been used with another key",
    "UNREGISTERED": "the app is no longer on this phone, or has a new token",
    "SENDER_ID_MISMATCH": "the token belongs to another Firebase project",
    "INVALID_ARGUMENT": "Ringline sent what FCM does not take",
    "INVALID_ARGUMENT message.token": "the token is none of FCM's",
    "UNAUTHENTICATED": "the access token was not taken",
    "PERMISSION_DENIED": "the service account may not send for this project",
    "QUOTA_EXCEEDED": "more messages than Google's quota allows",
    "RESOURCE_EXHAUSTED": "more messages than Google's quota allows",
    "UNAVAILABLE": "Google's service was not available",
    "INTERNAL": "Google's service failed",
    "invalid_grant": "Google does not know this account or its key",
    "invalid_client": "Google does not know this account",
    "unauthorized_client": "the service account may not ask for access",
    "account_disabled": "the service account is disabled",
    "admin_policy_enforced": "an administrator's policy keeps the account out",
    "invalid_scope": "the service account may not send messages",
    "subscription_gone": "the browser is not subscribed any more",
    "vapid_refused": "the VAPID key, or its signature, is not taken for this subscription",
    "too_large": "the push was too large",
    "too_many": "too many pushes in short time",
}
RETIRED: Final[Mapping[str, str]] = {
    RetiredReason.EXPIRED: "it was not registered anew in time",
    RetiredReason.REFUSED: "it was refused, without a reason",
    RetiredReason.NOT_ACTIVATED: "nobody has shown yet that pushes to it arrive",
}
DELIVERIES: Final[Mapping[str, str]] = {
    DeliveryError.INVALID_URL: "its address is none",
    DeliveryError.PRIVATE_ADDRESS: "its name leads to a private network",
    DeliveryError.NAME_NOT_RESOLVED: "its name is not found",
    DeliveryError.TIMEOUT: "it did not answer in time",
    DeliveryError.TLS_FAILED: "its certificate, or TLS, is not in order",
    DeliveryError.NOT_CONNECTED: "nobody answers at its address",
    DeliveryError.CONNECTION_LOST: "the connection was lost",
    DeliveryError.NOT_HTTP: "what it answered is not HTTP",
    DeliveryError.REDIRECT: "it leads elsewhere, which is not followed",
    DeliveryError.REFUSED: "it refused",
    DeliveryError.TOO_LONG: "its answer is too long",
    DeliveryError.EVENT_NOT_KEPT: "the event is not kept any more",
    DeliveryError.SECRET_UNFIT: "its secret cannot be opened",
    DeliveryError.INTERNAL_ERROR: "a fault of Ringline's own, which its log tells",
}
DISABLED: Final[Mapping[str, str]] = {
    DisabledReason.BY_HAND: "somebody turned it off",
    DisabledReason.GONE: "it answered 410: it wants no more",
    DisabledReason.FAILING_FOR_A_DAY: "it had failed for a day",
}


def of_push(reason: str) -> str:
    """A push's reason, with the service's own word where it is that."""
    ours = UNSENT.get(reason) or UNANSWERED.get(reason)
    said = SAID.get(reason)
    return ours or (f"{said} ({reason})" if said else reason)


def of_retired(reason: str | None, service: str) -> str:
    """Why a token is retired, of the service of that name."""
    if reason is None:
        return "nobody knows why"
    said = f"{service} said {reason}" + (f" ({SAID[reason]})" if reason in SAID else "")
    return RETIRED.get(reason, said)
