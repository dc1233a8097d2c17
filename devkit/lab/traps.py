"""The traps of the client libraries: the profiles' own payloads with one thing wrong, as templates
that a tenant might really have saved.

Sources: the libraries' own iOS code, as listed in the phones' document. What becomes of an app is
said by the phone model when it is asked; nothing here says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.core.payload.profiles import RING, RING_FLAT, STREAM, shapes


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
_GOOD: Final = shapes(_RING, _without(RING_FLAT, "ring_custom"))
_ALERT: Final = _GOOD["ringline"]["aps"]["alert"]

_ALL: Final = (
    Trap(
        "ringline",
        "cid_without_type",
        "`cid` has no type before the colon",
        _GOOD["ringline"] | {"aps": {"alert": _ALERT | {"call_cid": "{{session_id}}"}}},
    ),
    Trap(
        "ringline",
        "ring_uuid_is_no_uuid",
        "`ring.uuid` is the call's cid instead of a UUID",
        _GOOD["ringline"] | {"ring": _RING | {"uuid": "{{cid}}"}, "id": "{{uuid}}"},
    ),
    Trap(
        "stream",
        "video_is_a_boolean",
        "`video` is a JSON boolean instead of a string",
        _GOOD["stream"] | {"stream": STREAM | {"video": "{{video}}"}},
    ),
    Trap(
        "stream",
        "no_cid",
        "`stream.call_cid` is missing",
        _GOOD["stream"] | {"stream": _without(STREAM, "call_cid")},
    ),
    Trap(
        "flutter_callkit_incoming",
        "id_is_no_uuid",
        "`id` is the call's cid instead of a UUID",
        _GOOD["flutter_callkit_incoming"] | {"id": "{{cid}}"},
    ),
    Trap(
        "flutter_callkit_incoming",
        "is_video_is_a_string",
        "`isVideo` is a string instead of a JSON boolean",
        _GOOD["flutter_callkit_incoming"] | {"isVideo": "{{video_string}}"},
    ),
    Trap(
        "rn_callkeep",
        "uuid_is_no_uuid",
        "`uuid` is the call's cid instead of a UUID",
        _GOOD["rn_callkeep"] | {"uuid": "{{cid}}"},
    ),
    Trap(
        "connectycube",
        "caller_id_is_a_string",
        "`caller_id` is a string instead of a number",
        _GOOD["connectycube"] | {"caller_id": "{{caller_id}}"},
    ),
    Trap(
        "connectycube",
        "opponents_are_no_numbers",
        "`call_opponents` holds user ids instead of numbers",
        _GOOD["connectycube"] | {"call_opponents": "{{receiver_id}}"},
    ),
    Trap(
        "flutter_webrtc_callkeep",
        "has_an_aps_key",
        "there is an `aps` key",
        {"aps": {"alert": _ALERT}} | _GOOD["flutter_webrtc_callkeep"],
    ),
    Trap(
        "flutter_webrtc_callkeep",
        "no_caller_id",
        "`caller_id` is missing",
        _without(_GOOD["flutter_webrtc_callkeep"], "caller_id"),
    ),
    Trap(
        "expo_callkit_telecom",
        "incoming_call_as_in_its_docs",
        "`incomingCall`, as its docs have it, instead of `incoming_call`",
        {"incomingCall": _GOOD["expo_callkit_telecom"]["incoming_call"]},
    ),
    Trap(
        "rocketchat",
        "no_notification_type",
        "`notificationType` is missing",
        _without(_GOOD["rocketchat"], "notificationType"),
    ),
)

TRAPS: Final[dict[str, Trap]] = {f"{trap.profile}.{trap.name}": trap for trap in _ALL}
