"""What a payload is made from, what making one gives, and the limits that hold for all of them."""

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from app.core.frozen import frozen
from app.core.person import Handle

if TYPE_CHECKING:
    from app.core.payload.template import Template

Profile = Literal[
    "ringline",
    "stream",
    "flutter_callkit_incoming",
    "rn_callkeep",
    "connectycube",
    "flutter_webrtc_callkeep",
    "expo_callkit_telecom",
    "rocketchat",
    "custom",
]
PROFILES: Final[tuple[str, ...]] = get_args(Profile)
DEFAULT_PROFILE: Final = "ringline"

# "Sending notification requests to APNs": 5 KB for VoIP, 4 KB for all others, in bytes of UTF-8.
VOIP_LIMIT: Final = 5_120
OTHER_LIMIT: Final = 4_096

# Bytes kept free for the call token. It differs per device while the rest of the payload is
# made once per ring, so its room has to be known before the token is.
TOKEN_ROOM: Final = 512

# CXCallEndedReason: failed, remote ended, unanswered, answered elsewhere, declined elsewhere.
CALLKIT_REASONS: Final = (1, 2, 3, 4, 5)


class PayloadError(ValueError):
    """A payload that cannot be made: unknown profile, bad template, or nothing left to cut."""


@frozen
class RingFacts:
    """One ring of one member, as the phone is to be told.

    Times are Unix time in milliseconds, of the database's clock. `user_ids` is who is calling:
    the caller first, then who has joined; a recipient or a repeat in it is left out here again,
    since a phone that reads itself as its caller is a fault that nobody notices in a test.
    `custom` is the tenant's own JSON object; `display_name` a title of the call (a group's name).
    `badge`: how many missed calls the receiver has not seen, where that is said. `traceparent`: the
    context of the call's trace (W3C), while traces are on.
    """

    uuid: str
    cid: str
    session_id: str
    caller_id: str
    receiver_id: str
    video: bool
    sent_at_ms: int
    expires_at_ms: int
    state_url: str
    caller_name: str | None = None
    caller_avatar: str | None = None
    caller_handle: Handle | None = None
    display_name: str | None = None
    user_ids: tuple[str, ...] = ()
    custom: Mapping[str, Any] | None = None
    callkit_reason: int | None = field(default=None)
    badge: int | None = None
    traceparent: str | None = None


@frozen
class Prepared:
    """A payload serialised once for a ring; each device's call token is spliced in.

    `parts` are the bytes before, between and after the places of the token. `trimmed` names
    what had to go for the size: `traceparent`, `user_ids`, `caller_avatar`, `names`, `custom`,
    `caller_handle`, `title`. `source`: the template that it was made by, and the most bytes.
    """

    parts: tuple[bytes, ...]
    token_room: int
    trimmed: tuple[str, ...] = ()
    source: tuple["Template", int] | None = None

    @property
    def carries_token(self) -> bool:
        """Whether the payload has a place for the call token (a custom template may have none)."""
        return len(self.parts) > 1

    def for_token(self, call_token: str) -> bytes:
        """The payload of one device.

        The token must be of characters that JSON does not escape, or concatenation would not
        be serialisation; it must fit the room that was kept for it. Raises PayloadError.
        """
        if len(call_token) > self.token_room:
            raise PayloadError(f"call token has {len(call_token)} bytes, room is {self.token_room}")
        token = call_token.encode("ascii", "replace")
        if token.translate(None, _SAFE_IN_JSON):
            raise PayloadError("call token may hold letters, digits and -._~+/=: only")
        return token.join(self.parts)


_SAFE_IN_JSON: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=:"
