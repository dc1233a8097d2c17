"""Errors that a client is told: one tree, one shape (RFC 9457 `application/problem+json`).

    AppError
      BadRequest 400   Unauthorized 401   Forbidden 403              NotFound 404   Conflict 409
      Gone 410         TooLarge 413       UnsupportedMediaType 415   Invalid 422    TooMany 429
      Unavailable 503

Each carries a stable `code` that programs may rely on, and a `detail` that says what to do. A
detail never repeats a token, a key or any other secret.
"""

from typing import Any, ClassVar


class AppError(Exception):
    """A refusal with an HTTP status, a stable code and more members if they help."""

    status: ClassVar[int] = 500
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.more = more


class BadRequest(AppError):
    status = 400


class Unauthorized(AppError):
    status = 401
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer realm="ringline"'}


class Forbidden(AppError):
    status = 403


class NotFound(AppError):
    status = 404


class Conflict(AppError):
    status = 409


class Gone(AppError):
    status = 410


class TooLarge(AppError):
    status = 413


class UnsupportedMediaType(AppError):
    status = 415
    headers: ClassVar[dict[str, str]] = {"Accept": "application/json"}


class UnsupportedEncoding(UnsupportedMediaType):
    """RFC 9110, 15.5.16: says what is taken, and of media types nothing."""

    headers: ClassVar[dict[str, str]] = {"Accept-Encoding": "identity"}


class Invalid(AppError):
    status = 422


class TooMany(AppError):
    """`retry_after`: seconds until another try can succeed."""

    status = 429

    def __init__(self, code: str, detail: str, *, retry_after: float, **more: Any) -> None:
        super().__init__(code, detail, **more)
        self.retry_after = retry_after


class Unavailable(AppError):
    status = 503
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}
