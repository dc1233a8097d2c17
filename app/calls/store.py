"""Rows of calls, members and rings."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.calls.models import Call as CallRow
from app.calls.models import Member as MemberRow
from app.calls.models import Ring as RingRow
from app.calls.rows import (
    CALL,
    MEMBER,
    RING,
    Stored,
    call_row,
    columns,
    member_from,
    ring_from,
    stored_from,
)
from app.core.call import Decision, Member, Ring, due_at
from app.core.person import stored_person
from app.infra.db import Connection, Insert, as_json, insert_with, many, one

BY_NAME = text("""
    SELECT id FROM calls WHERE tenant_id = :tenant AND type = :type AND name = :name
    ORDER BY ended_at IS NULL DESC, created_at DESC, id DESC LIMIT 1
""")
LOCK = text("""
    SELECT id FROM calls WHERE id = ANY(CAST(:ids AS uuid[])) AND tenant_id = :tenant
    ORDER BY id FOR NO KEY UPDATE
""")
LOCK_IF_FREE = text("""
    WITH mine AS (
        SELECT id FROM calls WHERE id = :id AND tenant_id = :tenant FOR NO KEY UPDATE SKIP LOCKED
    )
    SELECT EXISTS (SELECT FROM mine) AS mine FROM calls WHERE id = :id AND tenant_id = :tenant
""")
RING_BY_UUID = text(f"""
    SELECT {columns("r", RING)} FROM rings r WHERE uuid = :ring AND tenant_id = :tenant
""")  # noqa: S608  (constants)
CALLS = text(f"""
    SELECT {columns("c", CALL)} FROM calls c WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id
""")  # noqa: S608  (constants)
MEMBERS = text(f"""
    SELECT m.session_id, {columns("m", MEMBER)}, {columns("r", RING)}
    FROM members m LEFT JOIN rings r ON r.uuid = m.ring
    WHERE m.session_id = ANY(CAST(:ids AS uuid[]))
    ORDER BY m.joined_at NULLS LAST, m.user_id
""")  # noqa: S608  (constants)
CLOCK = text("SELECT clock_timestamp() AS now")
# statement_timestamp(), as an index knows nothing to do with the ever-moving clock_timestamp().
# The lock ends with the statement: what somebody holds is passed over, so that it fills no batch.
DUE = text("""
    SELECT id FROM calls
    WHERE due_at <= statement_timestamp() AND id <> ALL(CAST(:aside AS uuid[]))
    ORDER BY due_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")


async def id_by_name(
    session: Connection, tenant_id: UUID, call_type: str, name: str
) -> UUID | None:
    """The live call of this cid, else the latest."""
    row = await one(session, BY_NAME, {"tenant": tenant_id, "type": call_type, "name": name})
    return None if row is None else row["id"]


async def lock(session: Connection, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Lock calls of a tenant, in order of id; returns those that exist.

    Only the calls' rows: a joined locking SELECT that had to wait returns a new call with an old
    member.
    """
    values = {"ids": sorted(ids), "tenant": tenant_id}
    return [row["id"] for row in await many(session, LOCK, values)]


async def lock_if_free(session: Connection, tenant_id: UUID, session_id: UUID) -> bool | None:
    """Lock a call unless somebody holds it (False); None when there is no such call."""
    row = await one(session, LOCK_IF_FREE, {"id": session_id, "tenant": tenant_id})
    return None if row is None else bool(row["mine"])


async def ring(session: Connection, tenant_id: UUID, uuid: UUID) -> Ring | None:
    """One ring, whether or not it is the latest that was made to reach its member."""
    values = {"ring": uuid, "tenant": tenant_id}
    row = (await session.execute(RING_BY_UUID, values)).first()
    return None if row is None else ring_from(row)


async def due(session: Connection, limit: int, aside: Sequence[UUID]) -> list[UUID]:
    """Calls that time has changed and that nobody holds at this moment, but for those `aside`."""
    values = {"limit": limit, "aside": list(aside)}
    return [row["id"] for row in await many(session, DUE, values)]


async def load(
    session: Connection, ids: Sequence[UUID], *, members_of: Sequence[UUID] | None = None
) -> tuple[datetime, dict[UUID, Stored]]:
    """The database clock, and these calls with their members and latest rings.

    Comes after the lock, as statements of their own. `members_of`: only these get their members.
    """
    calls = (await session.execute(CALLS, {"ids": list(ids)})).all()
    of = ids if members_of is None else members_of
    members = await session.execute(MEMBERS, {"ids": list(of)})
    by_call: dict[UUID, dict[str, Member]] = {row[0]: {} for row in calls}
    for session_id, *row in members:
        member = member_from(row[: len(MEMBER)], ring_from(row[len(MEMBER) :]))
        by_call[session_id][member.user_id] = member
    now: datetime = (await session.execute(CLOCK)).scalar_one()
    return now, {row[0]: stored_from(row, by_call[row[0]]) for row in calls}


async def add_calls(
    session: Connection, calls: Sequence[Stored], belongings: Sequence[Insert]
) -> set[UUID]:
    """Insert new calls with what belongs to them; returns those that are in.

    A cid with a live call is not taken twice. In order of their cids: an insert waits for another
    transaction's of the same cid.
    """
    rows = [call_row(stored) for stored in calls]
    rows.sort(key=lambda row: (row["tenant_id"], row["type"], row["name"]))
    free = "ON CONFLICT (tenant_id, type, name) WHERE ended_at IS NULL DO NOTHING"
    return await insert_with(
        session, Insert(CallRow.__table__, rows, free), belongings, by="session_id"
    )


SAVE_CALLS = text("""
    UPDATE calls c SET state = n.state, reason = n.reason, active_at = n.active_at,
        ended_at = n.ended_at, alone_since = n.alone_since, due_at = n.due_at,
        event_seq = n.event_seq, version = n.version
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
                CAST(:actives AS timestamptz[]), CAST(:endeds AS timestamptz[]),
                CAST(:alones AS timestamptz[]), CAST(:dues AS timestamptz[]),
                CAST(:seqs AS integer[]), CAST(:versions AS integer[]))
         AS n(id, state, reason, active_at, ended_at, alone_since, due_at, event_seq, version)
    WHERE c.id = n.id
""")


async def save_calls(session: Connection, calls: Sequence[Stored]) -> None:
    """Write what commands changed of calls that this transaction holds locked."""
    values = {
        "ids": [stored.call.id for stored in calls],
        "states": [stored.call.state.value for stored in calls],
        "reasons": [stored.call.reason for stored in calls],
        "actives": [stored.call.active_at for stored in calls],
        "endeds": [stored.call.ended_at for stored in calls],
        "alones": [stored.call.alone_since for stored in calls],
        "dues": [due_at(stored.call) for stored in calls],
        "seqs": [stored.event_seq for stored in calls],
        "versions": [stored.version for stored in calls],
    }
    await session.execute(SAVE_CALLS, values)


def members_as_rows(members: Sequence[tuple[UUID, UUID, Member]]) -> Insert:
    """(tenant, call, member) for writing: new, or as a command left it."""
    rows = [
        {
            "session_id": session_id,
            "user_id": member.user_id,
            "tenant_id": tenant_id,
            "role": member.role,
            "state": member.state,
            "device_id": member.device_id,
            "monitored": member.monitored,
            "ring": member.ring.uuid if member.ring else None,
            "joined_at": member.joined_at,
            "seen_at": member.seen_at,
            "left_at": member.left_at,
            "person": stored_person(member.person),
            "suppressed": member.suppressed,
        }
        for tenant_id, session_id, member in members
    ]
    return Insert(
        MemberRow.__table__,
        sorted(rows, key=lambda row: (row["session_id"], row["user_id"])),
        """ON CONFLICT (session_id, user_id) DO UPDATE SET
            state = excluded.state, device_id = excluded.device_id, monitored = excluded.monitored,
            ring = excluded.ring, joined_at = excluded.joined_at, seen_at = excluded.seen_at,
            left_at = excluded.left_at, person = excluded.person,
            suppressed = excluded.suppressed""",
    )


def rings_as_rows(rings: Sequence[tuple[UUID, UUID, Ring]]) -> Insert:
    """New rings, (tenant, call, ring), for writing."""
    rows = [
        {
            "uuid": ring.uuid,
            "session_id": session_id,
            "tenant_id": tenant_id,
            "user_id": ring.user_id,
            "created_at": ring.created_at,
            "deadline": ring.deadline,
        }
        for tenant_id, session_id, ring in rings
    ]
    return Insert(RingRow.__table__, rows)


SETTLE = text("""
    UPDATE rings r SET outcome = n.outcome, settled_at = n.settled_at,
        callkit_reason = n.callkit_reason, device = n.device
    FROM unnest(CAST(:uuids AS uuid[]), CAST(:outcomes AS text[]),
                CAST(:settleds AS timestamptz[]), CAST(:callkit_reasons AS integer[]),
                CAST(:devices AS text[])) AS n(uuid, outcome, settled_at, callkit_reason, device)
    WHERE r.uuid = n.uuid AND r.outcome IS NULL
""")


async def settle_rings(session: Connection, rings: Sequence[Ring]) -> None:
    """Write how rings settled."""
    rings = sorted(rings, key=lambda ring: ring.uuid)
    values = {
        "uuids": [ring.uuid for ring in rings],
        "outcomes": [ring.outcome for ring in rings],
        "settleds": [ring.settled_at for ring in rings],
        "callkit_reasons": [
            int(ring.callkit_reason) if ring.callkit_reason else None for ring in rings
        ],
        "devices": [ring.device for ring in rings],
    }
    await session.execute(SETTLE, values)


SHOW = text("""
    UPDATE rings r SET shown_on = n.shown_on
    FROM json_to_recordset(CAST(:rows AS json)) AS n(uuid uuid, shown_on text[])
    WHERE r.uuid = n.uuid
""")


async def show_rings(session: Connection, rings: Sequence[Ring]) -> None:
    """Write on which screens rings are."""
    ordered = sorted(rings, key=lambda ring: ring.uuid)
    rows = [{"uuid": ring.uuid, "shown_on": ring.shown_on} for ring in ordered]
    await session.execute(SHOW, {"rows": as_json(rows)})


DEVICE_OF_CALL_TOKEN = """
    LEFT JOIN devices d
        ON d.id = :device AND d.tenant_id = r.tenant_id AND d.user_id = r.user_id
    LEFT JOIN removed_devices x
        ON x.id = :device AND x.tenant_id = r.tenant_id AND x.user_id = r.user_id
    LEFT JOIN LATERAL (
        SELECT t.registered_at FROM pushes p JOIN tokens t ON t.id = p.token_id
        WHERE p.ring = r.uuid AND p.device_row = :device AND p.purpose = 'ring'
            AND t.user_id <> r.user_id LIMIT 1
    ) moved ON true
"""  # noqa: S105  (SQL)
"""The device of a call token: its row, or what is kept of it; `moved`: the phone is another's."""

GONE_AT = "coalesce(x.removed_at, moved.registered_at)"
RING_OF_TOKEN = text(f"""
    SELECT r.session_id, r.user_id, coalesce(d.device_id, x.device_id) AS device_id,
           {GONE_AT} AS gone_at
    FROM rings r {DEVICE_OF_CALL_TOKEN}
    WHERE r.uuid = :ring AND r.tenant_id = :tenant
""")  # noqa: S608  (constants)


async def ring_of_token(
    session: Connection, tenant_id: UUID, ring: UUID, device: UUID
) -> dict[str, Any] | None:
    """What a call token names: the call, the user and the app's own device id.

    `gone_at`: since when the device is no more the user's; None while it is.
    """
    values = {"tenant": tenant_id, "ring": ring, "device": device}
    return await one(session, RING_OF_TOKEN, values)


LIVE_CALLS = text("""
    SELECT c.id FROM calls c JOIN members m ON m.session_id = c.id
    WHERE m.tenant_id = :tenant AND m.user_id = :user AND c.ended_at IS NULL ORDER BY c.id
""")


async def live_calls_of(session: Connection, tenant_id: UUID, user_id: str) -> list[UUID]:
    """Calls that have not ended and of which this user is a member."""
    rows = await many(session, LIVE_CALLS, {"tenant": tenant_id, "user": user_id})
    return [row["id"] for row in rows]


def after(stored: Stored, decision: Decision) -> Stored:
    """The stored call as a decision leaves it; its version moves when what clients read does."""
    return replace(
        stored,
        call=decision.call,
        event_seq=stored.event_seq + len(decision.events),
        version=stored.version + decision.visible,
    )
