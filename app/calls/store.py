"""Rows of calls, members and rings."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.calls.rows import (
    CALL,
    COUNTS,
    MEMBER,
    RING,
    Stored,
    columns,
    member_from,
    ring_from,
    stored_from,
)
from app.core.call import Member, Others, Ring
from app.core.frozen import frozen, replace
from app.core.large_calls import may_be_partial, part_of
from app.infra.db import Connection, many, one
from app.infra.row_values import RowValue, read
from app.infra.statements import answer, planned_once
from app.infra.unreadable import FAULTS, Unreadable, unreadable
from app.push.targets import of_ring

BY_NAME = text("""
    SELECT id FROM calls WHERE tenant_id = :tenant AND type = :type AND name = :name
    ORDER BY ended_at IS NULL DESC, created_at DESC, id DESC LIMIT 1
""")
LIVE_NAMES = planned_once("""
    SELECT c.tenant_id, c.type, c.name FROM calls c
    JOIN unnest(CAST(:tenants AS uuid[]), CAST(:types AS text[]), CAST(:names AS text[]))
        AS w(tenant_id, type, name) USING (tenant_id, type, name)
    WHERE c.ended_at IS NULL
""")
LOCK = planned_once("""
    SELECT id FROM calls WHERE id = ANY(CAST(:ids AS uuid[])) AND tenant_id = :tenant
    ORDER BY id FOR NO KEY UPDATE
""")
LOCK_IF_FREE = text("""
    WITH mine AS (
        SELECT owed IS NOT NULL AS owes, event_seq, version FROM calls
        WHERE id = :id AND tenant_id = :tenant FOR NO KEY UPDATE SKIP LOCKED
    )
    SELECT m.owes IS NOT NULL AS mine, clock_timestamp() AS now, m.owes, m.event_seq, m.version
    FROM calls c LEFT JOIN mine m ON true WHERE c.id = :id AND c.tenant_id = :tenant
""")
RING_BY_UUID = text(f"""
    SELECT {columns("r", RING)} FROM rings r WHERE uuid = :ring AND tenant_id = :tenant
""")  # noqa: S608  (constants)
CALLS = planned_once(f"""
    SELECT {columns("c", CALL)} FROM calls c WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id
""")  # noqa: S608  (constants)
OF_MEMBERS = f"""
    SELECT m.session_id, {columns("m", MEMBER)}, {columns("r", RING)}
    FROM members m LEFT JOIN rings r ON r.uuid = m.ring
    WHERE {{which}}
    ORDER BY m.joined_at NULLS LAST, m.user_id
"""  # noqa: S608  (constants)
MEMBERS = planned_once(OF_MEMBERS.format(which="m.session_id = ANY(CAST(:ids AS uuid[]))"))
AMONG_MEMBERS = planned_once(
    OF_MEMBERS.format(which="m.session_id = :id AND m.user_id = ANY(CAST(:users AS text[]))")
)
COUNTED = text(f"""
    SELECT {columns("c", CALL)}, clock_timestamp() AS now, c.due_at, n.members, n.joined, n.ringing
    FROM calls c {COUNTS} WHERE c.id = :id
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


async def live_names(
    session: Connection, cids: Sequence[tuple[UUID, str, str]]
) -> set[tuple[UUID, str, str]]:
    """Those of these (tenant, type, name) that have a live call."""
    values = {
        name: [one[n] for one in cids] for n, name in enumerate(("tenants", "types", "names"))
    }
    rows = await many(session, LIVE_NAMES, values)
    return {(row["tenant_id"], row["type"], row["name"]) for row in rows}


async def lock(session: Connection, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Lock calls of a tenant, in order of id; returns those that exist.

    Only the calls' rows: a joined locking SELECT that had to wait returns a new call with an old
    member.
    """
    values = {"ids": sorted(ids), "tenant": tenant_id}
    return [row["id"] for row in await many(session, LOCK, values)]


@frozen
class Lock(RowValue):
    """Whether a call could be locked (`mine`), at what time, and how it is written."""

    mine: bool
    now: datetime
    owes: bool | None
    event_seq: int | None
    version: int | None

    def leaves(self, known: Stored) -> bool:
        """Whether it is as it was last known.

        Whoever writes a call that owes rings has these written first, and tells of each.
        """
        return bool(self.owes) and (self.event_seq, self.version) == (
            known.event_seq,
            known.version,
        )


async def lock_if_free(session: Connection, tenant_id: UUID, session_id: UUID) -> Lock | None:
    """Lock a call unless somebody holds it; None when there is no such call."""
    values = {"id": session_id, "tenant": tenant_id}
    return next(iter(await read(session, LOCK_IF_FREE, Lock, values)), None)


async def ring(session: Connection, tenant_id: UUID, uuid: UUID) -> Ring | None:
    """One ring, whether or not it is the latest that was made to reach its member."""
    values = {"ring": uuid, "tenant": tenant_id}
    _, rows = await answer(session, RING_BY_UUID, values)
    return ring_from(rows[0]) if rows else None


async def due(session: Connection, limit: int, aside: Sequence[UUID]) -> list[UUID]:
    """Calls that time has changed and that nobody holds at this moment, but for those `aside`."""
    values = {"limit": limit, "aside": list(aside)}
    return [row["id"] for row in await many(session, DUE, values)]


async def load(
    session: Connection,
    ids: Sequence[UUID],
    *,
    members_of: Sequence[UUID] | None = None,
    leave_out: bool = False,
) -> tuple[datetime, dict[UUID, Stored]]:
    """The database clock, and these calls with their members and latest rings.

    Comes after the lock, as statements of their own. `members_of`: only these get their members.
    `leave_out`: those that cannot be read, for whom one of many is; else Unreadable is raised.
    """
    _, calls = await answer(session, CALLS, {"ids": list(ids)})
    of = ids if members_of is None else members_of
    _, members = await answer(session, MEMBERS, {"ids": list(of)})
    _, ((now,),) = await answer(session, CLOCK)
    return now, _readable(calls, members) if leave_out else _all_of(calls, members)


def _all_of(calls: Sequence[Any], members: Sequence[Any]) -> dict[UUID, Stored]:
    by_call: dict[UUID, dict[str, Member]] = {row[0]: {} for row in calls}
    for row in members:
        member = _member_of(row)
        by_call[row[0]][member.user_id] = member
    return {row[0]: stored_from(row, by_call[row[0]]) for row in calls}


def _readable(calls: Sequence[Any], members: Sequence[Any]) -> dict[UUID, Stored]:
    found = dict[UUID, Stored]()
    for call in calls:
        with contextlib.suppress(Unreadable):
            found |= _all_of([call], [row for row in members if row[0] == call[0]])
    return found


async def load_for(
    session: Connection, session_id: UUID, users: Sequence[str] | None
) -> tuple[datetime, Stored]:
    """The database clock, and a call that this transaction holds, as its commands need it.

    `users`: the members that they are about; None: they need all. Of a large call, where that is
    enough, these are loaded and the others counted.
    """
    _, (row,) = await answer(session, COUNTED, {"id": session_id})
    now, due_at_, count, joined, ringing = row[len(CALL) :]
    stored = stored_from(row[: len(CALL)], {})
    all_of_it = Others(count, joined, ringing, due_at_ or now)
    if users is not None and may_be_partial(stored.call, all_of_it, now):
        values = {"id": session_id, "users": list(users)}
        _, found = await answer(session, AMONG_MEMBERS, values)
        call = part_of(stored.call, all_of_it, _by_user(found))
    else:
        _, found = await answer(session, MEMBERS, {"ids": [session_id]})
        call = replace(stored.call, members=_by_user(found))
    return now, replace(stored, call=call)


def _by_user(rows: Iterable[Sequence[Any]]) -> Mapping[str, Member]:
    return MappingProxyType({member.user_id: member for member in map(_member_of, rows)})


def _member_of(row: Sequence[Any]) -> Member:
    """The columns of MEMBERS."""
    own, ring_ = row[1 : 1 + len(MEMBER)], row[1 + len(MEMBER) :]
    try:
        return member_from(own, ring_from(ring_))
    except FAULTS as error:
        raise unreadable("call", row[0], error) from error


DEVICE_OF_CALL_TOKEN = f"""
    LEFT JOIN devices d
        ON d.id = :device AND d.tenant_id = r.tenant_id AND d.user_id = r.user_id
    LEFT JOIN removed_devices x
        ON x.id = :device AND x.tenant_id = r.tenant_id AND x.user_id = r.user_id
    LEFT JOIN LATERAL (
        SELECT t.registered_at FROM targets p
        CROSS JOIN LATERAL (SELECT * FROM tokens WHERE id = p.token_id OFFSET 0) t
        WHERE {of_ring("p", "r.uuid", "r.session_id")}
            AND p.device_row = :device AND p.purpose = 'ring' AND t.user_id <> r.user_id LIMIT 1
    ) moved ON true
"""  # noqa: S608  (constants)
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
