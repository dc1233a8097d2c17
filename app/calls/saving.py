"""Writing calls, members and rings: new ones, and as commands have left them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.calls.models import Call as CallRow
from app.calls.models import Member as MemberRow
from app.calls.models import Ring as RingRow
from app.calls.rows import MEMBER, NEW_CALL, SAME, Stored, call_row
from app.core.call import Decision, Member, Ring, due_at
from app.core.frozen import replace
from app.core.person import stored_person
from app.infra.db import Connection, Insert, Joined, Row, Shape, as_json, insert_with, said_apart
from app.infra.statements import answer

FREE: Final = "ON CONFLICT (tenant_id, type, name) WHERE ended_at IS NULL DO NOTHING"
NEW_MEMBER: Final = ("session_id", "ring", *MEMBER)
NEW_RING: Final = ("uuid", "session_id", "user_id")
OF_RING: Final = ("tenant_id", "created_at", "deadline")
"""What of a ring's row is mostly the same of all that begin together."""

CALLS: Final[Shape] = (CallRow.__table__, NEW_CALL, FREE, Joined(""), SAME)
MEMBERS: Final[Shape] = (MemberRow.__table__, NEW_MEMBER, "", Joined(""), ("tenant_id",))
RINGS: Final[Shape] = (RingRow.__table__, NEW_RING, "", Joined(""), OF_RING)
"""What new ones are written by."""


# Of an erasure that is not seen here the transaction's number is below its horizon.
NOBODY_ERASED: Final = Joined("""
    WHERE NOT EXISTS (
        SELECT FROM erasures e WHERE e.tenant_id = r.tenant_id AND e.erased_at >= r.created_at
    )
""")


async def add_calls(
    session: Connection, calls: Sequence[Stored], belongings: Sequence[Insert]
) -> set[UUID]:
    """Insert new calls with what belongs to them; returns those that are in.

    None is begun by what was found before a user of its tenant was erased, who may be named by it;
    this transaction had its number by then (`lookup.see_and_find`).
    """
    first = replace(calls_as_rows(calls), joined=NOBODY_ERASED)
    return await insert_with(session, first, belongings, by="session_id")


def calls_as_rows(calls: Sequence[Stored]) -> Insert:
    """New calls, for writing; at least one.

    A cid with a live call is not taken twice. In order of their cids: an insert waits for another
    transaction's of the same cid.
    """
    ordered = sorted(calls, key=lambda one: (one.tenant_id, one.call.type, one.call.name))
    one = ordered[0]
    usual = (one.tenant_id, one.call.created_at)
    rows = [
        said_apart(call_row(one), SAME, (one.tenant_id, one.call.created_at), usual)
        for one in ordered
    ]
    same = dict(zip(SAME, usual, strict=True))
    return Insert(CallRow.__table__, rows, FREE, columns=NEW_CALL, same=same)


# Rows as one JSON document each: to encode an array for each column costs ten times as much.
SAVE_CALLS = text("""
    UPDATE calls c SET state = n.state, reason = n.reason, active_at = n.active_at,
        ended_at = n.ended_at, alone_since = n.alone_since, due_at = CASE WHEN n.owes
            THEN least(n.due_at, clock_timestamp() + interval '1 second') ELSE n.due_at END,
        event_seq = n.event_seq, version = n.version, owed = CASE WHEN n.owes THEN c.owed END
    FROM json_to_recordset(CAST(:rows AS json)) AS n(id uuid, state text, reason text,
        active_at timestamptz, ended_at timestamptz, alone_since timestamptz, due_at timestamptz,
        event_seq integer, version integer, owes boolean)
    WHERE c.id = n.id
""")


async def save_calls(session: Connection, calls: Sequence[Stored]) -> None:
    """Write what commands changed of calls that this transaction holds locked.

    Of whom they owe rings only that they owe none any more; one that owes some is looked at again
    in a second.
    """
    rows = [
        {
            "id": stored.call.id,
            "state": stored.call.state.value,
            "reason": stored.call.reason,
            "active_at": stored.call.active_at,
            "ended_at": stored.call.ended_at,
            "alone_since": stored.call.alone_since,
            "due_at": due_at(stored.call),
            "event_seq": stored.event_seq,
            "version": stored.version,
            "owes": stored.owed is not None,
        }
        for stored in calls
    ]
    await answer(session, SAVE_CALLS, {"rows": as_json(rows)})


SAVE_MISSED = text("""
    WITH n AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json))
            AS n(id uuid, caller text, ring uuid, at timestamptz)
    ), c AS (
        UPDATE calls c SET state = :state, reason = :reason, ended_at = n.at, due_at = NULL,
            event_seq = event_seq + :events, version = version + 1
        FROM n WHERE c.id = n.id
    ), m AS (
        UPDATE members m SET state = CASE WHEN user_id = n.caller THEN :caller ELSE :callee END,
            left_at = CASE WHEN user_id = n.caller THEN n.at END
        FROM n WHERE m.session_id = n.id
    )
    UPDATE rings r SET outcome = :outcome, settled_at = n.at, callkit_reason = :callkit_reason
    FROM n WHERE r.uuid = n.ring
""")


async def save_missed(session: Connection, calls: Sequence[Decision], decided: Decision) -> None:
    """Write calls of two, held by this transaction, that end as was `decided` of "caller" and
    "callee" (`app.calls.missed_calls`): three tables at once, half of what each alone costs."""
    rows = [
        {
            "id": one.call.id,
            "caller": one.call.caller_id,
            "ring": one.settled[0].uuid,
            "at": one.call.ended_at,
        }
        for one in calls
    ]
    after, (ring,) = decided.call, decided.settled
    values = {
        "rows": as_json(rows),
        "state": after.state,
        "reason": after.reason,
        "events": len(decided.events),
        "caller": after.members["caller"].state,
        "callee": after.members["callee"].state,
        "outcome": ring.outcome,
        "callkit_reason": ring.callkit_reason,
    }
    await answer(session, SAVE_MISSED, values)


OfCall = tuple[UUID, UUID, Member]
"""(tenant, call, member)."""


def members_as_rows(members: Sequence[OfCall]) -> Insert:
    """New members, for writing."""
    ordered = sorted(members, key=lambda one: (one[1], one[2].user_id))
    tenant = ordered[0][0] if ordered else None
    rows = [
        said_apart(_member_row(session_id, member), ("tenant_id",), (whose,), (tenant,))
        for whose, session_id, member in ordered
    ]
    return Insert(MemberRow.__table__, rows, columns=NEW_MEMBER, same={"tenant_id": tenant})


SAVE_MEMBERS = text("""
    UPDATE members m SET state = n.state, device_id = n.device_id, monitored = n.monitored,
        ring = n.ring, joined_at = n.joined_at, seen_at = n.seen_at, left_at = n.left_at,
        person = n.person, suppressed = n.suppressed
    FROM json_to_recordset(CAST(:rows AS json)) AS n(session_id uuid, user_id text, state text,
        device_id text, monitored boolean, ring uuid, joined_at timestamptz, seen_at timestamptz,
        left_at timestamptz, person jsonb, suppressed text)
    WHERE m.session_id = n.session_id AND m.user_id = n.user_id
""")


async def save_members(session: Connection, members: Sequence[OfCall]) -> None:
    """Write members as commands left them, of calls that this transaction holds locked."""
    rows = [_member_row(session_id, member) for _, session_id, member in members]
    await answer(session, SAVE_MEMBERS, {"rows": as_json(rows)})


def _member_row(session_id: UUID, member: Member) -> dict[str, Any]:
    """Its columns but those that are NULL, as most are of one that rings."""
    row: dict[str, Any] = {
        "session_id": session_id,
        "user_id": member.user_id,
        "role": member.role,
        "state": member.state,
        "monitored": member.monitored,
    }
    if member.ring is not None:
        row["ring"] = member.ring.uuid
    if member.joined_at is not None:
        row["joined_at"], row["seen_at"] = member.joined_at, member.seen_at
    if member.left_at is not None:
        row["left_at"] = member.left_at
    if member.device_id is not None:
        row["device_id"] = member.device_id
    if (person := stored_person(member.person)) is not None:
        row["person"] = person
    if member.suppressed is not None:
        row["suppressed"] = member.suppressed
    return row


def rings_as_rows(rings: Sequence[tuple[UUID, UUID, Ring]]) -> Insert:
    """New rings, (tenant, call, ring), for writing."""
    usual = own_of(rings[0][0], rings[0][2]) if rings else ()
    rows: list[Row] = []
    for tenant_id, session_id, ring in rings:
        row = {"uuid": ring.uuid, "session_id": session_id, "user_id": ring.user_id}
        rows.append(said_apart(row, OF_RING, own_of(tenant_id, ring), usual))
    same = dict(zip(OF_RING, usual, strict=False))
    return Insert(RingRow.__table__, rows, columns=NEW_RING, same=same)


def own_of(tenant_id: UUID, ring: Ring) -> tuple[UUID, datetime, datetime]:
    """OF_RING of a ring."""
    return tenant_id, ring.created_at, ring.deadline


SETTLE = text("""
    UPDATE rings r SET outcome = n.outcome, settled_at = n.settled_at,
        callkit_reason = n.callkit_reason, device = n.device
    FROM json_to_recordset(CAST(:rows AS json)) AS n(uuid uuid, outcome text,
        settled_at timestamptz, callkit_reason integer, device text)
    WHERE r.uuid = n.uuid AND r.outcome IS NULL
""")


async def settle_rings(session: Connection, rings: Sequence[Ring]) -> None:
    """Write how rings settled."""
    rows = [
        {
            "uuid": ring.uuid,
            "outcome": ring.outcome,
            "settled_at": ring.settled_at,
            "callkit_reason": int(ring.callkit_reason) if ring.callkit_reason else None,
            "device": ring.device,
        }
        for ring in sorted(rings, key=lambda ring: ring.uuid)
    ]
    await answer(session, SETTLE, {"rows": as_json(rows)})


SHOW = text("""
    UPDATE rings r SET shown_on = n.shown_on
    FROM json_to_recordset(CAST(:rows AS json)) AS n(uuid uuid, shown_on text[])
    WHERE r.uuid = n.uuid
""")


async def show_rings(session: Connection, rings: Sequence[Ring]) -> None:
    """Write on which screens rings are."""
    ordered = sorted(rings, key=lambda ring: ring.uuid)
    rows = [{"uuid": ring.uuid, "shown_on": ring.shown_on} for ring in ordered]
    await answer(session, SHOW, {"rows": as_json(rows)})


def after(stored: Stored, decision: Decision) -> Stored:
    """The stored call as a decision leaves it; its version moves when what clients read does."""
    return replace(
        stored,
        call=decision.call,
        event_seq=stored.event_seq + len(decision.events),
        version=stored.version + decision.visible,
    )
