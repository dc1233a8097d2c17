"""What can go wrong, as a tree: catch `RinglineError` for all of it."""

from collections.abc import Mapping
from typing import Any


class RinglineError(Exception):
    """Anything that this library raises."""


class Unreachable(RinglineError):
    """No answer: no connection, or none in time, however often it was tried."""


class NoToken(RinglineError):
    """What the function that gives tokens gave is none: an error page of your own server's?"""


class WebhookRefused(RinglineError):
    """A webhook that was not signed with this secret, or not lately: answer it with 400."""


class StreamEnded(RinglineError):
    """The server has ended the stream for good. `reason` is its word, such as `user_erased`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the stream has ended: {reason}")
        self.reason = reason


class ApiError(RinglineError):
    """The server has refused.

    `code` is stable, `detail` a sentence for people that says what to do, `request_id` what the
    server's log has, `body` the whole problem (RFC 9457): a 410 has `reason` and `callkit_reason`,
    a 422 has `errors`.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.body = body
        self.code = str(body.get("code", f"http_{status}"))
        self.detail = str(body.get("detail", "the server's answer is no problem document"))
        self.request_id: str | None = body.get("request_id")
        super().__init__(f"{status} {self.code}: {self.detail}")


class InvalidRequest(ApiError):
    """400, 413, 415, 422: what was asked for has the wrong shape; `body["errors"]` says where."""


class Unauthorized(ApiError):
    """401: the API key or token is unknown, expired or revoked."""


class Forbidden(ApiError):
    """403: this key or token is not good for that."""


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: the state is another one, such as `answered_elsewhere`."""


class Gone(ApiError):
    """410: the ring or the call is over; `body["reason"]` says why."""


class RateLimited(ApiError):
    """429, after as many tries as were allowed."""


class ServerFailed(ApiError):
    """5xx: the server or what it needs is away or failed."""


OF_STATUS: Mapping[int, type[ApiError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
}


def error_of(status: int, body: Any) -> ApiError:
    """The error of an answer, whatever its body is."""
    kind = OF_STATUS.get(status, ServerFailed if status >= 500 else ApiError)
    return kind(status, body if isinstance(body, dict) else {})
