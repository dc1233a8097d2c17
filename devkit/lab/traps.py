"""The traps of the client libraries: payloads that look right and are not, as templates that a
tenant might really have saved.

Sources: the libraries' own iOS code, as listed in the phones' document. What becomes of an app is
said by the phone model when it is asked; nothing here says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.core.payload.profiles import RING


@dataclass(frozen=True, slots=True)
class Trap:
    """A wrong payload for one library. `title` says what is wrong with it, in a few words."""

    profile: str
    name: str
    title: str
    template: Mapping[str, Any]


def _without(body: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in keys}


_RING: Final = _without(RING, "custom")
_ALERT: Final = {"call_cid": "{{cid}}", "user_ids": "{{user_ids}}"}
_STREAM: Final = {
    "call_cid": "{{cid}}",
    "call_display_name": "{{call_label}}",
    "created_by_display_name": "{{caller_label}}",
    "created_by_id": "{{caller_id}}",
    "receiver_id": "{{receiver_id}}",
    "sender": "stream.video",
    "type": "call.ring",
    "version": "v2",
    "video": "{{video_string}}",
}
_FLUTTER: Final = {
    "id": "{{uuid}}",
    "nameCaller": "{{caller_label}}",
    "handle": "{{caller_id}}",
    "isVideo": "{{video}}",
    "ring": _RING,
}
_CALLKEEP: Final = {"uuid": "{{uuid}}", "callerName": "{{caller_label}}", "handle": "{{caller_id}}"}
_CUBE: Final = {
    "signal_type": "startCall",
    "session_id": "{{uuid}}",
    "call_type": "{{video_type}}",
    "caller_id": "{{caller_number}}",
    "caller_name": "{{caller_label}}",
    "call_opponents": "{{opponent_numbers}}",
    "user_info": {
        "$json": {
            "ring_uuid": "{{uuid}}",
            "ring_session_id": "{{session_id}}",
            "ring_cid": "{{cid}}",
            "ring_expires_at": "{{expires_at_string}}",
            "ring_state_url": "{{state_url}}",
            "ring_token": "{{token}}",
        }
    },
}
_WEBRTC: Final = {
    "uuid": "{{uuid}}",
    "caller_id": "{{caller_id}}",
    "caller_name": "{{caller_label}}",
    "caller_id_type": "number",
    "has_video": "{{video}}",
    "ring": _RING,
}
_EXPO: Final = {
    "eventId": "{{uuid}}",
    "serverCallId": "{{session_id}}",
    "hasVideo": "{{video}}",
    "startedAt": "{{sent_at_iso}}",
    "caller": {"id": "{{caller_id}}", "displayName": "{{caller_label}}"},
    "metadata": {"ring": _RING},
}
_ROCKET: Final = {
    "notificationType": "voip",
    "type": "incoming_call",
    "callId": "{{uuid}}",
    "caller": {"name": "{{caller_label}}", "username": "{{caller_id}}"},
    "host": "{{server_url}}",
    "hostName": "{{server_name}}",
    "createdAt": "{{sent_at_iso}}",
    "ring": _RING,
}

_ALL: Final = (
    Trap(
        "ringline",
        "cid_without_type",
        "`cid` has no type before the colon",
        {"aps": {"alert": _ALERT | {"call_cid": "{{session_id}}"}}, "ring": _RING},
    ),
    Trap(
        "ringline",
        "ring_uuid_is_no_uuid",
        "`ring.uuid` is the call's cid instead of a UUID",
        {"aps": {"alert": _ALERT}, "ring": _RING | {"uuid": "{{cid}}"}, "id": "{{uuid}}"},
    ),
    Trap(
        "stream",
        "video_is_a_boolean",
        "`video` is a JSON boolean instead of a string",
        {
            "aps": {"alert": _ALERT},
            "stream": _STREAM | {"video": "{{video}}"},
            "ring": _RING,
        },
    ),
    Trap(
        "stream",
        "no_cid",
        "`stream.call_cid` is missing",
        {"aps": {"alert": _ALERT}, "stream": _without(_STREAM, "call_cid"), "ring": _RING},
    ),
    Trap(
        "flutter_callkit_incoming",
        "id_is_no_uuid",
        "`id` is the call's cid instead of a UUID",
        _FLUTTER | {"id": "{{cid}}"},
    ),
    Trap(
        "flutter_callkit_incoming",
        "is_video_is_a_string",
        "`isVideo` is a string instead of a JSON boolean",
        _FLUTTER | {"isVideo": "{{video_string}}"},
    ),
    Trap(
        "rn_callkeep",
        "uuid_is_no_uuid",
        "`uuid` is the call's cid instead of a UUID",
        _CALLKEEP | {"uuid": "{{cid}}", "ring": _RING},
    ),
    Trap(
        "connectycube",
        "caller_id_is_a_string",
        "`caller_id` is a string instead of a number",
        _CUBE | {"caller_id": "{{caller_id}}"},
    ),
    Trap(
        "connectycube",
        "opponents_are_no_numbers",
        "`call_opponents` holds user ids instead of numbers",
        _CUBE | {"call_opponents": "{{receiver_id}}"},
    ),
    Trap(
        "flutter_webrtc_callkeep",
        "has_an_aps_key",
        "there is an `aps` key",
        {"aps": {"alert": _ALERT}} | _WEBRTC,
    ),
    Trap(
        "flutter_webrtc_callkeep",
        "no_caller_id",
        "`caller_id` is missing",
        _without(_WEBRTC, "caller_id"),
    ),
    Trap(
        "expo_callkit_telecom",
        "incoming_call_as_in_its_docs",
        "`incomingCall`, as its docs have it, instead of `incoming_call`",
        {"incomingCall": _EXPO},
    ),
    Trap(
        "rocketchat",
        "no_notification_type",
        "`notificationType` is missing",
        _without(_ROCKET, "notificationType"),
    ),
)

TRAPS: Final[dict[str, Trap]] = {f"{trap.profile}.{trap.name}": trap for trap in _ALL}
