"""The words of webhooks and their deliveries, which the database holds as text."""

from enum import StrEnum


class WebhookState(StrEnum):
    """Whether an endpoint is sent to."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint is not sent to any more."""

    BY_HAND = "by_hand"
    GONE = "gone"
    FAILING_FOR_A_DAY = "failing_for_a_day"


class DeliveryState(StrEnum):
    """pending -> sending -> delivered | failed, or pending again."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryError(StrEnum):
    """Why a request to a tenant's address came to nothing."""

    INVALID_URL = "invalid_url"
    PRIVATE_ADDRESS = "private_address"
    NAME_NOT_RESOLVED = "name_not_resolved"
    TIMEOUT = "timeout"
    TLS_FAILED = "tls_failed"
    NOT_CONNECTED = "not_connected"
    CONNECTION_LOST = "connection_lost"
    NOT_HTTP = "not_http"
    REDIRECT = "redirect"
    REFUSED = "refused"
    TOO_LONG = "too_long"
    EVENT_NOT_KEPT = "event_not_kept"
    SECRET_UNFIT = "secret_unfit"  # noqa: S105 - not a password
    INTERNAL_ERROR = "internal_error"
