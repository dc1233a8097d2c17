"""What each client library does with a VoIP push, read from the libraries' own iOS code.

`parse(profile, payload)` plays the library: it reads the keys that the library reads, as strictly
and as carelessly, and says in a sentence what came of it. Nothing here knows how a payload was
made. Keys that a library does not read are not looked at, wrong or not.

    reported            the library calls reportNewIncomingCall: the phone rings
    crash               the library traps on the way there
    never_rings         it calls CallKit with something that CallKit cannot take
    killed_by_watchdog  it reports nothing, so iOS kills the app about 7 s later
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import NAMESPACE_URL, uuid4, uuid5

from devkit.phone.ours import our_ring
from devkit.phone.swift import (
    UUID_TEXT,
    Body,
    Failure,
    forced,
    mapping,
    needs_uuid,
    parsed,
    strict_object,
    string,
)
from devkit.phone.verdict import OurRing, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class _Shown:
    uuid: str
    caller: str
    handle: str
    video: bool
    notes: tuple[str, ...] = ()


def parse(profile: str, payload: bytes) -> Verdict:
    """Play the library of `profile` at a VoIP push. Raises KeyError for an unknown profile."""
    library = _LIBRARIES[profile]
    body = parsed(payload)
    if body is None:
        # Apple refuses such a push, so no phone gets one; the model says what would happen.
        return Verdict(profile, Outcome.KILLED, "The payload is not a JSON object.")
    ring = our_ring(profile, body)
    try:
        shown = library(body, ring)
    except Failure as failure:
        return Verdict(profile, failure.outcome, str(failure), ring=ring)
    return Verdict(
        profile,
        Outcome.REPORTED,
        f"Reported to CallKit as {shown.caller}.",
        uuid=shown.uuid.lower(),
        caller=shown.caller,
        handle=shown.handle,
        video=shown.video,
        ring=ring,
        notes=shown.notes,
    )


def _ringline(body: Body, ring: OurRing) -> _Shown:
    cid = string(mapping(mapping(body, "aps"), "alert"), "call_cid")
    if cid is None or cid.count(":") != 1:
        raise Failure(Outcome.KILLED, "`aps.alert.call_cid` is not type:id, so nothing is shown.")
    uuid = needs_uuid(ring.uuid, "ring.uuid", Outcome.NEVER_RINGS)
    ids = (string(mapping(mapping(body, "aps"), "alert"), "user_ids") or "").split(",")
    caller = mapping(mapping(body, "ring"), "caller")
    title = string(mapping(body, "ring"), "title")
    name = title or string(caller, "name") or ids[0] or "Unknown"
    handle = string(mapping(caller, "handle"), "value") or ids[0]
    video = mapping(body, "ring").get("video")
    return _Shown(uuid, name, handle, video is True)


def _stream(body: Body, ring: OurRing) -> _Shown:
    stream = mapping(body, "stream")
    cid, name = string(stream, "call_cid"), string(stream, "created_by_display_name")
    if cid is None:
        raise Failure(Outcome.KILLED, "`stream.call_cid` is missing: React Native returns early.")
    if name is None:
        raise Failure(
            Outcome.KILLED, "`stream.created_by_display_name` is missing: nothing is reported."
        )
    video = stream.get("video", "false")
    if not isinstance(video, str):
        raise Failure(
            Outcome.CRASH,
            "`stream.video` is not a string: React Native sends it isEqualToString: and dies.",
        )
    title = string(stream, "call_display_name") or name
    # The library makes a UUID of its own; an app of Ringline's takes the ring's where there is one.
    uuid = (
        ring.uuid
        if ring.uuid and UUID_TEXT.fullmatch(ring.uuid)
        else str(uuid5(NAMESPACE_URL, cid))
    )
    return _Shown(uuid, title, string(stream, "created_by_id") or name, video == "true")


def _flutter_callkit_incoming(body: Body, _ring: OurRing) -> _Shown:
    uuid = needs_uuid(string(body, "id"), "id", Outcome.KILLED)
    video = body.get("isVideo", False)
    notes: tuple[str, ...] = ()
    if not isinstance(video, bool):
        notes = ("`isVideo` is not a JSON boolean: a video call is shown as a voice call.",)
        video = False
    caller = string(body, "nameCaller") or ""
    return _Shown(uuid, caller, string(body, "handle") or "", video, notes)


def _rn_callkeep(body: Body, _ring: OurRing) -> _Shown:
    uuid = needs_uuid(string(body, "uuid"), "uuid", Outcome.NEVER_RINGS)
    caller = string(body, "callerName")
    handle = string(body, "handle") or ""
    if caller:
        return _Shown(uuid, caller, handle, False)
    return _Shown(uuid, "(null)", handle, False, ("`callerName` is missing: it says (null).",))


def _connectycube(body: Body, _ring: OurRing) -> _Shown:
    session = forced(body, "session_id", str, "a string")
    call_type = forced(body, "call_type", int, "an integer")
    caller_id = forced(body, "caller_id", int, "an integer")
    caller = forced(body, "caller_name", str, "a string")
    opponents = forced(body, "call_opponents", str, "a string")
    if not all(piece.lstrip("-").isdigit() for piece in opponents.split(",")):
        raise Failure(
            Outcome.CRASH, "`call_opponents` is not integers joined by commas: int.parse throws."
        )
    info = body.get("user_info")
    if info is not None and not all(isinstance(v, str) for v in strict_object(info).values()):
        raise Failure(
            Outcome.CRASH,
            "`user_info` holds a value that is no string: Map<String, String> throws.",
        )
    uuid = needs_uuid(session, "session_id", Outcome.CRASH)
    notes: tuple[str, ...] = ()
    if body.get("signal_type") != "startCall":
        notes = ('`signal_type` is not "startCall": its iOS code rings all the same.',)
    return _Shown(uuid, caller, str(caller_id), call_type == 1, notes)


def _flutter_webrtc_callkeep(body: Body, _ring: OurRing) -> _Shown:
    if "aps" in body:
        raise Failure(
            Outcome.KILLED, "There is an `aps` key: the plugin takes it for a plain notification."
        )
    handle = string(body, "caller_id")
    if handle is None:
        raise Failure(Outcome.CRASH, "`caller_id` is nil, and the plugin puts it in a dictionary.")
    uuid = string(body, "uuid")
    if uuid is None or not UUID_TEXT.fullmatch(uuid):
        # It makes one of its own then: each copy of the push rings anew.
        uuid = str(uuid4())
    return _Shown(
        uuid, string(body, "caller_name") or handle, handle, body.get("has_video") is True
    )


def _expo_callkit_telecom(body: Body, _ring: OurRing) -> _Shown:
    event = body.get("incoming_call")
    if not isinstance(event, dict):
        told = " (`incomingCall` is there, as its docs have it)" if "incomingCall" in body else ""
        raise Failure(Outcome.KILLED, f"`incoming_call` is missing{told}: nothing is parsed.")
    for key in ("eventId", "serverCallId"):
        if not string(event, key):
            raise Failure(Outcome.KILLED, f"`incoming_call.{key}` is missing: nothing is parsed.")
    caller = mapping(event, "caller")
    caller_id = string(caller, "id")
    if not caller_id:
        raise Failure(Outcome.KILLED, "`incoming_call.caller.id` is missing: nothing is parsed.")
    uuid = needs_uuid(string(event, "eventId"), "incoming_call.eventId", Outcome.KILLED)
    name = string(caller, "displayName") or caller_id
    return _Shown(uuid, name, caller_id, event.get("hasVideo") is True)


def _rocketchat(body: Body, _ring: OurRing) -> _Shown:
    if body.get("notificationType") != "voip":
        raise Failure(Outcome.KILLED, '`notificationType` is not "voip": the push is ignored.')
    if body.get("type") != "incoming_call":
        raise Failure(Outcome.KILLED, '`type` is not "incoming_call": the push is ignored.')
    uuid = needs_uuid(string(body, "callId"), "callId", Outcome.KILLED)
    caller = mapping(body, "caller")
    wanted = {
        "caller.name": string(caller, "name"),
        "caller.username": string(caller, "username"),
        "host": string(body, "host"),
        "createdAt": string(body, "createdAt"),
    }
    for key, value in wanted.items():
        if not value:
            raise Failure(Outcome.KILLED, f"`{key}` is missing: nothing is parsed.")
    return _Shown(uuid, wanted["caller.name"] or "", wanted["caller.username"] or "", False)


def _custom(body: Body, ring: OurRing) -> _Shown:
    """The tenant's own app: all that is known is that it needs a UUID from somewhere."""
    places = [ring.uuid, *(value for value in body.values() if isinstance(value, str))]
    uuid = next((value for value in places if value and UUID_TEXT.fullmatch(value)), None)
    return _Shown(
        needs_uuid(uuid, "uuid", Outcome.NEVER_RINGS), ring.caller_id or "Unknown", "", False
    )


_LIBRARIES: Final[dict[str, Callable[[Body, OurRing], _Shown]]] = {
    "ringline": _ringline,
    "stream": _stream,
    "flutter_callkit_incoming": _flutter_callkit_incoming,
    "rn_callkeep": _rn_callkeep,
    "connectycube": _connectycube,
    "flutter_webrtc_callkeep": _flutter_webrtc_callkeep,
    "expo_callkit_telecom": _expo_callkit_telecom,
    "rocketchat": _rocketchat,
    "custom": _custom,
}
PROFILES: Final = tuple(_LIBRARIES)
