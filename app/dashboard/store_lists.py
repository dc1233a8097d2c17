"""What the lists and the page of one call read: bounded, by index, nothing is changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection, many, one
from app.push.targets import of_ring
from app.senders import RING_KINDS

USERS = text("""
    SELECT u.id, u.created_at,
           (SELECT count(*) FROM devices d WHERE d.tenant_id = u.tenant_id AND d.user_id = u.id)
               AS devices
    FROM users u
    WHERE u.tenant_id = :tenant AND u.id ~>~ CAST(:after AS text)
        AND u.id ~>=~ CAST(:low AS text) AND u.id ~<~ CAST(:high AS text)
    ORDER BY u.id USING ~<~ LIMIT :limit
""")
COUNTED: Final = 1_000
"""Users that are counted at most: so many are read for it, however many there are."""

COUNT_USERS = text("""
    SELECT count(*) AS n FROM (
        SELECT FROM users
        WHERE tenant_id = :tenant AND id ~>=~ CAST(:low AS text) AND id ~<~ CAST(:high AS text)
        ORDER BY id USING ~<~ LIMIT :most
    ) u
""")
BY_ENDING = text("""
    SELECT t.user_id, d.device_id, d.name, t.kind, t.app_id, right(t.token, 8) AS ending,
           t.retired_at
    FROM tokens t JOIN devices d ON d.id = t.device_row
    WHERE t.tenant_id = :tenant AND right(t.token, 4) = right(CAST(:digits AS text), 4)
        AND right(t.token, length(:digits)) = :digits
    ORDER BY t.registered_at DESC LIMIT :limit
""")


async def users(
    session: Connection, tenant_id: UUID, beginning: str, after: str, limit: int
) -> list[dict[str, Any]]:
    """Users whose id begins so, by id, those after the id `after`.

    Compared byte by byte, as the index does that serves it whatever the database's language is.
    """
    values = {"tenant": tenant_id, "after": after, "limit": limit} | _range(beginning)
    return await many(session, USERS, values)


async def count_users(session: Connection, tenant_id: UUID, beginning: str) -> int:
    """How many users there are whose id begins so; COUNTED + 1 where it is more than COUNTED."""
    values = {"tenant": tenant_id, "most": COUNTED + 1} | _range(beginning)
    found = await one(session, COUNT_USERS, values)
    return 0 if found is None else int(found["n"])


def _range(beginning: str) -> dict[str, str]:
    return {"low": beginning, "high": beginning + chr(0x10FFFF)}


# who has not been rung or registered yet may have wishes and handles all the same
USER = text("""
    SELECT 1 FROM users WHERE tenant_id = :tenant AND id = :user
    UNION ALL SELECT 1 FROM preferences WHERE tenant_id = :tenant AND user_id = :user
    UNION ALL SELECT 1 FROM blocks WHERE tenant_id = :tenant AND user_id = :user
    UNION ALL SELECT 1 FROM handles WHERE tenant_id = :tenant AND user_id = :user
    LIMIT 1
""")


async def user_exists(session: Connection, tenant_id: UUID, user_id: str) -> bool:
    """Whether the tenant has this user."""
    return await one(session, USER, {"tenant": tenant_id, "user": user_id}) is not None


async def tokens_ending(
    session: Connection, tenant_id: UUID, digits: str, limit: int = 20
) -> list[dict[str, Any]]:
    """Tokens whose last digits are these four or more (hex, lower case), with their owners."""
    return await many(session, BY_ENDING, {"tenant": tenant_id, "digits": digits, "limit": limit})


# By the rings of the user's newest calls: no index of pushes names a device (decision 12).
LAST_PUSHES = text(f"""
    WITH theirs AS MATERIALIZED (
        SELECT p.* FROM (
            SELECT session_id FROM members WHERE tenant_id = :tenant AND user_id = :user
            ORDER BY session_id DESC LIMIT 100
        ) m CROSS JOIN LATERAL (
            SELECT uuid FROM rings WHERE session_id = m.session_id AND user_id = :user OFFSET 0
        ) r CROSS JOIN LATERAL (
            SELECT device_row AS id, session_id, state, reason, created_at, answered_at
            FROM targets p WHERE {of_ring("p", "r.uuid", "m.session_id")} OFFSET 0
        ) p
    )
    SELECT id, a.answered_at, a.session_id, l.state, l.reason, l.created_at
    FROM (SELECT DISTINCT ON (id) * FROM theirs ORDER BY id, created_at DESC) l
    LEFT JOIN (
        SELECT DISTINCT ON (id) * FROM theirs WHERE state = 'accepted' ORDER BY id, created_at DESC
    ) a USING (id)
""")  # noqa: S608  (constants)


async def last_pushes(
    session: Connection, tenant_id: UUID, user_id: str
) -> dict[UUID, dict[str, Any]]:
    """By device: its last accepted push (`answered_at`, `session_id`), how its last one ended.

    Of pushes for the user's hundred newest calls.
    """
    rows = await many(session, LAST_PUSHES, {"tenant": tenant_id, "user": user_id})
    return {row["id"]: row for row in rows}


# The members of a call as far as a list shows them: the first four callees and how many there are.
CALLEES = """
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object(
                'user_id', f.user_id, 'name', f.person ->> 'name', 'state', f.state)) AS callees
        FROM (SELECT user_id, state, person FROM members m
              WHERE m.session_id = c.id AND m.role = 'callee' ORDER BY user_id LIMIT 4) f
    ) s ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS callee_count FROM members m
        WHERE m.session_id = c.id AND m.role = 'callee'
    ) n ON true
"""
COLUMNS = """
    c.id, c.type, c.name, c.state, c.reason, c.caller_id, c.caller_name, c.title, c.video,
    c.created_at, c.active_at, c.ended_at, s.callees, n.callee_count
"""
CONDITIONS = {
    "live": "c.ended_at IS NULL",
    "reason": "c.reason = :reason",
    "type": "c.type = :type",
    "user": "c.id IN (SELECT session_id FROM theirs)",
    "before": "(c.created_at, c.id) < (CAST(:before AS timestamptz), CAST(:before_id AS uuid))",
}


async def calls(
    session: Connection,
    tenant_id: UUID,
    *,
    live: bool = False,
    reason: str | None = None,
    call_type: str | None = None,
    user: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Calls, the newest first. Of a user, among that user's thousand newest."""
    values: dict[str, Any] = {"tenant": tenant_id, "limit": limit}
    wanted = ["c.tenant_id = :tenant"]
    given = {"reason": reason, "type": call_type, "user": user}
    values |= {name: value for name, value in given.items() if value}
    if before is not None:
        values |= {"before": before[0], "before_id": before[1]}
    for name, condition in CONDITIONS.items():
        if name in values or (name == "live" and live):
            wanted.append(condition)
    # the text holds the conditions above only; every value is bound
    theirs = """WITH theirs AS MATERIALIZED (
        SELECT session_id FROM members WHERE tenant_id = :tenant AND user_id = :user
        ORDER BY session_id DESC LIMIT 1000)"""
    statement = f"""
        {theirs if user else ""}
        SELECT {COLUMNS} FROM (
            SELECT * FROM calls c WHERE {" AND ".join(wanted)}
            ORDER BY c.created_at DESC, c.id DESC LIMIT :limit
        ) c {CALLEES} ORDER BY c.created_at DESC, c.id DESC
    """  # noqa: S608
    return await many(session, text(statement), values)


MEMBERS = text("""
    SELECT m.user_id, m.role, m.state, m.person, cardinality(r.shown_on) AS devices,
           count(*) OVER () AS all_members
    FROM members m LEFT JOIN rings r ON r.uuid = m.ring
    WHERE m.session_id = :call ORDER BY m.role DESC, m.user_id LIMIT :limit
""")


async def members(session: Connection, session_id: UUID, limit: int) -> list[dict[str, Any]]:
    """The first `limit` members of a call: the caller, then the callees by id.

    `devices`: on how many screens their latest ring has been; `all_members`: how many there are.
    """
    return await many(session, MEMBERS, {"call": session_id, "limit": limit})


TOKENS_OF = text("""
    SELECT t.user_id, t.kind, t.app_id, right(t.token, 4) AS ending, t.retired_at, t.retired_reason,
           t.expires_at, d.name AS device_name, t.registered_at
    FROM tokens t JOIN devices d ON d.id = t.device_row
    WHERE t.tenant_id = :tenant AND d.tenant_id = :tenant
        AND d.user_id = ANY(CAST(:users AS text[])) AND t.kind = ANY(CAST(:kinds AS text[]))
    ORDER BY t.registered_at LIMIT 200
""")


async def ringing_tokens(
    session: Connection, tenant_id: UUID, users: Sequence[str]
) -> list[dict[str, Any]]:
    """The tokens of these users that ring, also retired ones: why nobody could be rung."""
    return await many(
        session, TOKENS_OF, {"tenant": tenant_id, "users": list(users), "kinds": list(RING_KINDS)}
    )


LIVE = text("SELECT count(*) AS live FROM calls WHERE tenant_id = :tenant AND ended_at IS NULL")


async def live_calls(session: Connection, tenant_id: UUID) -> int:
    """How many of the tenant's calls live now."""
    row = await one(session, LIVE, {"tenant": tenant_id})
    assert row is not None
    return int(row["live"])
