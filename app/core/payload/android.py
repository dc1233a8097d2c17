"""What an FCM message says to an Android app: a flat object of strings, shaped for its library.

FCM's `data` holds strings alone ("The message type Message", firebase.google.com). Our own facts
travel in every profile as flat keys `ring_...`; the mission's `call_cid` and `user_ids` in our own.
"""

import json
from typing import Any, Final, Literal, get_args

from app.core.frozen import replace
from app.core.payload.checks import Problem
from app.core.payload.facts import (
    CALLKIT_REASONS,
    OTHER_LIMIT,
    TOKEN_ROOM,
    PayloadError,
    Prepared,
    RingFacts,
)
from app.core.payload.fit import fitted, prepared
from app.core.payload.profiles import RING_FLAT, STOP_FLAT, STREAM
from app.core.payload.template import compile_template

AndroidProfile = Literal["ringline", "stream", "flutter_callkit_incoming", "rn_callkeep"]
ANDROID_PROFILES: Final[tuple[str, ...]] = get_args(AndroidProfile)

_RING: Final[dict[str, Any]] = {"ring_type": "ring", "ring_video": "{{video_string}}"} | RING_FLAT
_SHAPES: Final[dict[str, dict[str, Any]]] = {
    "ringline": {"call_cid": "{{cid}}", "user_ids": "{{user_ids}}"},
    "stream": {**STREAM},
    # This plugin is shown a call by the app's own handler, which reads strings.
    "flutter_callkit_incoming": {
        "id": "{{uuid}}",
        "nameCaller": "{{caller_label}}",
        "handle": "{{handle_label}}",
        "isVideo": "{{video_string}}",
        "avatar": "{{caller_avatar?}}",
    },
    "rn_callkeep": {
        "uuid": "{{uuid}}",
        "callerName": "{{caller_label}}",
        "handle": "{{handle_label}}",
        "hasVideo": "{{video_string}}",
    },
}
_RINGS: Final = {name: compile_template(shape | _RING) for name, shape in _SHAPES.items()}
_STOP: Final = compile_template(STOP_FLAT)


def android_ring(profile: str, facts: RingFacts, *, token_room: int = TOKEN_ROOM) -> Prepared:
    """The `data` of a ring, serialised once. Raises PayloadError."""
    if profile not in _RINGS:
        raise PayloadError(f"there is no Android payload profile {profile!r}")
    return prepared(_RINGS[profile], facts, OTHER_LIMIT, token_room)


def android_stop(facts: RingFacts, callkit_reason: int) -> bytes:
    """The `data` that ends a ringing screen: one shape for all, read by the app's own code."""
    if callkit_reason not in CALLKIT_REASONS:
        raise PayloadError(f"CXCallEndedReason is 1 to 5, not {callkit_reason}")
    parts, _ = fitted(_STOP, replace(facts, callkit_reason=callkit_reason), OTHER_LIMIT, 0)
    return parts[0]


_NEEDED: Final = {
    "ringline": ("call_cid", "ring_uuid"),
    "stream": ("call_cid", "created_by_display_name", "created_by_id", "type", "sender"),
    "flutter_callkit_incoming": ("id",),
    "rn_callkeep": ("uuid",),
}
_RESERVED: Final = frozenset({"from", "notification", "message_type"})


def android_problems(profile: str, payload: bytes | str) -> list[Problem]:
    """Every fault of a ring's `data` for a profile; an empty list says that it would ring.

    FCM's own rules first: strings alone, no reserved key, 4,096 bytes. Raises PayloadError for an
    unknown profile only.
    """
    if profile not in _NEEDED:
        raise PayloadError(f"there is no Android payload profile {profile!r}")
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError) as error:
        return [_refused("", f"it is not JSON ({error})")]
    if not isinstance(data, dict):
        return [_refused("", "it is not an object")]
    found = []
    size = sum(len(key.encode()) + len(str(value).encode()) for key, value in data.items())
    if size > OTHER_LIMIT:
        found.append(_refused("", f"it has {size} bytes; {OTHER_LIMIT} is the most"))
    for key, value in data.items():
        if not isinstance(value, str):
            found.append(_refused(f"/{key}", f"`{key}` is not a string"))
        if key in _RESERVED or key.startswith(("google", "gcm")):
            found.append(_refused(f"/{key}", f"`{key}` is a name that FCM keeps for itself"))
    found += [
        Problem("wrong", f"/{key}", f"this would ring, but not rightly: `{key}` is missing")
        for key in _NEEDED[profile]
        if not data.get(key)
    ]
    return found


def _refused(path: str, what: str) -> Problem:
    return Problem("refused", path, f"Google would refuse this message: {what}")
