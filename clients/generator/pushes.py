"""Vectors of pushes: what the server sends, late, repeated and crossing, and the right reaction.

The payloads are made by the server's own code, so that a native client is tested against what it
will get. `reactions` is what a screen does that shows each ring once; `native` what an iPhone does,
which must report every VoIP push to CallKit at once and then end it: null, it gets no such push.
"""

import json
from dataclasses import replace
from typing import Any, Final

from app.core.payload import (
    android_ring,
    android_stop,
    ring_payload,
    sample_facts,
    stop_payload,
    voip_stop_payload,
    web_payload,
)

SENT: Final = 1_795_248_000_123
ALICE: Final = sample_facts(SENT)
CAROL: Final = replace(
    ALICE,
    uuid="01a1fd6e-a275-7a11-8e0b-2f48732bce77",
    cid="default:def",
    session_id="01a1fd6e-a275-7b22-804c-7f991b58d0aa",
    caller_id="carol",
    caller_name=None,
    caller_handle=None,
    user_ids=("carol",),
    display_name="Standup",
    video=False,
    state_url="https://ring.example.com/v1/calls/01a1fd6e-a275-7b22-804c-7f991b58d0aa",
)
TOKEN: Final = "rl_ct_of-this-ring-and-device"  # noqa: S105  (of nobody's)
PROFILES: Final = ("stream", "flutter_callkit_incoming", "rn_callkeep", "rocketchat")
ABOUT: Final = (
    "Pushes as the server makes them, in the order in which they come, and what one device does: "
    "[ring, uuid], [stop, uuid, CallKit's reason]. `kind`: voip and background (APNs), fcm (its "
    "data), webpush (its notification's data). `shows`: what is read of the first ring. `native`: "
    "what an iPhone does, which reports every VoIP push and ends what is over, where that differs; "
    "null: not asked of it."
)
Json = dict[str, Any]
_ALICES: Final = ["ring", ALICE.uuid]
_CAROLS: Final = ["ring", CAROL.uuid]


def _push(kind: str, payload: bytes) -> Json:
    return {"kind": kind, "payload": json.loads(payload)}


def _ring(facts: Any = ALICE, profile: str = "ringline") -> Json:
    return _push("voip", ring_payload(profile, facts).for_token(TOKEN))


def _stop(reason: int, facts: Any = ALICE) -> Json:
    return _push("background", stop_payload(facts, reason))


def _voip_stop(reason: int) -> Json:
    return _push("voip", voip_stop_payload("ringline", ALICE, reason))


def _fcm(facts: Any = ALICE, profile: str = "ringline") -> Json:
    return _push("fcm", android_ring(profile, facts).for_token(TOKEN))


def _shows(facts: Any) -> Json:
    return {
        "uuid": facts.uuid, "session_id": facts.session_id, "cid": facts.cid,
        "caller_id": facts.caller_id, "caller_name": facts.caller_name,
        "title": facts.display_name, "video": facts.video,
        "expires_at": "2026-11-21T08:00:45.123Z",
    }  # fmt: skip


def _case(name: str, pushes: list[Json], reactions: list[Any], **more: Any) -> Json:
    return {"name": name, "pushes": pushes, "reactions": reactions, **more}


def _of_apple() -> list[Json]:
    late = {"now": ALICE.expires_at_ms + 1}
    ended = [["stop", ALICE.uuid, 4]]
    return [
        _case("a ring", [_ring()], [_ALICES], shows=_shows(ALICE)),
        _case("a ring of a group, by voice", [_ring(CAROL)], [_CAROLS], shows=_shows(CAROL)),
        *(
            _case(f"a ring for {profile}", [_ring(profile=profile)], [_ALICES], native=None)
            for profile in PROFILES
        ),
        _case("the same ring twice", [_ring(), _ring()], [_ALICES]),
        _case("two calls", [_ring(), _ring(CAROL)], [_ALICES, _CAROLS]),
        _case("answered on another device", [_ring(), _stop(4)], [_ALICES, *ended]),
        _case("a stop that comes twice", [_ring(), _stop(4), _stop(4)], [_ALICES, *ended]),
        _case("a stop before its ring", [_stop(4), _ring()], [], native=[_ALICES, *ended]),
        _case("a ring again after its stop", [_ring(), _stop(4), _ring()], [_ALICES, *ended],
              native=[_ALICES, *ended, _ALICES, *ended]),
        _case("a stop of another ring", [_ring(), _stop(2, CAROL)], [_ALICES]),
        _case("a ring past its deadline", [_ring()], [], **late,
              native=[_ALICES, ["stop", ALICE.uuid, 3]]),
        _case("a stop by VoIP push", [_ring(), _voip_stop(2)], [_ALICES, ["stop", ALICE.uuid, 2]]),
        _case("a stop by VoIP push, its ring never came", [_voip_stop(2)], [],
              native=[_ALICES, ["stop", ALICE.uuid, 2]]),
        _case("a push of somebody else's", [_push("background", b'{"aps": {"badge": 1}}')], []),
    ]  # fmt: skip


def _of_google() -> list[Json]:
    stop = _push("fcm", android_stop(ALICE, 5))
    ended = [["stop", ALICE.uuid, 5]]
    return [
        _case("Android: a ring", [_fcm()], [_ALICES], shows=_shows(ALICE), native=None),
        _case("Android: a ring of a group", [_fcm(CAROL)], [_CAROLS], shows=_shows(CAROL),
              native=None),
        *(
            _case(f"Android: a ring for {one}", [_fcm(profile=one)], [_ALICES], native=None)
            for one in PROFILES[:3]
        ),
        _case("Android: declined elsewhere", [_fcm(), stop], [_ALICES, *ended], native=None),
        _case("Android: a stop before its ring", [stop, _fcm()], [], native=None),
        _case("Android: a message of somebody else's", [_push("fcm", b'{"a": "b"}')], [],
              native=None),
    ]  # fmt: skip


def _web(event: str) -> Json:
    said = json.loads(web_payload(event, None, ALICE).for_token(TOKEN))
    return {"kind": "webpush", "payload": said["notification"]["data"]}


def _of_browsers() -> list[Json]:
    missed = [_ALICES, ["stop", ALICE.uuid, 3]]
    return [
        _case("A browser: a ring that is missed", [_web("ring"), _web("missed")], missed,
              shows=_shows(ALICE), native=None),
        _case("A browser: a call that does not ring", [_web("notify")], [], native=None),
    ]  # fmt: skip


def vectors() -> str:
    """The file: a case a line."""
    cases = [{"now": SENT + 1_000, **one} for one in (*_of_apple(), *_of_google(), *_of_browsers())]
    lines = ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in cases)
    return f'{{"about": {json.dumps(ABOUT)}, "cases": [\n{lines}\n]}}\n'
