"""A push as the engine takes it: everything that goes to Apple, already decided."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

import orjson
from aioapns.common import NotificationRequest, PushType

from app.core.text import is_token

_PUSH_TYPES: Final = {kind.value: kind for kind in PushType}
_DEVICE: Final = b"/3/device/"
_OF_UUID: Final = 36
_OF_UUID_FIRST: Final = bytes((_OF_UUID,))
_NO_MESSAGE: Final[Mapping[str, Any]] = {}


class PushRequest(NotificationRequest):
    """One push to one device token.

    The payload is bytes, serialised once by the caller and sent as they are. `expiration` is
    Apple's `apns-expiration`: 0 for "once, now", or unix seconds; None leaves the header out
    (which lets Apple store the push, so it is never what a ring wants). `deadline` is only read
    by `Sender.send_notification`; it is a `loop.time()`.

    Raises ValueError for what cannot be a header: an empty or non-printable token, topic or id,
    or one of more than 512 characters.
    """

    __slots__ = ("common", "deadline", "expiration", "id_field", "path", "payload")

    def __init__(
        self,
        device_token: str,
        payload: bytes,
        *,
        topic: str,
        notification_id: str | None = None,
        push_type: str | PushType = PushType.VOIP,
        priority: int | None = 10,
        expiration: int | None = 0,
        collapse_key: str | None = None,
        deadline: float | None = None,
    ) -> None:
        self.device_token = device_token
        self.message = _NO_MESSAGE  # type: ignore[assignment]
        self.notification_id = notification_id or str(uuid4())
        self.time_to_live = None  # aioapns's relative time slides on retries; see expiration
        self.priority = priority
        self.collapse_key = collapse_key
        kind = _PUSH_TYPES.get(push_type) if isinstance(push_type, str) else push_type
        if kind is None:
            raise ValueError(f"unknown apns-push-type {push_type!r}")
        self.push_type = kind
        self.apns_topic = topic
        self.payload = payload
        self.expiration = expiration
        self.deadline = deadline
        _topic(topic)
        if collapse_key is not None and len(collapse_key) > 512:
            raise ValueError("a collapse id of more than 512 characters")
        self.path = _path(device_token)
        self.id_field = _id_field(self.notification_id)
        # What pushes have in common within a ring: the engine keeps these headers encoded.
        # by the kind's text: an enum's hash is a function in Python
        self.common = (topic, kind._value_, priority, expiration, collapse_key)

    def another(self, device_token: str, payload: bytes, notification_id: str) -> "PushRequest":
        """The same to another device. Raises ValueError for what cannot be a header."""
        text = device_token + notification_id
        if len(device_token) == 64 and len(notification_id) == _OF_UUID and is_token(text):
            # as nearly all: both are looked at together
            path = _DEVICE + device_token.encode("ascii")
            id_field = _OF_UUID_FIRST + notification_id.encode("ascii")
        else:
            path, id_field = _path(device_token), _id_field(notification_id)
        made = PushRequest.__new__(PushRequest)
        made.device_token, made.payload = device_token, payload
        made.notification_id = notification_id
        made.message, made.time_to_live = self.message, None
        made.priority, made.collapse_key = self.priority, self.collapse_key
        made.push_type, made.apns_topic = self.push_type, self.apns_topic
        made.expiration, made.deadline = self.expiration, self.deadline
        made.path, made.id_field = path, id_field
        made.common = self.common
        return made

    @classmethod
    def of(cls, request: NotificationRequest, *, now: float, topic: str | None) -> "PushRequest":
        """The same push as aioapns's own request means it; `now` is unix time for its TTL."""
        ttl = request.time_to_live
        return cls(
            request.device_token,
            orjson.dumps(request.message),
            topic=request.apns_topic or topic or "",
            notification_id=request.notification_id,
            push_type=request.push_type or PushType.ALERT,
            priority=None if request.priority is None else int(request.priority),
            expiration=None if ttl is None else (int(now) + ttl if ttl else 0),
            collapse_key=request.collapse_key,
        )

    def common_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that a ring's pushes share, in the order in which they are sent."""
        pairs = [
            (b"apns-topic", _topic(self.apns_topic or "")),
            (b"apns-push-type", self.push_type.value.encode("ascii")),  # type: ignore[union-attr]
        ]
        if self.priority is not None:
            pairs.append((b"apns-priority", b"%d" % self.priority))
        if self.expiration is not None:
            pairs.append((b"apns-expiration", b"%d" % self.expiration))
        if self.collapse_key is not None:
            pairs.append((b"apns-collapse-id", self.collapse_key.encode()))
        return pairs


@lru_cache(maxsize=1_024)
def _topic(value: str) -> bytes:
    return _header(value, "topic")


def _path(device_token: str) -> bytes:
    return _DEVICE + _header(device_token, "device token")


def _id_field(notification_id: str) -> bytes:
    """The id as a string literal of HPACK."""
    id_bytes = _header(notification_id, "apns-id")
    if len(id_bytes) > 126:
        raise ValueError("an apns-id of more than 126 characters")
    return bytes((len(id_bytes),)) + id_bytes


def _header(value: str, what: str) -> bytes:
    if not (0 < len(value) <= 512 and is_token(value)):
        raise ValueError(f"a {what} must be 1 to 512 printable ASCII characters")
    return value.encode("ascii")
