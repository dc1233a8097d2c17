"""Calls, members and rings as they are read from their rows: the columns in one order."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from app.core import limits
from app.core.call import (
    Call,
    CallKit,
    CallState,
    Member,
    MemberState,
    Outcome,
    Reason,
    Ring,
    Role,
    due_at,
)
from app.core.details import DETAILS, Details, details_json
from app.core.frozen import frozen
from app.core.person import Person, handle_from, handle_json, person_from
from app.infra.unreadable import FAULTS, unreadable


@frozen
class Stored:
    """A call as the database holds it, with what core does not need to know.

    `owed`: whom it is yet to ring, as its row says (`app.calls.slices`).
    """

    call: Call
    tenant_id: UUID
    event_seq: int
    version: int
    traceparent: str | None = None
    owed: str | None = None


OWED_FOR: Final = timedelta(seconds=1)
"""After so long the sweep goes on with a call that owes somebody a ring."""

CALL: Final = (
    "id", "tenant_id", "type", "name", "state", "reason", "caller_id", "video", "limits",
    "created_at", "active_at", "ended_at", "alone_since", "event_seq", "version", "caller_name",
    "caller_avatar_url", "caller_handle", "traceparent", "owed", *DETAILS,
)  # fmt: skip
SAME: Final = ("tenant_id", "created_at")
NEW_CALL: Final = (*(name for name in CALL if name not in SAME), "due_at")
"""What a new call's row says, and what all say alike that are written together."""
MEMBER: Final = (
    "user_id", "role", "state", "device_id", "monitored", "joined_at", "seen_at", "left_at",
    "person", "suppressed",
)  # fmt: skip
RING: Final = (
    "uuid", "user_id", "created_at", "deadline", "outcome", "settled_at", "callkit_reason",
    "device", "shown_on",
)  # fmt: skip


def columns(alias: str, names: Sequence[str]) -> str:
    """SQL that reads these columns of a table; what makes values takes them by their places."""
    return ", ".join(f"{alias}.{name}" for name in names)


def stored_from(row: Sequence[Any], members: Mapping[str, Member]) -> Stored:
    """The columns of CALL. Raises Unreadable."""
    try:
        return _stored_from(row, members)
    except FAULTS as error:
        raise unreadable("call", row[0], error) from error


def _stored_from(row: Sequence[Any], members: Mapping[str, Member]) -> Stored:
    (
        session_id, tenant_id, kind, name, state, reason, caller_id, video, limits_, created_at,
        active_at, ended_at, alone_since, event_seq, version, caller_name, avatar_url, handle,
        traceparent, owed, *details,
    ) = row  # fmt: skip
    call = Call(
        id=session_id,
        type=kind,
        name=name,
        caller_id=caller_id,
        video=video,
        limits=limits.from_json(limits_),
        created_at=created_at,
        state=CallState(state),
        reason=Reason(reason) if reason else None,
        active_at=active_at,
        ended_at=ended_at,
        alone_since=alone_since,
        details=Details(*details),
        caller=Person(caller_name, avatar_url, handle_from(handle)),
        members=MappingProxyType(members),
    )
    return Stored(call, tenant_id, event_seq, version, traceparent, owed)


def call_row(stored: Stored) -> dict[str, Any]:
    """A new call's row, but for what of it is the same of all that are written together."""
    call, caller = stored.call, stored.call.caller
    row = {
        "id": call.id,
        "type": call.type,
        "name": call.name,
        "state": call.state._value_,
        "caller_id": call.caller_id,
        "video": call.video,
        "limits": limits.to_json(call.limits),
        "due_at": due_at(call) if stored.owed is None else call.created_at + OWED_FOR,
        "event_seq": stored.event_seq,
        "version": stored.version,
        **details_json(call.details),
    }
    if caller.name is not None:
        row["caller_name"] = caller.name
    if caller.avatar_url is not None:
        row["caller_avatar_url"] = caller.avatar_url
    if caller.handle is not None:
        row["caller_handle"] = handle_json(caller.handle)
    if call.state is not CallState.RINGING:
        row |= {"reason": call.reason, "active_at": call.active_at, "ended_at": call.ended_at}
        row["alone_since"] = call.alone_since
    if stored.owed is not None or stored.traceparent is not None:
        row |= {"owed": stored.owed, "traceparent": stored.traceparent}
    return row


def member_from(row: Sequence[Any], ring: Ring | None) -> Member:
    """The columns of MEMBER."""
    (
        user_id, role, state, device_id, monitored, joined_at, seen_at, left_at, person, suppressed,
    ) = row  # fmt: skip
    return Member(
        user_id,
        Role(role),
        MemberState(state),
        ring,
        device_id,
        monitored,
        joined_at,
        seen_at,
        left_at,
        person_from(person),
        suppressed,
    )


def ring_from(row: Sequence[Any]) -> Ring | None:
    """The columns of RING; None where a LEFT JOIN has found none."""
    (
        uuid, user_id, created_at, deadline, outcome, settled_at, callkit_reason, device, shown_on,
    ) = row  # fmt: skip
    if uuid is None:
        return None
    return Ring(
        uuid,
        user_id,
        created_at,
        deadline,
        Outcome(outcome) if outcome else None,
        settled_at,
        CallKit(callkit_reason) if callkit_reason else None,
        device,
        tuple(shown_on),
    )


SUMMARY: Final = (
    f"{columns('c', CALL)}, {columns('m', MEMBER)}, {columns('r', RING)},"
    " n.members, n.joined, n.ringing"
)
"""SQL: of a call `c` one member `m` with a ring `r`, and how many there are, by COUNTS."""
COUNTS: Final = """
    CROSS JOIN LATERAL (
        SELECT count(*) AS members,
               count(*) FILTER (WHERE o.state IN ('joined', 'away')) AS joined,
               count(*) FILTER (WHERE o.state = 'ringing') AS ringing
        FROM members o WHERE o.session_id = c.id) n
"""


@frozen
class OwnCall:
    """A call of which one member alone is loaded."""

    stored: Stored
    member: Member
    members: int
    joined: int
    ringing: int


def own_call_from(row: Sequence[Any]) -> OwnCall:
    """The columns of SUMMARY. Raises Unreadable."""
    call, rest = row[: len(CALL)], row[len(CALL) :]
    own, ring, counts = rest[: len(MEMBER)], rest[len(MEMBER) : -3], rest[-3:]
    try:
        member = member_from(own, ring_from(ring))
    except FAULTS as error:
        raise unreadable("call", call[0], error) from error
    return OwnCall(stored_from(call, {member.user_id: member}), member, *counts)
