"""Google's answers: every code with its status, and how an error looks on the wire."""

import json
from dataclasses import dataclass
from typing import Any

from devkit.simulator.answers import Answer

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

STATUS_OF_CODE = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded for messages per minute."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "THIRD_PARTY_AUTH_ERROR": (
        401,
        "UNAUTHENTICATED",
        "Auth error from APNS or Web Push Service",
    ),
}
"""FCM's own codes."""
STATUS_OF_STATUS = {
    "UNAUTHENTICATED": (
        401,
        "Request had invalid authentication credentials.",
    ),
    "PERMISSION_DENIED": (
        403,
        "Permission 'cloudmessaging.messages.create' denied on resource '{project}'.",
    ),
    "NOT_FOUND": (404, "Requested entity was not found."),
}
"""What any of Google's services says."""


class Refusal(Exception):
    """Google refuses a request: a code of either table; `field` is the one that is wrong."""

    def __init__(self, code: str, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(code)
        self.answer = GoogleAnswer().refused(None, code)
        self.answer.message = message or self.answer.message
        self.answer.field = field


@dataclass(slots=True)
class GoogleAnswer(Answer):
    """What Google says to a request; `content` is the JSON of a success.

    `reason` is the code, FCM's own or the status. A body that is given stands as it is.
    """

    content: dict[str, Any] | None = None
    message: str = ""
    status_word: str = ""
    field: str | None = None

    def header_fields(self) -> list[tuple[bytes, bytes]]:
        """Give the response's header fields, `:status` first."""
        fields = [
            (b":status", b"%d" % self.status),
            (b"content-type", b"application/json; charset=UTF-8"),
        ]
        fields.extend((name.lower().encode(), value.encode()) for name, value in self.extra)
        return fields

    def refused(self, status: int | None, reason: str | None) -> "GoogleAnswer":
        """Give a refusal in its place; without a status that of the code."""
        word, message = reason or "", ""
        usual = status or 500
        if reason in STATUS_OF_CODE:
            usual, word, message = STATUS_OF_CODE[reason]
        elif reason in STATUS_OF_STATUS:
            usual, message = STATUS_OF_STATUS[reason]
        return GoogleAnswer(status or usual, reason, message=message, status_word=word)

    def body_bytes(self) -> bytes:
        """Give the response's body: JSON in either case."""
        if self.body is not None:
            return self.body
        if self.reason is None:
            return json.dumps(self.content or {}).encode()
        details: list[dict[str, Any]] = []
        if self.field is not None:
            violation = {"field": self.field, "description": self.message}
            details.append({"@type": BAD_REQUEST, "fieldViolations": [violation]})
        if self.reason in STATUS_OF_CODE:
            details.append({"@type": FCM_ERROR, "errorCode": self.reason})
        error = {"code": self.status, "message": self.message, "status": self.status_word}
        if details:
            error["details"] = details
        return json.dumps({"error": error}).encode()
