"""The payload of every client library that we know, as templates. One row of the docs each.

Shapes and traps are from the libraries' own iOS code. Our own facts (`ring`: uuid, deadline, state
URL, call token) travel where each library lets an app see them:

- ringline, stream, flutter_callkit_incoming, rn_callkeep, flutter_webrtc_callkeep, rocketchat: the
  top-level key `ring`. These libraries read the keys they know and pass over the rest.
- connectycube: inside `user_info`, as flat strings `ring_...`. Its Dart side makes a map of strings
  of it and throws at anything else.
- expo_callkit_telecom: `incoming_call.metadata.ring`, the only part it hands to JavaScript.

A payload without `ring` would still ring, but a killed app could not decline.
"""

from typing import Any, Final

from app.core.payload.facts import PayloadError
from app.core.payload.template import Template, compile_template

RING: Final[dict[str, Any]] = {
    "v": 2,
    "uuid": "{{uuid}}",
    "cid": "{{cid}}",
    "session_id": "{{session_id}}",
    "title": "{{display_name?}}",
    "caller": {
        "id": "{{caller_id}}",
        "name": "{{caller_name?}}",
        "avatar_url": "{{caller_avatar?}}",
        "handle": "{{caller_handle?}}",
    },
    "video": "{{video}}",
    "sent_at": "{{sent_at}}",
    "expires_at": "{{expires_at}}",
    "state_url": "{{state_url}}",
    "custom": "{{custom?}}",
    "traceparent": "{{traceparent?}}",
    "token": "{{token}}",
}
# A stop says only what a phone needs to end the right screen; it grants nothing, so no token.
STOP: Final[dict[str, Any]] = {
    "v": 2,
    "type": "stop",
    "uuid": "{{uuid}}",
    "cid": "{{cid}}",
    "session_id": "{{session_id}}",
    "callkit_reason": "{{callkit_reason}}",
    "sent_at": "{{sent_at}}",
    "state_url": "{{state_url}}",
}
RING_FLAT: Final[dict[str, Any]] = {
    "ring_v": "2",
    "ring_uuid": "{{uuid}}",
    "ring_cid": "{{cid}}",
    "ring_session_id": "{{session_id}}",
    "ring_title": "{{display_name?}}",
    "ring_caller_id": "{{caller_id}}",
    "ring_caller_name": "{{caller_name?}}",
    "ring_caller_avatar_url": "{{caller_avatar?}}",
    "ring_caller_handle": "{{caller_handle_json?}}",
    "ring_sent_at": "{{sent_at_string}}",
    "ring_expires_at": "{{expires_at_string}}",
    "ring_state_url": "{{state_url}}",
    "ring_custom": "{{custom_json?}}",
    "ring_traceparent": "{{traceparent?}}",
    "ring_token": "{{token}}",
}
STOP_FLAT: Final[dict[str, Any]] = {
    "ring_v": "2",
    "ring_type": "stop",
    "ring_uuid": "{{uuid}}",
    "ring_cid": "{{cid}}",
    "ring_session_id": "{{session_id}}",
    "ring_callkit_reason": "{{callkit_reason_string}}",
    "ring_sent_at": "{{sent_at_string}}",
    "ring_state_url": "{{state_url}}",
}


def _ringline(ring: dict[str, Any]) -> dict[str, Any]:
    alert = {"call_cid": "{{cid}}", "user_ids": "{{user_ids}}"}
    return {"aps": {"alert": alert}, "ring": ring}


# `video` is a string on purpose: Swift takes a bool too, but React Native sends it
# isEqualToString: and dies, while Flutter reads a bool as true.
STREAM: Final = {
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
"""What Stream's libraries read of a call, on iPhones below `stream`, on Androids at the top."""


def _stream(ring: dict[str, Any]) -> dict[str, Any]:
    alert = {
        "title": "{{caller_label}} is calling you",
        "body": "",
        "call_cid": "{{cid}}",
        "user_ids": "{{user_ids}}",
    }
    aps = {"alert": alert, "badge": 0, "category": "stream.video", "mutable-content": 1}
    return {"aps": aps, "stream": STREAM, "ring": ring}


def _flutter_callkit_incoming(ring: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "{{uuid}}",
        "nameCaller": "{{caller_label}}",
        "handle": "{{handle_label}}",
        "isVideo": "{{video}}",
        "ring": ring,
    }


def _rn_callkeep(ring: dict[str, Any]) -> dict[str, Any]:
    return {
        "uuid": "{{uuid}}",
        "callerName": "{{caller_label}}",
        "handle": "{{handle_label}}",
        "ring": ring,
    }


def _connectycube(ring: dict[str, Any]) -> dict[str, Any]:
    return {
        "signal_type": "endCall" if "ring_type" in ring else "startCall",
        "session_id": "{{uuid}}",
        "call_type": "{{video_type}}",
        "caller_id": "{{caller_number}}",
        "caller_name": "{{caller_label}}",
        "call_opponents": "{{opponent_numbers}}",
        "user_info": {"$json": ring},
    }


def _flutter_webrtc_callkeep(ring: dict[str, Any]) -> dict[str, Any]:
    # No `aps` key, ever: with one the plugin does not report and iOS kills the app.
    # `caller_id` is what it gives CallKit as the handle, of the type beside it.
    return {
        "uuid": "{{uuid}}",
        "caller_id": "{{handle_label}}",
        "caller_name": "{{caller_label}}",
        "caller_id_type": "{{handle_type}}",
        "has_video": "{{video}}",
        "ring": ring,
    }


def _expo_callkit_telecom(ring: dict[str, Any]) -> dict[str, Any]:
    # Snake case outside, camel case inside: what its code parses, whatever its docs say.
    event = {
        "eventId": "{{uuid}}",
        "serverCallId": "{{session_id}}",
        "hasVideo": "{{video}}",
        "startedAt": "{{sent_at_iso}}",
        "caller": {
            "id": "{{caller_id}}",
            "displayName": "{{caller_label}}",
            "avatarUrl": "{{caller_avatar?}}",
            "phoneNumber": "{{caller_phone?}}",
            "email": "{{caller_email?}}",
        },
        "metadata": {"ring": ring},
    }
    return {"incoming_call": event}


def _rocketchat(ring: dict[str, Any]) -> dict[str, Any]:
    # `username` twice: released apps look for it in one place or in the other.
    return {
        "notificationType": "voip",
        "type": "incoming_call",
        "callId": "{{uuid}}",
        "caller": {
            "name": "{{caller_label}}",
            "username": "{{caller_id}}",
            "avatarUrl": "{{caller_avatar?}}",
        },
        "username": "{{caller_id}}",
        "host": "{{server_url}}",
        "hostName": "{{server_name}}",
        "createdAt": "{{sent_at_iso}}",
        "ring": ring,
    }


_SHAPES: Final = {
    "ringline": _ringline,
    "stream": _stream,
    "flutter_callkit_incoming": _flutter_callkit_incoming,
    "rn_callkeep": _rn_callkeep,
    "connectycube": _connectycube,
    "flutter_webrtc_callkeep": _flutter_webrtc_callkeep,
    "expo_callkit_telecom": _expo_callkit_telecom,
    "rocketchat": _rocketchat,
}


def shapes(ring: dict[str, Any], flat: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The template of each profile around our own facts, `flat` where it takes strings alone."""
    return {
        name: shape(flat if name == "connectycube" else ring) for name, shape in _SHAPES.items()
    }


def _compiled(ring: dict[str, Any], flat: dict[str, Any]) -> dict[str, Template]:
    return {name: compile_template(shape) for name, shape in shapes(ring, flat).items()}


RING_TEMPLATES: Final = _compiled(RING, RING_FLAT)
VOIP_STOP_TEMPLATES: Final = _compiled(STOP, STOP_FLAT)
BACKGROUND_STOP: Final = compile_template({"aps": {"content-available": 1}, "ring": STOP})


def template_for(
    profile: str, custom: Template | None, *, templates: dict[str, Template]
) -> Template:
    """The compiled template of a profile; `custom` is the tenant's. Raises PayloadError."""
    if profile == "custom":
        if custom is None:
            raise PayloadError("profile custom needs the tenant's template")
        return custom
    try:
        return templates[profile]
    except KeyError:
        raise PayloadError(f"there is no payload profile {profile!r}") from None
