"""A call's timeline drawn as lanes: caller, Ringline, push services, phones; time runs downwards.

What happened is what `events.timeline` says; here it gets a place, and words that fit an arrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app import senders
from app.calls.history import History
from app.calls.timeline import Line, lines
from app.core.push import TOKEN_KINDS
from app.core.text import isolated
from app.dashboard import words
from app.infra.db import Row
from app.infra.sender import Service

CALLER, RINGLINE = "caller", "ringline"
MOST_PHONES = 10
MOST_STEPS = 120
LONGEST = 30
"""Characters of what stands on an arrow."""
GUTTER, LANE, ROW, TOP = 66, 148, 42, 62


@dataclass(frozen=True, slots=True)
class Step:
    """Something that went from one lane to another, or happened on one (`to` is None)."""

    at: datetime
    source: str
    to: str | None
    says: str
    kind: str = "plain"


@dataclass(slots=True)
class Lanes:
    """Who is in the picture: (key, name, below the name)."""

    lanes: list[tuple[str, str, str]] = field(default_factory=list)
    left_out: int = 0

    def index(self, key: str | None) -> int | None:
        for n, lane in enumerate(self.lanes):
            if lane[0] == key:
                return n
        return None

    def name(self, key: str | None) -> str:
        n = self.index(key)
        return "" if n is None else self.lanes[n][1]


def lanes_of(story: History) -> Lanes:
    """The lanes of a call, its phones in order of their first push."""
    call = story.call
    found = Lanes([(CALLER, call.caller.name or call.caller_id, "caller"),
                   (RINGLINE, "Ringline", "this server")])  # fmt: skip
    used = {_service(push).name for push in story.pushes} or {senders.SERVICES[0].name}
    found.lanes += [(s.name, s.title, s.label) for s in senders.SERVICES if s.name in used]
    seen = set()
    for push in story.pushes:
        if push["device_row"] in seen:
            continue
        seen.add(push["device_row"])
        if len(seen) > MOST_PHONES:
            found.left_out += 1
            continue
        name = push["device_name"] or f"phone …{push['ending']}"
        found.lanes.append((str(push["device_row"]), name, push["user_id"]))
    return found


def steps_of(story: History) -> list[Step]:
    """A step for each line of the call's timeline that has something to draw."""
    pushes = {str(push["id"]): push for push in story.pushes}
    steps: list[Step | None] = []
    holds: dict[str | None, str | None] = {}
    for line in lines(story):
        if line.kind in {"ring.settled", "member.joined"}:
            holds[line.user_id] = line.device_id
        if "push" in line.data:
            steps.append(_of_push(line, pushes[line.data["push"]]))
        else:
            device = line.device_id or holds.get(line.user_id)
            steps.append(_of_event(line, _lane_of(line.user_id, device, story)))
    return [step for step in steps if step is not None]


def _lane_of(user: str | None, device: str | None, story: History) -> str | None:
    if user == story.call.caller_id:
        return CALLER
    for push in story.pushes:
        if device is not None and (push["user_id"], push["device_id"]) == (user, device):
            return str(push["device_row"])
    return None


def _of_push(line: Line, push: Row) -> Step:
    service = _service(push).name
    what = "push" if push["purpose"] == "ring" else f"{push['purpose']} push"
    name = push["device_name"] or f"…{push['ending']}"
    shown = isolated(name[: LONGEST - len(f"{what} to ")])
    if line.kind.endswith(".sent"):
        return Step(line.at, RINGLINE, service, f"{what} to {shown}")
    if line.kind.endswith(".unsent"):
        return Step(line.at, RINGLINE, None, f"{what} to {shown}: not sent", "warn")
    if 200 <= (line.data["status"] or 0) < 300:
        says = "accepted" if what == "push" else f"{what} accepted"
        return Step(line.at, service, str(push["device_row"]), says, "good")
    says = " ".join(str(one) for one in (line.data["status"], line.data["reason"]) if one)
    return Step(line.at, service, RINGLINE, (says or "no answer")[:34], "bad")


def _service(push: Row) -> Service:
    return senders.serving(TOKEN_KINDS[push["kind"]])


ACTS = {
    "device.delivered": ("the phone has it", "good"),
    "device.unavailable": ("cannot ring", "warn"),
    "device.declined": ("declines here", "warn"),
    "member.joined": ("accepts", "good"),
    "member.declined": ("declines", "warn"),
    "member.busy": ("is busy", "warn"),
    "member.left": ("leaves", "plain"),
    "member.back": ("is back", "good"),
}
NOTES = {
    "member.missed": (": nobody answered in time", "bad"),
    "member.unreachable": (": nothing of theirs can ring", "bad"),
    "member.suppressed": (": not rung, as they wish", "plain"),
    "member.reachable": (": a device has come", "plain"),
    "member.away": (" has gone silent", "warn"),
}


def _of_event(line: Line, lane: str | None) -> Step | None:
    """None for an event that says no more than those beside it, or the pushes, do."""
    user, data = line.user_id, line.data
    if line.kind in ACTS:
        what, tone = ACTS[line.kind]
        if lane is not None:
            return Step(line.at, lane, RINGLINE, what, tone)
        colon = ":" if line.kind.startswith("device.") else ""
        return Step(line.at, RINGLINE, None, f"{user}{colon} {what}", tone)
    if line.kind in NOTES:
        what, tone = NOTES[line.kind]
        return Step(line.at, RINGLINE, None, f"{user}{what}", tone)
    match line.kind:
        case "call.started":
            return Step(line.at, CALLER, RINGLINE, f"ring {_few(data['callees'])}")
        case "member.added":
            return Step(line.at, RINGLINE, None, f"{data['by']} rings {_few(data['user_ids'])} too")
        case "ring.settled" if data["outcome"] == "cancelled":
            return Step(line.at, RINGLINE, None, f"stops {user}'s phones")
        case "call.ended":
            reason = words.CALLS.get(str(data["reason"]), ("plain", "over"))[1].lower()
            return Step(line.at, RINGLINE, None, f"call over: {reason}")
    return None


def _few(users: Sequence[str]) -> str:
    more = f" and {len(users) - 2} more" if len(users) > 2 else ""
    return ", ".join(users[:2]) + more


def drawing(story: History) -> dict[str, Any]:
    """Sizes, lanes and arrows for the template, which only draws them. Lengths are in pixels."""
    lanes, every = lanes_of(story), steps_of(story)
    steps = every[:MOST_STEPS]
    started = story.call.created_at
    centre = [GUTTER + LANE // 2 + n * LANE for n in range(len(lanes.lanes))]
    arrows, before = [], started
    for n, step in enumerate(steps):
        source, to = lanes.index(step.source), lanes.index(step.to)
        since, gap = (step.at - started).total_seconds(), (step.at - before).total_seconds()
        before = step.at
        arrows.append(
            {
                "y": TOP + 26 + n * ROW,
                "x": centre[source if source is not None else 1],
                "to": None if to is None or source is None else centre[to],
                "says": step.says,
                "kind": step.kind,
                "at": "0 ms" if since == 0 else "+" + words.duration(max(0.0, since)),
                "gap": "" if n == 0 else words.duration(max(0.0, gap)),
                "who": lanes.name(step.source),
                "whom": lanes.name(step.to),
            }
        )
    height = TOP + 26 + len(steps) * ROW
    return {
        "width": GUTTER + LANE * len(lanes.lanes) + 40,
        "height": height,
        "lanes": [
            {"x": x, "name": lane[1], "sub": lane[2]}
            for x, lane in zip(centre, lanes.lanes, strict=True)
        ],
        "arrows": arrows,
        "left_out": lanes.left_out,
        "steps": len(every),
    }
