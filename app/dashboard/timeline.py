"""The story of one call as lanes: caller, Ringline, Apple, each phone; time runs downwards.

Made of rows that are there anyway: the call, its rings, pushes, every attempt, and events.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.dashboard import words

CALLER, RINGLINE, APPLE = "caller", "ringline", "apple"
MOST_PHONES = 10
MOST_STEPS = 120
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


def lanes_of(story: dict[str, Any]) -> Lanes:
    """The lanes of a call, its phones in order of their first push."""
    call = story["call"]
    found = Lanes([(CALLER, call["caller_name"] or call["caller_id"], "caller"),
                   (RINGLINE, "Ringline", "this server"), (APPLE, "Apple", "APNs")])  # fmt: skip
    seen = set()
    for push in story["pushes"]:
        if push["device_row"] in seen:
            continue
        seen.add(push["device_row"])
        if len(seen) > MOST_PHONES:
            found.left_out += 1
            continue
        name = push["device_name"] or f"phone …{push['ending']}"
        found.lanes.append((str(push["device_row"]), name, push["user_id"]))
    return found


def steps_of(story: dict[str, Any]) -> list[Step]:
    """Every step, in order of time."""
    call = story["call"]
    callees = [ring["user_id"] for ring in story["rings"]]
    shown = ", ".join(callees[:2]) + (f" and {len(callees) - 2} more" if len(callees) > 2 else "")
    steps = [Step(call["created_at"], CALLER, RINGLINE, f"ring {shown}")]
    steps += _pushed(story)
    for event in story["events"]:
        steps += _of_event(event, story)
    steps.sort(key=lambda step: step.at)
    return steps[:MOST_STEPS]


def _pushed(story: dict[str, Any]) -> list[Step]:
    pushes = {push["id"]: push for push in story["pushes"]}
    steps = []
    for attempt in story["attempts"]:
        push = pushes.get(attempt["push_id"])
        if push is None:
            continue
        phone = str(push["device_row"])
        what = "push" if push["purpose"] == "ring" else f"{push['purpose']} push"
        name = push["device_name"] or f"…{push['ending']}"
        steps.append(Step(attempt["started_at"], RINGLINE, APPLE, f"{what} to {name}"[:30]))
        if attempt["status"] == 200:
            steps.append(
                Step(
                    attempt["finished_at"],
                    APPLE,
                    phone,
                    "accepted" if what == "push" else f"{what} accepted",
                    "good",
                )
            )
        else:
            says = " ".join(str(one) for one in (attempt["status"], attempt["reason"]) if one)
            answer = says or "no answer"
            steps.append(Step(attempt["finished_at"], APPLE, RINGLINE, answer[:34], "bad"))
    for push in story["pushes"]:
        phone = str(push["device_row"])
        if push["delivered_at"]:
            steps.append(Step(push["delivered_at"], phone, RINGLINE, "the phone has it", "good"))
        if push["unavailable_at"]:
            steps.append(Step(push["unavailable_at"], phone, RINGLINE, "cannot ring", "warn"))
    return steps


def _of_event(event: dict[str, Any], story: dict[str, Any]) -> list[Step]:
    data, at = event["data"], event["at"]
    user = str(data.get("user_id", ""))
    phone = _phone_of(user, data.get("device_id"), story)
    said: dict[str, tuple[str, str]] = {
        "member.joined": ("accepts", "good"),
        "member.declined": ("declines", "warn"),
        "member.busy": ("is busy", "warn"),
        "member.left": ("leaves", "plain"),
        "member.back": ("is back", "good"),
    }
    kind = str(event["type"])
    if kind in said:
        what, tone = said[kind]
        if user == story["call"]["caller_id"]:
            return [Step(at, CALLER, RINGLINE, what, tone)]
        if phone is None:
            return [Step(at, RINGLINE, None, f"{user} {what}", tone)]
        return [Step(at, phone, RINGLINE, what, tone)]
    if kind == "member.missed":
        return [Step(at, RINGLINE, None, f"{user}: nobody answered in time", "bad")]
    if kind == "member.away":
        return [Step(at, RINGLINE, None, f"{user} has gone silent", "warn")]
    if kind == "ring.settled" and data.get("outcome") == "cancelled":
        return [Step(at, RINGLINE, None, f"stops {user}'s phones", "plain")]
    if kind == "call.ended":
        reason = words.CALLS.get(str(data.get("reason")), ("plain", "over"))[1].lower()
        return [Step(at, RINGLINE, None, f"call over: {reason}", "plain")]
    return []


def _phone_of(user: str, device_id: Any, story: dict[str, Any]) -> str | None:
    """The lane of the phone that acted: as the event says, else as the user's ring has it."""
    if device_id is None:
        device_id = next((r["device"] for r in story["rings"] if r["user_id"] == user), None)
    for push in story["pushes"]:
        if push["user_id"] == user and push["device_id"] == device_id:
            return str(push["device_row"])
    return None


def drawing(story: dict[str, Any]) -> dict[str, Any]:
    """Sizes, lanes and arrows for the template, which only draws them. Lengths are in pixels."""
    lanes, steps = lanes_of(story), steps_of(story)
    started = story["call"]["created_at"]
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
    }
