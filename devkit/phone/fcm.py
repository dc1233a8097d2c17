"""A message of FCM as an Android app gets it: a flat object of strings, a priority, a life.

Source: "About FCM messages" and "Set and manage Android message priority", firebase.google.com.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devkit.phone.delivery import Push
from devkit.phone.swift import json_object, number_in_text, parsed, string
from devkit.phone.verdict import OurRing

NORMAL: Final = "NORMAL"
# What Google keeps a message for when it is not told: four weeks.
_LONGEST: Final = 28 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Said:
    """What the app's own code finds in a ring's `data`; `ring.uuid` None is no message of ours."""

    ring: OurRing
    caller: str
    handle: str
    video: bool


def message_of(given: Mapping[str, Any]) -> Push:
    """A message as the simulator's control API lists it, with its `data` as the payload."""
    message = given["payload"]["message"]
    newer = message.get("android_v2") or {}
    android = newer or message.get("android") or {}
    # AndroidConfigV2 has an intent in its place
    priority = "HIGH" if "remote_notification" in newer else android.get("priority", NORMAL)
    headers = {"priority": str(priority).upper()}
    headers |= {key: str(android[key]) for key in ("ttl", "collapse_key") if key in android}
    payload = json.dumps(message.get("data") or {}, ensure_ascii=False, separators=(",", ":"))
    received_ns = int(given["received_ns"])
    return Push("fcm", payload.encode(), received_ns // 1_000_000, headers, received_ns)


def is_over(push: Push, now_ms: int) -> bool:
    """Whether its life has ended, so that Google hands it over no more."""
    seconds = push.headers.get("ttl", "").removesuffix("s")
    life = int(seconds) if seconds.isascii() and seconds.isdigit() else _LONGEST
    return push.received_ms + life * 1000 <= now_ms


def size_of(payload: bytes) -> int:
    """The bytes that Google counts: keys and values."""
    found = parsed(payload) or {}
    return sum(len(key.encode()) + len(str(one).encode()) for key, one in found.items())


def read(payload: bytes) -> Said:
    """Our facts in a message, whatever else it holds; what is missing is None or empty."""
    data = parsed(payload) or {}
    handle = json_object(data.get("ring_caller_handle"))
    caller_id = string(data, "ring_caller_id")
    ours = OurRing(
        uuid=string(data, "ring_uuid"),
        cid=string(data, "ring_cid"),
        session_id=string(data, "ring_session_id"),
        caller_id=caller_id,
        sent_at_ms=number_in_text(data.get("ring_sent_at")),
        expires_at_ms=number_in_text(data.get("ring_expires_at")),
        state_url=string(data, "ring_state_url"),
        token=string(data, "ring_token"),
        is_stop=data.get("ring_type") == "stop",
        callkit_reason=number_in_text(data.get("ring_callkit_reason")),
        traceparent=string(data, "ring_traceparent"),
    )
    return Said(
        ours,
        string(data, "ring_caller_name") or caller_id or "",
        string(handle, "value") or caller_id or "",
        data.get("ring_video") == "true",
    )
