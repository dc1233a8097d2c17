"""Events: what clients and webhooks are told of a call, and the envelope they are told it in."""

from collections.abc import Mapping
from datetime import datetime
from difflib import SequenceMatcher
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.core.frozen import frozen


class EventType(StrEnum):
    """Every type of event. A client ignores those it does not know."""

    CALL_STARTED = "call.started"
    CALL_ACTIVE = "call.active"
    CALL_UPDATED = "call.updated"
    CALL_ENDED = "call.ended"
    RING_STARTED = "ring.started"
    RING_SETTLED = "ring.settled"
    MEMBER_ADDED = "member.added"
    MEMBER_RINGING = "member.ringing"
    MEMBER_JOINED = "member.joined"
    MEMBER_DECLINED = "member.declined"
    MEMBER_BUSY = "member.busy"
    MEMBER_MISSED = "member.missed"
    MEMBER_UNREACHABLE = "member.unreachable"
    MEMBER_SUPPRESSED = "member.suppressed"
    MEMBER_REACHABLE = "member.reachable"
    MEMBER_AWAY = "member.away"
    MEMBER_BACK = "member.back"
    MEMBER_LEFT = "member.left"
    DEVICE_DELIVERED = "device.delivered"
    DEVICE_UNAVAILABLE = "device.unavailable"
    DEVICE_DECLINED = "device.declined"


class TenantEventType(StrEnum):
    """Every type of a tenant's own events, which belong to no call: alarms, most of them."""

    CREDENTIAL_EXPIRING = "credential.expiring"
    CREDENTIAL_EXPIRED = "credential.expired"
    CREDENTIAL_FAILING = "credential.failing"
    CREDENTIAL_RECOVERED = "credential.recovered"
    PUSH_ALARM = "push.alarm"
    RATE_LIMIT_REACHED = "rate_limit.reached"
    WEBHOOK_BEHIND = "webhook.behind"
    WEBHOOK_DISABLED = "webhook.disabled"


class UserEventType(StrEnum):
    """Every type of a user's own events, which belong to no call: told on that user's live streams
    and to no webhook."""

    HISTORY_SEEN = "history.seen"


BY_NAME_ONLY = frozenset({EventType.MEMBER_RINGING})
"""What a webhook is sent only if it asks for it by name: `*` and groups leave it out.

A receipt comes once for each device, and most backends have no use for it.
"""


def event_filters() -> tuple[str, ...]:
    """What a webhook may subscribe to: `*`, a group such as `call.*`, or one type."""
    types = [one.value for one in (*EventType, *TenantEventType)]
    groups = dict.fromkeys(f"{one.partition('.')[0]}.*" for one in types)
    return ("*", *groups, *types)


def nearest_filter(text: str) -> str:
    """What was probably meant by a filter that there is none of."""
    return max(event_filters(), key=lambda one: SequenceMatcher(None, text, one).ratio())


USER_FIELDS = ("user_id", "caller_id", "by")
USER_LISTS = ("user_ids", "callees")
USER_OBJECTS = ("members",)
"""Where an event's data names users: by themselves, in a list, as `user_id` of a list's objects.

An erased user is taken out of these and of no other place: see `app.events.tombstones`.
"""


@frozen
class Event:
    """A fact about a call. `to`: the users who are told live; webhooks are told of every event."""

    type: EventType
    at: datetime
    data: Mapping[str, Any]
    to: tuple[str, ...]


def milliseconds(at: datetime) -> int:
    """Unix milliseconds of a time that knows its zone."""
    return round(at.timestamp() * 1000)


@lru_cache(maxsize=1_024)
def rfc3339(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-21T08:00:00.123Z`.

    Kept, as one moment is told of much: of a group's rings it is the same one.
    """
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


def envelope(
    *, session_id: UUID, cid: str, seq: int, kind: str, at: datetime, data: Mapping[str, Any]
) -> dict[str, Any]:
    """One event as clients and webhooks see it. `seq` counts within the call, from 1."""
    return {
        "type": kind,
        "session_id": str(session_id),
        "cid": cid,
        "seq": seq,
        "at": rfc3339(at),
        "data": dict(data),
    }
