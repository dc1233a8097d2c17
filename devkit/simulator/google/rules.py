"""Google's checks of a message, in its order: who asks, the request, the token, the payload.

Source: "Method: projects.messages.send", "FCM error codes", "About FCM messages".
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from devkit.simulator.google.answers import Refusal

PATH = re.compile(r"/v1/projects/([^/]+)/messages:send")
LIMIT = 4_096
LONGEST_TTL = 28 * 24 * 3600
_DURATION = re.compile(r"(\d{1,9})(?:\.\d{1,9})?s")
_RESERVED = {"from", "message_type", "notification"}
_TOKEN = re.compile(r"[A-Za-z0-9_:\-]{20,4096}")
_TARGETS = ("token", "topic", "condition")
_MESSAGE_KEYS = {
    *_TARGETS, "name", "data", "notification", "android", "android_v2", "webpush", "apns",
    "fcm_options",
}  # fmt: skip
_ANDROID_KEYS = {
    "collapse_key", "priority", "ttl", "restricted_package_name", "data", "notification",
    "fcm_options", "direct_boot_ok", "bandwidth_constrained_ok", "restricted_satellite_ok",
}  # fmt: skip
# AndroidConfigV2: an intent in place of a priority and a notification.
_INTENTS = ("remote_notification", "background_sync")
_ANDROID_V2_KEYS = _ANDROID_KEYS - {"priority", "notification"} | set(_INTENTS)
_REMOTE_KEYS = {"mutable_content", "notification", "use_as_v1_data_message"}


@dataclass(frozen=True, slots=True)
class Message:
    """A message that may be sent. `ttl` in seconds; `collapse_key` empty for none."""

    target: str
    token: str
    data: dict[str, str]
    high: bool
    ttl: int
    collapse_key: str
    validate_only: bool


def read(body: bytes) -> Message:
    """Check a request's body. Raises Refusal."""
    try:
        content = json.loads(body)
    except ValueError:
        raise Refusal("INVALID_ARGUMENT", "Invalid JSON payload received.") from None
    whole = _object(content, "")
    _known(whole, {"message", "validate_only"}, "")
    message = _object(whole.get("message"), "message")
    _known(message, _MESSAGE_KEYS, "message")
    targets = [name for name in _TARGETS if message.get(name)]
    if len(targets) != 1:
        raise Refusal(
            "INVALID_ARGUMENT",
            "Exactly one of token, topic or condition is required",
            field="message",
        )
    data = _data(message.get("data"), "message.data")
    if "android_v2" in message:
        if "android" in message:
            raise _invalid("message", "Only one of android and android_v2 may be set")
        android = _object(message["android_v2"], "message.android_v2")
        high = _by_intent(android)
    else:
        android = _object(message.get("android") or {}, "message.android")
        high = _by_priority(android)
    ttl = _ttl(android.get("ttl"))
    shown = android.get("remote_notification", android).get("notification")
    if _size(data) + _size(shown or {}) > LIMIT:
        raise Refusal("INVALID_ARGUMENT", "Android message is too big", field="message")
    return Message(
        targets[0],
        str(message.get("token") or ""),
        data,
        high,
        ttl,
        str(android.get("collapse_key") or ""),
        whole.get("validate_only") is True,
    )


def _size(what: dict[str, Any]) -> int:
    """Bytes of names and texts: what is shown counts as what is carried does."""
    return sum(len(key.encode()) + len(str(value).encode()) for key, value in what.items())


def _by_priority(android: dict[str, Any]) -> bool:
    _known(android, _ANDROID_KEYS, "message.android")
    priority = str(android.get("priority", "NORMAL")).upper()
    if priority not in {"HIGH", "NORMAL"}:
        raise _invalid("message.android.priority", f"Invalid value at priority: {priority}")
    return priority == "HIGH"


def _by_intent(android: dict[str, Any]) -> bool:
    """A remote notification, which must show something, is urgent; a background sync is not."""
    path = "message.android_v2"
    _known(android, _ANDROID_V2_KEYS, path)
    said = [name for name in _INTENTS if name in android]
    if len(said) != 1:
        raise _invalid(path, "Exactly one of remote_notification or background_sync is required")
    intent = _object(android[said[0]], f"{path}.{said[0]}")
    if said == ["background_sync"]:
        _known(intent, set(), f"{path}.background_sync")
        return False
    _known(intent, _REMOTE_KEYS, f"{path}.remote_notification")
    shown = _object(intent.get("notification"), f"{path}.remote_notification.notification")
    if not (shown.keys() & {"title", "body", "title_loc_key", "body_loc_key"}):
        raise _invalid(f"{path}.remote_notification.notification", "Notification is empty")
    for name in ("mutable_content", "use_as_v1_data_message"):
        if not isinstance(intent.get(name, False), bool):
            raise _invalid(f"{path}.remote_notification.{name}", "Invalid value (TYPE_BOOL)")
    return True


def check_token(token: str) -> None:
    """Refuse what is no registration token at all, as Google does: in words."""
    if _TOKEN.fullmatch(token) is None:
        raise Refusal(
            "INVALID_ARGUMENT",
            "The registration token is not a valid FCM registration token",
        )


def _data(value: object, path: str) -> dict[str, str]:
    data = _object({} if value is None else value, path)
    for key, one in data.items():
        if not isinstance(one, str):
            raise _invalid(f"{path}[0].value", f"Invalid value at '{path}[0].value' (TYPE_STRING)")
        if key in _RESERVED or key.startswith(("google", "gcm")):
            raise _invalid(path, f"Invalid data payload key: {key}")
    return data


def _ttl(value: object) -> int:
    if value is None:
        return LONGEST_TTL
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[1]) > LONGEST_TTL:
        raise _invalid("message.android.ttl", f"Invalid value at 'message.android.ttl': {value}")
    return int(found[1])


def _object(value: object, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(path or "message", f"Invalid value at '{path or 'message'}'")
    return value


def _known(value: dict[str, Any], names: set[str], path: str) -> None:
    for name in value:
        if name not in names:
            where = f" at {path!r}" if path else ""
            raise Refusal(
                "INVALID_ARGUMENT",
                f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.',
                field=f"{path}.{name}".strip("."),
            )


def _invalid(field: str, message: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", message, field=field)
