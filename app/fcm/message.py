"""A message as it goes to Google. Source: "Method: projects.messages.send", firebase.google.com."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from app.core.frozen import frozen
from app.core.graphemes import cut_text
from app.core.payload import OTHER_LIMIT
from app.core.push import Purpose
from app.infra.sender import OutgoingPush

LONGEST_TTL: Final = 28 * 24 * 3600
"""Seconds; Google stores a message for four weeks at most."""
NOBODY: Final = "ringline-asks-whether-this-credential-works"
"""A topic to which a message is only ever sent with `validate_only`."""
LONGEST_TOKEN: Final = 4_096
_CALLERS: Final = ("ring_title", "ring_caller_name", "ring_caller_id")
_NO_NAME: Final = "Ringline"
"""Where a payload says nobody's name."""
_INCOMING: Final = "Incoming call"


@frozen
class FcmMessage:
    """The request's body, made whole."""

    body: bytes


def message_of(push: OutgoingPush) -> FcmMessage:
    """Data only, so that the app's own code runs: HIGH for a ring, normal for what shows nothing.

    FCM watches what an app does with high priority and slows down what shows nothing ("Set and
    manage Android message priority"). It is kept for a phone that is away until its ring is over:
    what comes late says by itself that it is.

    The payload is spliced in as it was serialised. Raises ValueError for a token that is none.
    """
    if not 0 < len(push.token) <= LONGEST_TOKEN:
        raise ValueError("an FCM token has 1 to 4,096 characters")
    if push.purpose.is_alert:
        return _shown(push)
    seconds = min(max(int(push.deadline - push.now), 0), LONGEST_TTL)
    if push.newer:
        return _by_intent(push, seconds)
    priority = b"HIGH" if push.purpose is Purpose.RING else b"NORMAL"
    return FcmMessage(
        b'{"message":{"token":%b,"data":%b,"android":{"priority":"%b","ttl":"%ds"}}}'
        % (orjson.dumps(push.token), push.payload, priority, seconds)
    )


def _by_intent(push: OutgoingPush, seconds: int) -> FcmMessage:
    """The same as AndroidConfigV2, which has an intent in place of a priority.

    A ring is a `remote_notification` that the app's own code makes a call screen of; what it shows
    where that does not run is Android's to show. An SDK that knows no V2 gets the data message of
    before. A stop is a `background_sync`. Source: "Migrate from FCM HTTP v1 API to
    AndroidConfigV2", firebase.google.com (a preview).
    """
    data = orjson.loads(push.payload)
    android: dict[str, Any] = {"ttl": f"{seconds}s"}
    if push.purpose is Purpose.RING:
        who = next((data[name] for name in _CALLERS if data.get(name)), _NO_NAME)
        shown = {"title": "", "body": _INCOMING, "tag": push.ring}
        shown["title"] = _within(OTHER_LIMIT - _size(data) - _size(shown), who)
        android["remote_notification"] = {
            "mutable_content": True,
            "use_as_v1_data_message": True,
            "notification": shown,
        }
    else:
        android["background_sync"] = {}
    message = {"token": push.token, "data": data, "android_v2": android}
    return FcmMessage(orjson.dumps({"message": message}))


def _size(what: Mapping[str, str]) -> int:
    """Bytes as Google counts them, of what is carried and of what is shown together."""
    return sum(len(key.encode()) + len(value.encode()) for key, value in what.items())


def _within(room: int, name: str) -> str:
    """A name in so many bytes, of which a character has four at most."""
    return name if len(name.encode()) <= room else cut_text(name, room // 4) or _NO_NAME


def _shown(push: OutgoingPush) -> FcmMessage:
    """A notification that Android shows by itself, in the place of another of the same ring."""
    said = orjson.loads(push.payload)
    ttl = max(push.shown_until - int(push.now), 0)
    message = {"token": push.token, "data": said["data"]}
    shown = {"notification": said["notification"]}
    if push.newer:
        message["android_v2"] = {"ttl": f"{ttl}s", "remote_notification": shown}
    else:
        message["android"] = {"priority": "HIGH", "ttl": f"{ttl}s", **shown}
    return FcmMessage(orjson.dumps({"message": message}))


def probe() -> FcmMessage:
    """A message that Google checks, credential and all, and sends to nobody."""
    data = {"topic": NOBODY, "data": {"ringline": "probe"}}
    return FcmMessage(orjson.dumps({"validate_only": True, "message": data}))
