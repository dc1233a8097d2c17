"""Apple's answers: every reason with its status, and how an answer looks on the wire.

Source: "Handling notification responses from APNs".
"""

import json
from dataclasses import dataclass

STATUS_OF_REASON = {
    "BadCollapseId": 400,
    "BadDeviceToken": 400,
    "BadExpirationDate": 400,
    "BadMessageId": 400,
    "BadPriority": 400,
    "BadTopic": 400,
    "DeviceTokenNotForTopic": 400,
    "DuplicateHeaders": 400,
    "IdleTimeout": 400,
    "InvalidPushType": 400,
    "MissingDeviceToken": 400,
    "MissingTopic": 400,
    "PayloadEmpty": 400,
    "TopicDisallowed": 400,
    "BadCertificate": 403,
    "BadCertificateEnvironment": 403,
    "BadEnvironmentKeyIdInToken": 403,
    "BadEnvironmentKeyInToken": 403,
    "ExpiredProviderToken": 403,
    "Forbidden": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}


class Refusal(Exception):
    """APNs refuses a request: a reason of the table, for 410 with a time in milliseconds."""

    def __init__(self, reason: str, *, timestamp: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = STATUS_OF_REASON[reason]
        self.timestamp = timestamp


@dataclass(slots=True)
class Answer:
    """What APNs says to a request.

    `reason` is None for a success. `body` is what is sent; None is the JSON that belongs to the
    reason. `apns_id` None leaves the header out. `extra` are further headers.
    """

    status: int = 200
    reason: str | None = None
    timestamp: int | None = None
    apns_id: str | None = None
    unique_id: str | None = None
    body: bytes | None = None
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def success(self) -> bool:
        """Tell whether the push was taken."""
        return 200 <= self.status < 300

    def header_fields(self) -> list[tuple[bytes, bytes]]:
        """Give the response's header fields, `:status` first."""
        fields = [(b":status", b"%d" % self.status)]
        if self.apns_id is not None:
            fields.append((b"apns-id", self.apns_id.encode()))
        if self.unique_id is not None:
            fields.append((b"apns-unique-id", self.unique_id.encode()))
        fields.extend((name.lower().encode(), value.encode()) for name, value in self.extra)
        return fields

    def refused(self, status: int | None, reason: str | None) -> "Answer":
        """Give a refusal in its place; without a status that of the reason."""
        return Answer(status or STATUS_OF_REASON.get(reason or "", 400), reason, None, self.apns_id)

    def body_bytes(self) -> bytes:
        """Give the response's body: empty for a success, JSON with a reason otherwise."""
        if self.body is not None:
            return self.body
        if self.reason is None:
            return b""
        return reason_json(self.reason, self.timestamp)


def reason_json(reason: str, timestamp: int | None = None) -> bytes:
    """Give Apple's error body, as it is in answers and in GOAWAY frames."""
    content: dict[str, object] = {"reason": reason}
    if timestamp is not None:
        content["timestamp"] = timestamp
    return json.dumps(content, separators=(",", ":")).encode()
