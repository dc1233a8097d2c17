"""The values that a payload template can ask for by name.

One table for our own profiles and for tenants' templates, so that whatever we can say, they can.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, Literal

from app.core.frozen import frozen
from app.core.payload.facts import RingFacts
from app.core.person import HandleKind, handle_json

ValueType = Literal["string", "integer", "boolean", "object", "array"]

# Integers that every JSON reader keeps exact (RFC 8259, section 6).
_GREATEST_EXACT: Final = 2**53 - 1
_TO_JSON: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode


@frozen
class Field:
    """A named value: its JSON type, whether it can be absent, and how it is read off the facts."""

    type: ValueType
    absent: bool
    read: Callable[[RingFacts], Any]
    meaning: str


def number_of(user_id: str) -> int:
    """A user id as the positive integer that connectycube's client insists on.

    A plain decimal id from 1 to 2^53-1 is itself; any other id becomes 52 bits of its SHA-256
    plus one: the same on every server and for ever, and not to be turned back. The true id
    travels beside it.
    """
    if user_id.isascii() and user_id.isdigit() and user_id[0] != "0" and len(user_id) <= 16:
        value = int(user_id)
        if value <= _GREATEST_EXACT:
            return value
    digest = hashlib.sha256(user_id.encode("utf-8", "replace")).digest()
    return (int.from_bytes(digest[:8], "big") >> 12) + 1


def who_is_calling(facts: RingFacts) -> tuple[str, ...]:
    """`user_ids` with the caller first, no repeat, and never the recipient."""
    ids = facts.user_ids
    if len(ids) == 1 and ids[0] == facts.caller_id:
        return ids
    seen = dict.fromkeys((facts.caller_id, *ids))
    seen.pop(facts.receiver_id, None)
    return tuple(seen)


def rfc3339(ms: int) -> str:
    """Unix milliseconds as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def _caller_label(facts: RingFacts) -> str:
    return facts.caller_name or facts.caller_id


def _handle(facts: RingFacts) -> Mapping[str, Any] | None:
    return handle_json(facts.caller_handle)


def _handle_json(facts: RingFacts) -> str | None:
    return _TO_JSON(_handle(facts)) if facts.caller_handle else None


def _handle_label(facts: RingFacts) -> str:
    return facts.caller_handle.value if facts.caller_handle else facts.caller_id


def _handle_type(facts: RingFacts) -> str:
    # without a handle the id stands there, as these libraries have always been sent it
    handle = facts.caller_handle
    return "number" if handle is None or handle.kind is HandleKind.PHONE else handle.kind.value


def _handle_of(kind: HandleKind) -> Callable[[RingFacts], str | None]:
    def read(facts: RingFacts) -> str | None:
        handle = facts.caller_handle
        return handle.value if handle is not None and handle.kind is kind else None

    return read


def _call_label(facts: RingFacts) -> str:
    return facts.display_name or facts.caller_name or facts.caller_id


def _custom(facts: RingFacts) -> Mapping[str, Any] | None:
    return dict(facts.custom) if facts.custom else None


def _custom_json(facts: RingFacts) -> str | None:
    return _TO_JSON(dict(facts.custom)) if facts.custom else None


def _opponent_numbers(facts: RingFacts) -> str:
    # Never empty: the client's Dart side parses each piece as an integer, and "" is none.
    others = (user for user in who_is_calling(facts) if user != facts.caller_id)
    return ",".join(str(number_of(user)) for user in (facts.receiver_id, *others))


def _reason_string(facts: RingFacts) -> str | None:
    return None if facts.callkit_reason is None else str(facts.callkit_reason)


def _netloc(facts: RingFacts) -> str:
    # our own address, which was read when settings were
    return facts.state_url.partition("://")[2].partition("/")[0]


def _origin(facts: RingFacts) -> str:
    return f"{facts.state_url.partition('://')[0]}://{_netloc(facts)}"


FIELDS: Final[dict[str, Field]] = {
    "uuid": Field("string", False, attrgetter("uuid"), "CallKit's UUID of this ring"),
    "cid": Field("string", False, attrgetter("cid"), "type:id of the call"),
    "session_id": Field(
        "string", False, attrgetter("session_id"), "id of this session of the call"
    ),
    "caller_id": Field("string", False, attrgetter("caller_id"), "user id of the caller"),
    "caller_name": Field("string", True, lambda f: f.caller_name or None, "the caller's name"),
    "caller_label": Field("string", False, _caller_label, "the caller's name, else the id"),
    "caller_avatar": Field("string", True, lambda f: f.caller_avatar or None, "a picture's URL"),
    "caller_number": Field(
        "integer", False, lambda f: number_of(f.caller_id), "the caller's id as a positive integer"
    ),
    "caller_handle": Field("object", True, _handle, "the caller's handle: `kind` and `value`"),
    "caller_handle_json": Field("string", True, _handle_json, "the handle as JSON in a string"),
    "handle_label": Field("string", False, _handle_label, "the handle's value, else the id"),
    "handle_type": Field("string", False, _handle_type, "`number`, `email` or `generic`"),
    "caller_phone": Field(
        "string", True, _handle_of(HandleKind.PHONE), "the handle, if it is a phone number"
    ),
    "caller_email": Field(
        "string", True, _handle_of(HandleKind.EMAIL), "the handle, if it is a mail address"
    ),
    "display_name": Field("string", True, lambda f: f.display_name or None, "the call's title"),
    "call_label": Field("string", False, _call_label, "the title, else the caller's name or id"),
    "receiver_id": Field("string", False, attrgetter("receiver_id"), "user id of who is rung"),
    "user_ids": Field(
        "string", False, lambda f: ",".join(who_is_calling(f)), "who is calling, comma-joined"
    ),
    "user_id_list": Field(
        "array", False, lambda f: list(who_is_calling(f)), "who is calling, as an array"
    ),
    "opponent_numbers": Field(
        "string", False, _opponent_numbers, "the others' ids as integers, comma-joined"
    ),
    "video": Field("boolean", False, attrgetter("video"), "whether it is a video call"),
    "video_string": Field(
        "string", False, lambda f: "true" if f.video else "false", "the same, as a string"
    ),
    "video_number": Field("integer", False, lambda f: 1 if f.video else 0, "the same, as 1 or 0"),
    "video_type": Field(
        "integer", False, lambda f: 1 if f.video else 2, "1 video, 2 audio (connectycube)"
    ),
    "sent_at": Field("integer", False, attrgetter("sent_at_ms"), "Unix milliseconds"),
    "sent_at_string": Field("string", False, lambda f: str(f.sent_at_ms), "the same, as a string"),
    "sent_at_iso": Field("string", False, lambda f: rfc3339(f.sent_at_ms), "RFC 3339, UTC"),
    "expires_at": Field("integer", False, attrgetter("expires_at_ms"), "Unix milliseconds"),
    "expires_at_string": Field(
        "string", False, lambda f: str(f.expires_at_ms), "the same, as a string"
    ),
    "expires_at_iso": Field("string", False, lambda f: rfc3339(f.expires_at_ms), "RFC 3339, UTC"),
    "state_url": Field("string", False, attrgetter("state_url"), "where the call's state is read"),
    "server_url": Field("string", False, _origin, "scheme and host of state_url"),
    "server_name": Field("string", False, _netloc, "host (and port) of state_url"),
    "custom": Field("object", True, _custom, "the call's custom data"),
    "custom_json": Field("string", True, _custom_json, "the custom data as JSON in a string"),
    "callkit_reason": Field(
        "integer", True, attrgetter("callkit_reason"), "CXCallEndedReason, in a stop only"
    ),
    "callkit_reason_string": Field("string", True, _reason_string, "the same, as a string"),
    "badge": Field(
        "integer", True, attrgetter("badge"), "unseen missed calls, of a missed call only"
    ),
    "traceparent": Field(
        "string",
        True,
        attrgetter("traceparent"),
        "the context of the call's trace, if it is traced",
    ),
}

# Not a fact of the ring but of the device: spliced in at send time.
TOKEN_FIELD: Final = "token"  # noqa: S105 - the name of a placeholder

OF_MEMBER: Final = frozenset({"uuid", "receiver_id", "opponent_numbers"})
"""Fields that differ between members of a call of whom none is who calls or has joined."""
