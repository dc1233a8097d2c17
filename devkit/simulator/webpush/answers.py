"""A push service's answers: RFC 8030 names the statuses, and leaves the words to each."""

from dataclasses import dataclass

from devkit.simulator.answers import Answer

STATUS_OF_REASON = {
    "NoTtl": 400,
    "BadUrgency": 400,
    "BadTopic": 400,
    "BadEncoding": 400,
    "NotDecrypted": 400,
    "NoAuthorization": 401,
    "BadToken": 401,
    "TokenExpired": 401,
    "WrongAudience": 401,
    "NoSubject": 401,
    "WrongKey": 403,
    "NotFound": 404,
    "BadMethod": 405,
    "Gone": 410,
    "TooLarge": 413,
    "TooManyRequests": 429,
    "InternalError": 500,
    "Unavailable": 503,
}
WORDS = {
    "NoTtl": "the TTL header is missing or no number",
    "BadUrgency": "Urgency is very-low, low, normal or high",
    "BadTopic": "a Topic has at most 32 characters of base64url",
    "BadEncoding": "the body is not aes128gcm",
    "NotDecrypted": "the subscriber cannot open the body",
    "WrongKey": "the subscription was made with another VAPID key",
}


@dataclass(slots=True)
class WebAnswer(Answer):
    """What a push service says to a push; `location` is where the message is."""

    status: int = 201
    location: str | None = None

    def header_fields(self) -> list[tuple[bytes, bytes]]:
        """Give the response's header fields, `:status` first."""
        fields = [(b":status", b"%d" % self.status)]
        if self.reason is not None:
            fields.append((b"content-type", b"text/plain"))
        elif self.location is not None:
            fields.append((b"location", self.location.encode()))
        fields.extend((name.lower().encode(), value.encode()) for name, value in self.extra)
        return fields

    def refused(self, status: int | None, reason: str | None) -> "WebAnswer":
        """Give a refusal in its place; without a status that of the reason."""
        return WebAnswer(status or STATUS_OF_REASON.get(reason or "", 400), reason)

    def body_bytes(self) -> bytes:
        """Give the response's body: words, if it is a refusal."""
        if self.body is not None:
            return self.body
        return b"" if self.reason is None else WORDS.get(self.reason, self.reason).encode()


class Refusal(Exception):
    """A push service refuses a push: a reason of the table."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.answer = WebAnswer().refused(None, reason)
