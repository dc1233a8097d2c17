"""A message as it goes to Google. Source: "Method: projects.messages.send", firebase.google.com."""

from typing import Final

import orjson

from app.core.frozen import frozen
from app.core.push import Purpose
from app.infra.sender import OutgoingPush

LONGEST_TTL: Final = 28 * 24 * 3600
"""Seconds; Google stores a message for four weeks at most."""
NOBODY: Final = "ringline-asks-whether-this-credential-works"
"""A topic to which a message is only ever sent with `validate_only`."""
LONGEST_TOKEN: Final = 4_096


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
    priority = b"HIGH" if push.purpose is Purpose.RING else b"NORMAL"
    return FcmMessage(
        b'{"message":{"token":%b,"data":%b,"android":{"priority":"%b","ttl":"%ds"}}}'
        % (orjson.dumps(push.token), push.payload, priority, seconds)
    )


def _shown(push: OutgoingPush) -> FcmMessage:
    """A notification that Android shows by itself, in the place of another of the same ring."""
    said = orjson.loads(push.payload)
    ttl = max(push.shown_until - int(push.now), 0)
    android = {"priority": "HIGH", "ttl": f"{ttl}s", "notification": said["notification"]}
    message = {"token": push.token, "data": said["data"], "android": android}
    return FcmMessage(orjson.dumps({"message": message}))


def probe() -> FcmMessage:
    """A message that Google checks, credential and all, and sends to nobody."""
    data = {"topic": NOBODY, "data": {"ringline": "probe"}}
    return FcmMessage(orjson.dumps({"validate_only": True, "message": data}))
