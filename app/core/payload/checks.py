"""What a client library would do with a payload: for `ringline payload preview` and the lab.

Each rule is a place in the payload, what must be there, and what becomes of an app where it is not.
They are the libraries' own (their iOS code, as listed in the docs of the payload profiles).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

from app.core.frozen import frozen
from app.core.payload.facts import PROFILES, VOIP_LIMIT, PayloadError

Outcome = Literal["refused", "crash", "killed", "wrong"]
"""refused by Apple; the app crashes; nothing is reported to CallKit and iOS kills the app (a
non-UUID is one way: the phone never rings); it rings, but something shown or done is wrong."""

_SENTENCES: Final[dict[Outcome, str]] = {
    "refused": "Apple would refuse this push",
    "crash": "this library would crash",
    "killed": "this library would report no call, and iOS would kill the app",
    "wrong": "this would ring, but not rightly",
}
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_ABSENT: Final = object()


@frozen
class Problem:
    """One fault: what it leads to, where (a slash path), and a sentence to show."""

    outcome: Outcome
    path: str
    sentence: str


@frozen
class _Rule:
    path: str
    wanted: str
    holds: Callable[[Any], bool]
    outcome: Outcome
    required: bool = True


def problems(profile: str, payload: bytes | str | Mapping[str, Any]) -> list[Problem]:
    """Every fault of a VoIP ring payload for a profile; an empty list says it would ring.

    Raises PayloadError for an unknown profile only: bad payloads are what it is for.
    """
    if profile not in PROFILES:
        raise PayloadError(f"there is no payload profile {profile!r}")
    if isinstance(payload, Mapping):
        body: Any = payload
        size = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
    else:
        raw = payload.encode("utf-8", "replace") if isinstance(payload, str) else payload
        size = len(raw)
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError) as error:
            return [_problem("refused", "", f"it is not JSON ({error})")]
    if not isinstance(body, Mapping):
        return [_problem("refused", "", "it is not a JSON object")]
    found = list(_size_problem(size))
    for rule in _RULES[profile]:
        found.extend(_broken(rule, body))
    return found


def _size_problem(size: int) -> Iterator[Problem]:
    if size > VOIP_LIMIT:
        yield _problem("refused", "", f"it has {size} bytes; {VOIP_LIMIT} is the most")


def _broken(rule: _Rule, body: Mapping[str, Any]) -> Iterator[Problem]:
    value = _at(body, rule.path)
    if value is _ABSENT:
        if rule.required and rule.wanted != "absent":
            yield _problem(rule.outcome, rule.path, f"`{_shown(rule.path)}` is missing")
        return
    if rule.wanted == "absent":
        yield _problem(rule.outcome, rule.path, f"there is an `{_shown(rule.path)}` key")
    elif value is None and not rule.required:
        return
    elif not rule.holds(value):
        sentence = f"`{_shown(rule.path)}` is {_kind(value)}, not {rule.wanted}"
        yield _problem(rule.outcome, rule.path, sentence)


def _at(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for key in path.strip("/").split("/"):
        if not isinstance(value, Mapping) or key not in value:
            return _ABSENT
        value = value[key]
    return value


def _problem(outcome: Outcome, path: str, what: str) -> Problem:
    return Problem(outcome, path, f"{_SENTENCES[outcome]}: {what}")


def _shown(path: str) -> str:
    return path.strip("/").replace("/", ".")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"the string {value[:40]!r}" if value else "an empty string"
    return "an array" if isinstance(value, list) else "an object"


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _filled(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _uuid(value: Any) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _truth_text(value: Any) -> bool:
    return value in ("true", "false") and isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _time(value: Any) -> bool:
    return isinstance(value, str) and _RFC3339.fullmatch(value) is not None


def _cid(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[^:]+:[^:]+", value) is not None


def _integers(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d+(,-?\d+)*", value) is not None


def _map_of_strings(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        inner = json.loads(value)
    except ValueError:
        return False
    return isinstance(inner, dict) and all(isinstance(item, str) for item in inner.values())


def _exactly(text: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value == text


_OUR_RING: Final = (
    _Rule("/ring/uuid", "a UUID", _uuid, "killed"),
    _Rule("/ring/cid", "type:id", _cid, "wrong"),
    _Rule("/ring/session_id", "a string", _filled, "wrong"),
    _Rule("/ring/caller/id", "a string", _filled, "wrong"),
    _Rule("/ring/caller/name", "a string", _text, "wrong", required=False),
    _Rule("/ring/video", "a boolean", _boolean, "wrong"),
    _Rule("/ring/sent_at", "an integer", _integer, "wrong"),
    _Rule("/ring/expires_at", "an integer", _integer, "wrong"),
    _Rule("/ring/state_url", "a string", _filled, "wrong"),
    _Rule("/ring/token", "a string", _filled, "wrong"),
)
_NO_UUID: Final = "a UUID"

_RULES: Final[dict[str, tuple[_Rule, ...]]] = {
    "ringline": (
        _Rule("/aps/alert/call_cid", "type:id", _cid, "wrong"),
        _Rule("/aps/alert/user_ids", "a string", _filled, "wrong"),
        *_OUR_RING,
    ),
    "stream": (
        _Rule("/stream/call_cid", "type:id", _cid, "killed"),
        _Rule("/stream/created_by_display_name", "a string", _text, "killed"),
        _Rule("/stream/created_by_id", "a string", _text, "wrong"),
        _Rule("/stream/sender", "stream.video", _exactly("stream.video"), "wrong"),
        _Rule("/stream/type", "call.ring", _exactly("call.ring"), "wrong"),
        # React Native sends the value isEqualToString:, which only a string answers.
        _Rule("/stream/video", 'the string "true" or "false"', _truth_text, "crash", False),
    ),
    "flutter_callkit_incoming": (
        _Rule("/id", _NO_UUID, _uuid, "killed"),
        _Rule("/nameCaller", "a string", _text, "wrong", required=False),
        _Rule("/handle", "a string", _text, "wrong", required=False),
        _Rule("/isVideo", "a boolean", _boolean, "wrong", required=False),
    ),
    "rn_callkeep": (
        _Rule("/uuid", _NO_UUID, _uuid, "killed"),
        _Rule("/callerName", "a string", _text, "wrong", required=False),
        _Rule("/handle", "a string", _text, "wrong", required=False),
    ),
    "connectycube": (
        _Rule("/signal_type", "startCall", _exactly("startCall"), "wrong"),
        _Rule("/session_id", _NO_UUID, _uuid, "crash"),
        _Rule("/call_type", "an integer", _integer, "crash"),
        _Rule("/caller_id", "an integer", _integer, "crash"),
        _Rule("/caller_name", "a string", _text, "crash"),
        _Rule("/call_opponents", "integers joined by commas", _integers, "crash"),
        _Rule("/user_info", "JSON of a map of strings", _map_of_strings, "crash", False),
    ),
    "flutter_webrtc_callkeep": (
        _Rule("/aps", "absent", _object, "killed"),
        _Rule("/caller_id", "a string", _text, "crash"),
        _Rule("/uuid", _NO_UUID, _uuid, "wrong", required=False),
        _Rule("/caller_name", "a string", _text, "wrong", required=False),
        _Rule("/has_video", "a boolean", _boolean, "wrong", required=False),
    ),
    "expo_callkit_telecom": (
        _Rule("/incoming_call", "an object", _object, "killed"),
        _Rule("/incoming_call/eventId", _NO_UUID, _uuid, "killed"),
        _Rule("/incoming_call/serverCallId", "a string", _filled, "killed"),
        _Rule("/incoming_call/caller/id", "a string", _filled, "killed"),
        _Rule("/incoming_call/hasVideo", "a boolean", _boolean, "wrong", required=False),
        _Rule("/incoming_call/startedAt", "an RFC 3339 time", _time, "wrong", required=False),
        _Rule("/incoming_call/metadata", "an object", _object, "wrong", required=False),
    ),
    "rocketchat": (
        _Rule("/notificationType", "voip", _exactly("voip"), "killed"),
        _Rule("/type", "incoming_call", _exactly("incoming_call"), "killed"),
        _Rule("/callId", _NO_UUID, _uuid, "killed"),
        _Rule("/caller/name", "a string", _filled, "killed"),
        _Rule("/caller/username", "a string", _filled, "killed"),
        _Rule("/host", "a string", _filled, "killed"),
        _Rule("/hostName", "a string", _text, "killed"),
        _Rule("/createdAt", "an RFC 3339 time", _time, "killed"),
    ),
    "custom": (),
}
