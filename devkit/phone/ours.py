"""Where Ringline's own facts are in each profile's payload."""

from collections.abc import Callable
from typing import Any

from devkit.phone.swift import Body, json_object, mapping, number, number_in_text, string
from devkit.phone.verdict import OurRing


def our_ring(profile: str, body: Body) -> OurRing:
    """Ringline's facts, wherever this profile has them; what is missing or misshapen is None."""
    if profile == "connectycube":
        flat = json_object(body.get("user_info"))
        found = {key.removeprefix("ring_"): value for key, value in flat.items()}
        numbers: Callable[[Any], int | None] = number_in_text
    elif profile == "expo_callkit_telecom":
        found = dict(mapping(mapping(mapping(body, "incoming_call"), "metadata"), "ring"))
        numbers = number
    else:
        found = dict(mapping(body, "ring"))
        numbers = number
    caller = found.get("caller_id") or mapping(found, "caller").get("id")
    return OurRing(
        uuid=string(found, "uuid"),
        cid=string(found, "cid"),
        session_id=string(found, "session_id"),
        caller_id=caller if isinstance(caller, str) else None,
        sent_at_ms=numbers(found.get("sent_at")),
        expires_at_ms=numbers(found.get("expires_at")),
        state_url=string(found, "state_url"),
        token=string(found, "token"),
        is_stop=found.get("type") == "stop",
        callkit_reason=numbers(found.get("callkit_reason")),
        traceparent=string(found, "traceparent"),
    )
