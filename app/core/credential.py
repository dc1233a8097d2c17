"""The words of credentials, which the database holds as text."""

from enum import StrEnum


class CredentialKind(StrEnum):
    """What it is."""

    CERTIFICATE = "certificate"
    KEY = "key"
    GOOGLE_SERVICE_ACCOUNT = "google_service_account"
    VAPID = "vapid"


class CredentialState(StrEnum):
    """requested (a key waits for its certificate) -> standby <-> active -> retired."""

    REQUESTED = "requested"
    STANDBY = "standby"
    ACTIVE = "active"
    RETIRED = "retired"


IN_USE = frozenset({CredentialState.ACTIVE, CredentialState.STANDBY})


class CredentialHealth(StrEnum):
    """How one fares; of those that are not in use it is their state."""

    REQUESTED = "requested"
    RETIRED = "retired"
    WORKING = "working"
    UNPROVEN = "unproven"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    FAILING = "failing"
