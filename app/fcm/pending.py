"""A message that is owed its outcome, and what Google's answer says."""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final

import orjson

from app.core.outcome import readable
from app.fcm.message import FcmMessage
from app.http2.head import retry_after
from app.http2.sender import Pending

_FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
_MOST: Final = 128


class PendingMessage(Pending):
    """A message in the sender; `future` gets its outcome.

    `carried` is the access token that it went with, `reason` Google's once it is here.
    """

    __slots__ = ("carried", "reason", "wall_clock")

    def __init__(
        self,
        message: FcmMessage,
        deadline: float,
        loop: asyncio.AbstractEventLoop,
        wall_clock: Callable[[], float],
        start_by: float = math.inf,
    ) -> None:
        super().__init__(message.body, deadline, loop, start_by)
        self.wall_clock = wall_clock
        self.carried = b""
        self.reason: str | None = None

    def answered(self, now: float) -> None:
        taken = self.code == 200
        self.reason = None if taken else reason_of(self.body)
        self.end(
            self.outcome(
                now,
                code=self.code,
                reason=self.reason,
                unique_id=_name(self.body) if taken else None,
                retry_after=retry_after(self.fields, self.wall_clock),
            )
        )


def reason_of(body: bytes) -> str | None:
    """Google's error code: FCM's own, else the status; of a bad field its name behind it.

    Anything that is not Google's JSON (empty, HTML, cut short) reads as None.
    """
    error = _object(_object(_parsed(body)).get("error"))
    status = error.get("status")
    details = error.get("details")
    found = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    codes = (one.get("errorCode") for one in found if one.get("@type") == _FCM_ERROR)
    code = next((one for one in codes if isinstance(one, str) and one), status)
    if not isinstance(code, str) or not code:
        return None
    if code == "INVALID_ARGUMENT":
        field = _bad_field(found) or _token_in_words(error.get("message"))
        code = f"{code} {field}" if field else code
    return readable(code[:_MOST])


def _bad_field(details: list[dict[str, Any]]) -> str | None:
    for one in details:
        violations = one.get("fieldViolations") if one.get("@type") == _BAD_REQUEST else None
        for violation in violations if isinstance(violations, list) else ():
            field = _object(violation).get("field")
            if isinstance(field, str) and field:
                return field
    return None


def _token_in_words(message: object) -> str | None:
    """Of a token that is none Google says so in its message, and names no field."""
    known = isinstance(message, str) and "registration token" in message
    return "message.token" if known else None


def _name(body: bytes) -> str | None:
    name = _object(_parsed(body)).get("name")
    return readable(name.rpartition("/")[2][:_MOST]) if isinstance(name, str) else None


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body) if body else None
    except ValueError:
        return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
