"""Rows of live calls: those of many users at once, and those whose members are owed an update."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from app.core.limits import BOUNDS
from app.infra import clock
from app.infra.db import Connection, many
from app.infra.ids import least_uuid7
from app.infra.statements import answer

LIVE_OF_USERS = text("""
    SELECT m.tenant_id, m.user_id, c.id
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
    JOIN members m ON m.tenant_id = w.tenant_id AND m.user_id = w.user_id AND m.session_id > :since
    JOIN calls c ON c.id = m.session_id
    WHERE c.ended_at IS NULL ORDER BY c.id
""")
SILENT = text("""
    SELECT DISTINCT c.id
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[]), CAST(:devices AS text[]))
        AS w(tenant_id, user_id, device_id)
    JOIN members m ON m.tenant_id = w.tenant_id AND m.user_id = w.user_id
        AND m.device_id = w.device_id AND m.monitored AND m.session_id > :since
    JOIN calls c ON c.id = m.session_id AND c.state = 'active'
    WHERE m.state = 'away' OR m.state = 'joined' AND m.seen_at < clock_timestamp()
        - make_interval(secs => CAST(c.limits ->> 'away' AS double precision) / 3)
    ORDER BY c.id
""")
LOCK_FREE = text("""
    SELECT id FROM calls WHERE id = ANY(CAST(:ids AS uuid[]))
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")


async def of_users(
    session: Connection, users: Sequence[tuple[UUID, str]]
) -> list[tuple[UUID, str, UUID]]:
    """(tenant, user, call) of every live call of these users."""
    values = {"tenants": [one[0] for one in users], "users": [one[1] for one in users]}
    rows = await many(session, LIVE_OF_USERS, values | {"since": oldest()})
    return [(row["tenant_id"], row["user_id"], row["id"]) for row in rows]


async def of_silent(session: Connection, devices: Sequence[tuple[UUID, str, str]]) -> list[UUID]:
    """Active calls that these (tenant, user, device) have joined and not shown life in of late."""
    values = {
        "tenants": [one[0] for one in devices],
        "users": [one[1] for one in devices],
        "devices": [one[2] for one in devices],
    }
    return [row["id"] for row in await many(session, SILENT, values | {"since": oldest()})]


def oldest() -> UUID:
    """No live call has an id below this one: ids begin with their time, and calls have a length.

    It keeps a user's past calls out of the search for the live ones.
    """
    return least_uuid7(clock.now() - timedelta(seconds=BOUNDS["length"][1], hours=2))


async def lock_free(session: Connection, ids: Sequence[UUID]) -> list[UUID]:
    """Lock those of these calls that nobody holds."""
    return [row["id"] for row in await many(session, LOCK_FREE, {"ids": list(ids)})]


OWING = text("""
    SELECT id FROM calls WHERE tenant_id = :tenant AND owed IS NOT NULL
        AND created_at <= coalesce(CAST(:before AS timestamptz), 'infinity')
""")


async def owing(session: Connection, tenant_id: UUID, before: datetime | None = None) -> list[UUID]:
    """The tenant's calls, begun by then, that owe somebody a ring (`app.calls.slices`)."""
    rows = await many(session, OWING, {"tenant": tenant_id, "before": before})
    return [row["id"] for row in rows]


OWE_UPDATE = text("""
    UPDATE calls SET update_due_at = coalesce(update_due_at, clock_timestamp())
    WHERE id = ANY(CAST(:ids AS uuid[])) AND ended_at IS NULL
""")
UPDATES_DUE = text("""
    SELECT id FROM calls
    WHERE update_due_at <= statement_timestamp() AND id <> ALL(CAST(:aside AS uuid[]))
    ORDER BY update_due_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")
LOCK_UPDATES = text("""
    SELECT id, told_seq FROM calls
    WHERE id = ANY(CAST(:ids AS uuid[])) AND update_due_at <= clock_timestamp()
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")
UPDATED = text("""
    UPDATE calls c SET told_seq = c.event_seq, update_due_at = n.due_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:dues AS timestamptz[])) AS n(id, due_at)
    WHERE c.id = n.id
""")


async def owe_update(session: Connection, ids: Sequence[UUID]) -> None:
    """Members of these calls, which this transaction holds, are to be told what has changed.

    Of a call that has ended they were told that; nothing more follows.
    """
    await answer(session, OWE_UPDATE, {"ids": list(ids)})


async def updates_due(session: Connection, limit: int, aside: Sequence[UUID]) -> list[UUID]:
    """Calls that nobody holds and whose members are owed an update, but for those `aside`."""
    values = {"limit": limit, "aside": list(aside)}
    return [row["id"] for row in await many(session, UPDATES_DUE, values)]


async def lock_updates(session: Connection, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Lock those of these calls that are free and owe an update.

    For each the number of the event up to which its members have been told.
    """
    rows = await many(session, LOCK_UPDATES, {"ids": list(ids)})
    return {row["id"]: row["told_seq"] for row in rows}


async def updated(session: Connection, dues: Sequence[tuple[UUID, datetime | None]]) -> None:
    """Members of these calls know all there is; (call, when to look again)."""
    values = {"ids": [one[0] for one in dues], "dues": [one[1] for one in dues]}
    await session.execute(UPDATED, values)
