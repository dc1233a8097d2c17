"""A call of the lab as the page tells it: its state, the moments on each phone, and who was first.

Pure: what is known goes in, JSON comes out. Times are milliseconds since the call was asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from devkit.lab.phone_view import Handset
from devkit.lab.timestamps import Mark


@dataclass(slots=True)
class Followed:
    """A call that the lab asked for; `body` is how the API last read."""

    id: str
    asked_ns: int
    callees: tuple[str, ...]
    body: dict[str, Any] = field(default_factory=dict)
    ended_ns: int | None = None

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return bool(self.body.get("state") == "ended")


def call_view(call: Followed, handsets: Iterable[Handset]) -> dict[str, Any]:
    """A call with the moments of its rings, in order."""
    body = call.body
    return {
        "id": call.id,
        "cid": body["cid"],
        "state": body["state"],
        "reason": body["reason"],
        "callees": list(call.callees),
        "caller": body["caller"],
        "video": body["video"],
        "asked_ms": round(call.asked_ns / 1e6, 3),
        "ended_ms": None if call.ended_ns is None else round(call.ended_ns / 1e6, 3),
        "members": [_member(one) for one in body["members"]],
        "times": times(call, handsets),
    }


def times(call: Followed, handsets: Iterable[Handset]) -> list[dict[str, Any]]:
    """`{phone, what, ms, reason}` of each moment. `answered` is the tap of who got the call."""
    found = []
    for handset in handsets:
        marks = _marks(call, handset)
        for mark in marks:
            one = {"phone": handset.id, "what": mark.what, "ms": _since(call, mark)}
            found.append(one | ({} if mark.reason is None else {"reason": mark.reason}))
        if (tap := _answer(marks)) is not None:
            found.append({"phone": handset.id, "what": "answered", "ms": _since(call, tap)})
    return sorted(found, key=lambda one: one["ms"])


def race_of(call: Followed, handsets: Iterable[Handset]) -> dict[str, Any] | None:
    """Who had the call first, and how long after that tap each other phone of the same user
    stopped; None when nobody has answered."""
    phones = {handset.id: (handset, _marks(call, handset)) for handset in handsets}
    taps = {name: tap for name, (_, marks) in phones.items() if (tap := _answer(marks))}
    if not taps:
        return None
    winner = min(taps, key=lambda name: taps[name].at_ns)
    user, tap = phones[winner][0].user, taps[winner]
    stopped: list[dict[str, Any]] = []
    ringing: list[str] = []
    for name, (handset, marks) in phones.items():
        if name == winner or handset.user != user or not _has(marks, "ringing"):
            continue
        stop = next((mark for mark in marks if mark.what == "stopped"), None)
        if stop is None:
            ringing.append(name)
        elif stop.at_ns >= tap.at_ns:
            ms = round((stop.at_ns - tap.at_ns) / 1e6, 3)
            tapped = _has(marks, "tapped")
            stopped.append(
                {"phone": name, "reason": stop.reason, "ms_after_answer": ms, "tapped_too": tapped}
            )
    stopped.sort(key=lambda one: one["ms_after_answer"])
    return {"session_id": call.id, "winner": winner, "stopped": stopped, "ringing": ringing}


def _marks(call: Followed, handset: Handset) -> list[Mark]:
    for member in call.body["members"]:
        if member["user_id"] == handset.user and member["ring"] is not None:
            return handset.marks.of(member["ring"]["uuid"])
    return []


def _answer(marks: list[Mark]) -> Mark | None:
    """The tap that got the call, if this phone did."""
    if not _has(marks, "accepted"):
        return None
    return next((mark for mark in marks if mark.what == "tapped"), None)


def _has(marks: list[Mark], what: str) -> bool:
    return any(mark.what == what for mark in marks)


def _since(call: Followed, mark: Mark) -> float:
    return round((mark.at_ns - call.asked_ns) / 1e6, 3)


def _member(member: dict[str, Any]) -> dict[str, Any]:
    ring = member["ring"]
    deadline = None if ring is None else datetime.fromisoformat(ring["expires_at"])
    return {
        "user_id": member["user_id"],
        "role": member["role"],
        "state": member["state"],
        "device_id": member["device_id"],
        "ring": None if ring is None else ring["state"],
        "receipt": None if ring is None else ring["receipt"],
        "devices": 0 if ring is None else ring["devices"],
        "ring_ends_ms": None if deadline is None else round(deadline.timestamp() * 1000, 3),
        "callkit_reason": None if ring is None else ring["callkit_reason"],
    }
