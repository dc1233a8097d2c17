"""Rows of preferences, blocks and handles; and SQL by which packages above look at them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.person import Handle, handle_key
from app.infra.db import Connection, dump_json, many, one

RULED = """(
    EXISTS (SELECT FROM preferences
        WHERE tenant_id = ANY(CAST(CAST(:tenants AS text) AS uuid[])))
    OR EXISTS (SELECT FROM blocks WHERE tenant_id = ANY(CAST(CAST(:tenants AS text) AS uuid[]))))
"""
"""Whether anybody of these tenants has preferences or blocks: most have none, and need no look."""
OF_PAIRS = """
    LEFT JOIN preferences p ON p.tenant_id = w.tenant_id AND p.user_id = w.callee
    LEFT JOIN blocks b ON b.tenant_id = w.tenant_id AND b.user_id = w.callee
        AND b.blocked_id = w.caller
"""
"""Of each (tenant, callee, caller) in `w`: the callee's preferences `p`, and a block `b`."""

READ = text("SELECT settings FROM preferences WHERE tenant_id = :tenant AND user_id = :user")
WRITE = text("""
    INSERT INTO preferences (tenant_id, user_id, settings, changed_at)
    VALUES (:tenant, :user, CAST(:settings AS jsonb), clock_timestamp())
    ON CONFLICT (tenant_id, user_id) DO UPDATE
        SET settings = excluded.settings, changed_at = excluded.changed_at
""")
FORGET = text("DELETE FROM preferences WHERE tenant_id = :tenant AND user_id = :user")
BLOCKS = text("""
    SELECT blocked_id, created_at FROM blocks WHERE tenant_id = :tenant AND user_id = :user
    ORDER BY blocked_id
""")
BLOCK = text("""
    INSERT INTO blocks (tenant_id, user_id, blocked_id, created_at)
    SELECT :tenant, :user, :blocked, clock_timestamp()
    WHERE (SELECT count(*) FROM blocks WHERE tenant_id = :tenant AND user_id = :user) < :most
        OR EXISTS (SELECT FROM blocks
            WHERE tenant_id = :tenant AND user_id = :user AND blocked_id = :blocked)
    ON CONFLICT (tenant_id, user_id, blocked_id) DO UPDATE SET created_at = blocks.created_at
    RETURNING created_at
""")
UNBLOCK = text("""
    DELETE FROM blocks WHERE tenant_id = :tenant AND user_id = :user AND blocked_id = :blocked
""")
FORGET_BLOCKS = text("""
    DELETE FROM blocks WHERE tenant_id = :tenant AND (user_id = :user OR blocked_id = :user)
""")
FORGET_HANDLES = text("DELETE FROM handles WHERE tenant_id = :tenant AND user_id = :user")
HANDLES = text("""
    SELECT kind, value FROM handles WHERE tenant_id = :tenant AND user_id = :user
    ORDER BY kind DESC, key
""")
_GIVEN = """unnest(CAST(:kinds AS text[]), CAST(:keys AS text[]), CAST(:values AS text[]))
    AS w(kind, key, value)"""
# in one order for everybody: two users who change handles with each other deadlock no one
LOCK_HANDLES = text(f"""
    SELECT h.user_id FROM handles h
    WHERE h.tenant_id = :tenant AND (h.user_id = :user
        OR (h.kind, h.key) IN (SELECT w.kind, w.key FROM {_GIVEN}))
    ORDER BY h.kind, h.key FOR UPDATE
""")  # noqa: S608  (constants)
DROP_HANDLES = text(f"""
    DELETE FROM handles h WHERE h.tenant_id = :tenant AND h.user_id = :user
        AND (h.kind, h.key) NOT IN (SELECT w.kind, w.key FROM {_GIVEN})
""")  # noqa: S608
SET_HANDLES = text(f"""
    INSERT INTO handles AS h (tenant_id, kind, key, user_id, value, created_at)
    SELECT :tenant, w.kind, w.key, :user, w.value, clock_timestamp() FROM {_GIVEN}
    ORDER BY w.kind, w.key
    ON CONFLICT (tenant_id, kind, key) DO UPDATE SET value = excluded.value
        WHERE h.user_id = excluded.user_id
    RETURNING h.kind
""")  # noqa: S608
WHOSE = text("""
    SELECT h.kind, h.key, h.user_id
    FROM unnest(CAST(:kinds AS text[]), CAST(:keys AS text[])) AS w(kind, key)
    JOIN handles h ON h.tenant_id = :tenant AND h.kind = w.kind AND h.key = w.key
""")
FORGET_NAMED = text("""
    UPDATE preferences SET settings = jsonb_set(
        settings, '{exceptions,users}', (settings #> '{exceptions,users}') - CAST(:user AS text))
    WHERE tenant_id = :tenant AND settings #> '{exceptions,users}' ? :user
""")


async def preferences(session: Connection, tenant_id: UUID, user_id: str) -> dict[str, Any] | None:
    """A user's preferences as they rest."""
    row = await one(session, READ, {"tenant": tenant_id, "user": user_id})
    return None if row is None else row["settings"]


async def set_preferences(
    session: Connection, tenant_id: UUID, user_id: str, settings: dict[str, Any]
) -> None:
    """Replace a user's preferences; empty ones leave no row."""
    values = {"tenant": tenant_id, "user": user_id}
    if not settings:
        await session.execute(FORGET, values)
    else:
        await session.execute(WRITE, values | {"settings": dump_json(settings)})


async def blocks(session: Connection, tenant_id: UUID, user_id: str) -> list[dict[str, Any]]:
    """Whom a user has blocked, by id."""
    return await many(session, BLOCKS, {"tenant": tenant_id, "user": user_id})


async def block(
    session: Connection, tenant_id: UUID, user_id: str, blocked: str, most: int
) -> datetime | None:
    """Block somebody; since when they are, None when the user has blocked as many as may be."""
    values = {"tenant": tenant_id, "user": user_id, "blocked": blocked, "most": most}
    row = await one(session, BLOCK, values)
    return None if row is None else row["created_at"]


async def unblock(session: Connection, tenant_id: UUID, user_id: str, blocked: str) -> bool:
    """Take a block back; False when there was none."""
    values = {"tenant": tenant_id, "user": user_id, "blocked": blocked}
    return bool((await session.execute(UNBLOCK, values)).rowcount)


async def handles(session: Connection, tenant_id: UUID, user_id: str) -> list[dict[str, Any]]:
    """A user's handles as they were given."""
    return await many(session, HANDLES, {"tenant": tenant_id, "user": user_id})


async def set_handles(
    session: Connection, tenant_id: UUID, user_id: str, wanted: Sequence[Handle]
) -> bool:
    """Replace a user's handles; False, and nothing is to be kept, when one is another's."""
    values = _columns(tenant_id, wanted) | {"user": user_id}
    values["values"] = [one.value for one in wanted]
    await session.execute(LOCK_HANDLES, values)
    await session.execute(DROP_HANDLES, values)
    return len(await many(session, SET_HANDLES, values)) == len(wanted)


async def whose(
    session: Connection, tenant_id: UUID, wanted: Sequence[Handle]
) -> dict[Handle, str]:
    """The users to whom these handles belong; without those that are nobody's."""
    rows = await many(session, WHOSE, _columns(tenant_id, wanted))
    found = {(row["kind"], row["key"]): row["user_id"] for row in rows}
    keys = ((one, (one.kind.value, handle_key(one))) for one in wanted)
    return {one: found[key] for one, key in keys if key in found}


def _columns(tenant_id: UUID, wanted: Sequence[Handle]) -> dict[str, Any]:
    return {
        "tenant": tenant_id,
        "kinds": [one.kind.value for one in wanted],
        "keys": [handle_key(one) for one in wanted],
    }


async def forget_user(session: Connection, tenant_id: UUID, user_id: str) -> bool:
    """Everything of a user who is erased, and their name in what others want.

    Whether there was anything: users may have wishes and handles before they are first rung.
    """
    values = {"tenant": tenant_id, "user": user_id}
    done = [
        (await session.execute(statement, values)).rowcount
        for statement in (FORGET, FORGET_HANDLES, FORGET_BLOCKS, FORGET_NAMED)
    ]
    return any(done)
