"""Payloads written by hand from the client libraries' documentation: not made by the server."""

import copy
import json

UUID = "0190b1a2-7c3d-7000-8000-00000000000a"
CALL_ID = "0190b1a2-7c3d-7000-8000-00000000000b"
STATE_URL = f"http://ring.test/v1/calls/{CALL_ID}"
OURS = {
    "v": 2,
    "uuid": UUID,
    "cid": "default:abc",
    "session_id": CALL_ID,
    "caller": {"id": "alice", "name": "Alice"},
    "video": True,
    "sent_at": 1_790_000_000_000,
    "expires_at": 1_790_000_045_000,
    "state_url": STATE_URL,
    "token": "call-token",
}
FLAT = {
    "ring_uuid": UUID,
    "ring_cid": "default:abc",
    "ring_session_id": CALL_ID,
    "ring_caller_id": "77",
    "ring_expires_at": "1790000045000",
    "ring_state_url": STATE_URL,
    "ring_token": "call-token",
}
GOOD = {
    "ringline": {
        "aps": {"alert": {"call_cid": "default:abc", "user_ids": "alice,carol"}},
        "ring": OURS,
    },
    "stream": {
        "aps": {"alert": {"title": "Alice is calling you", "call_cid": "default:abc"}},
        "stream": {
            "call_cid": "default:abc",
            "call_display_name": "Alice",
            "created_by_display_name": "Alice",
            "created_by_id": "alice",
            "sender": "stream.video",
            "type": "call.ring",
            "version": "v2",
            "video": "true",
        },
        "ring": OURS,
    },
    "flutter_callkit_incoming": {
        "id": UUID,
        "nameCaller": "Alice",
        "handle": "alice",
        "isVideo": True,
        "ring": OURS,
    },
    "rn_callkeep": {"uuid": UUID, "callerName": "Alice", "handle": "alice", "ring": OURS},
    "connectycube": {
        "signal_type": "startCall",
        "session_id": UUID,
        "call_type": 1,
        "caller_id": 77,
        "caller_name": "Alice",
        "call_opponents": "1,2",
        "user_info": json.dumps(FLAT),
    },
    "flutter_webrtc_callkeep": {
        "uuid": UUID,
        "caller_id": "alice",
        "caller_name": "Alice",
        "caller_id_type": "number",
        "has_video": False,
        "ring": OURS,
    },
    "expo_callkit_telecom": {
        "incoming_call": {
            "eventId": UUID,
            "serverCallId": CALL_ID,
            "hasVideo": True,
            "startedAt": "2026-09-21T14:13:20.000Z",
            "caller": {"id": "alice", "displayName": "Alice"},
            "metadata": {"ring": OURS},
        }
    },
    "rocketchat": {
        "notificationType": "voip",
        "type": "incoming_call",
        "callId": UUID,
        "caller": {"name": "Alice", "username": "alice"},
        "host": "https://chat.example.com",
        "hostName": "Chat",
        "createdAt": "2026-09-21T14:13:20.000Z",
        "ring": OURS,
    },
    "custom": {"id": UUID, "ring": OURS},
}


def changed(profile, path, value):
    """A good payload with one place changed; value `...` takes the place out."""
    body = copy.deepcopy(GOOD[profile])
    *parents, last = path.split(".")
    place = body
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(body).encode()
