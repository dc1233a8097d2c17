"""The lines of a call's timeline, each with a short sentence that says what happened."""

import re
from collections.abc import Mapping
from typing import Any, Final

from app.core import words
from app.core.push import PushReason
from app.core.words import CALLKIT, ENDS, OUTCOMES


def of_event(kind: str, data: Mapping[str, Any]) -> str:
    """What an event says."""
    user = data.get("user_id", "")
    device = f" on {data['device_id']}" if data.get("device_id") else ""
    match kind:
        case "call.started":
            about = f": {data['title']}" if data.get("title") else ""
            return f"{_caller(data)} calls {_names(data.get('callees', ()))}{about}"
        case "call.active":
            return "somebody has joined: the call is active"
        case "call.updated":
            return "everyone in the call is told who has come and gone"
        case "call.ended":
            reason = str(data.get("reason"))
            return f"the call ended: {ENDS.get(reason, reason)}"
        case "ring.started":
            return f"{user} is rung"
        case "ring.settled":
            outcome = str(data.get("outcome"))
            stop = CALLKIT.get(data.get("callkit_reason", 0), "over")
            return (
                f"the ring of {user} {OUTCOMES.get(outcome, outcome)}{device}; "
                f"{'other ' if device else ''}devices stop: {stop}"
            )
        case "member.added":
            return f"{data.get('by')} rings {_names(data.get('user_ids', ()))} as well"
        case _:
            return _of_member(kind, user, device, data)


def _of_member(kind: str, user: str, device: str, data: Mapping[str, Any]) -> str:
    if kind in DEVICES:
        return f"{user}{device}: {DEVICES[kind]}"
    if kind == "member.left" and data.get("reason") == "silent":
        return f"{user} is removed: no sign of life for {data.get('silent_for', 0):g} s"
    if kind == "member.ringing":
        count = data.get("devices", 1)
        return f"{user} rings on {count} device{'' if count == 1 else 's'}"
    return f"{user} {MEMBERS.get(kind, kind)}{device}".strip()


SUPPRESSED = {
    "blocked": "has blocked the caller",
    "do_not_disturb": "is not to be disturbed",
    "quiet_hours": "has quiet hours",
    "call_type": "wants no calls of this type",
    "devices_off": "has turned off every device that could ring",
}
NOTIFIED = {
    "call_type_notify": "wants calls of this type told by a notification",
    "notify": "is told by a notification: the call was not to ring",
    "in_a_call": "is in another call, and told by a notification at most",
}


def of_suppressed(user: str, why: str) -> str:
    """Why a ring was kept from a user; nobody else is told."""
    if why in NOTIFIED:
        return f"{user} {NOTIFIED[why]}"
    return f"{user} {SUPPRESSED.get(why, why)}: nothing is pushed"


DEVICES = {
    "device.delivered": "the phone rings",
    "device.unavailable": "the phone says that it cannot ring",
    "device.declined": "declined on this phone alone; others ring on",
}
MEMBERS = {
    "member.joined": "has joined",
    "member.declined": "has declined",
    "member.busy": "is busy",
    "member.missed": "has missed the call",
    "member.unreachable": "cannot be reached: nothing of theirs can ring",
    "member.suppressed": "is not rung, as they wish; the caller is told",
    "member.reachable": "can be reached now: a device has come",
    "member.away": "is away: no sign of life",
    "member.back": "is back",
    "member.left": "has left",
}


def _caller(data: Mapping[str, Any]) -> str:
    name = (data.get("caller") or {}).get("name")
    return f"{name} ({data.get('caller_id')})" if name else str(data.get("caller_id"))


def _names(users: Any) -> str:
    names = [str(user) for user in users]
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return ", ".join(names)


PUSHES = {
    "ring": "a push",
    "stop": "a stop",
    "notify": "a notification of the call",
    "missed": "a notification of the missed call",
    "over": "the last notification of the ring",
}


def _the(purpose: str) -> str:
    """The same, known by now."""
    return f"the {_push(purpose).partition(' ')[2]}"


def _push(purpose: str) -> str:
    name, _, number = purpose.partition(" ")
    return PUSHES.get(name, f"a notification, number {number},")


OWNED: Final = re.compile(r"(?:\S+ ){0,2}\S+(?:['\u2019]s|s['\u2019]) ")
"""How a name begins that says whose the device is: `Mary Ann's iPhone`, `James' phone`."""


def of_device(user: str, name: str | None, ending: str) -> str:
    """A user's device by its name or id, else by the end of its token; whose it is is said once."""
    if not name:
        return f"{user}'s device with the token ...{ending}"
    after = name[len(user) :].casefold()
    if name.casefold().startswith(user.casefold()) and (
        not after[:1].isalnum() or (after[0] == "s" and not after[1:2].isalnum())
    ):
        return name
    return f"{name} ({user})" if OWNED.match(name) else f"{user}'s {name}"


def of_sending(purpose: str, device: str, attempt: int) -> str:
    """A push goes out."""
    what = _push(purpose)
    again = f", try {attempt}" if attempt > 1 else ""
    return f"{what} goes to {device}{again}"


def of_answer(
    service: str,
    purpose: str,
    device: str,
    status: int | None,
    reason: str | None,
    milliseconds: float,
) -> str:
    """What a push service (by its name for people) said, or that nothing was heard."""
    what = _the(purpose)
    after = f" after {milliseconds:.0f} ms"
    if status is not None and 200 <= status < 300:
        return f"{service} accepts {what} to {device}{after}"
    if status is None:
        return f"no answer to {what} to {device}{after}: {words.of_push(reason or PushReason.LOST)}"
    return f"{service} refuses {what} to {device}{after}: {status} {reason or ''}".rstrip()


def of_unsent(purpose: str, device: str, state: str, reason: str | None) -> str:
    """A push that never went out."""
    what = _the(purpose)
    why = words.of_push(reason) if reason else state
    return f"{what} to {device} is not sent: {why}"
