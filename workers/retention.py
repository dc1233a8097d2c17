"""Forgetting: what tenants keep for so many days goes in small batches, off the ring's path.

Each statement takes few rows, finds them by an index that begins with the tenant, and commits by
itself; nothing that a call or a push may still need is old enough to be here.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from app.infra.db import Session, many, one
from app.infra.runtime import Runtime
from app.tenants.schemas import tenant_settings
from app.webhooks import endpoints

BATCH = 500
CALLS = 50
"""Fewer at once: each goes with its members, rings, pushes, attempts and events."""

PAUSE = 0.02
"""Seconds between two batches: others get their turn at the disk."""

ONLY_ONE = text("SELECT pg_try_advisory_xact_lock(7465737, 2) AS mine")
TENANTS = text("SELECT id, settings FROM tenants ORDER BY id")


def _old(table: str, key: str, column: str, more: str = "") -> TextClause:
    """Delete a batch of one tenant's rows from before `:days` days."""
    return text(f"""
        DELETE FROM {table} WHERE ({key}) IN (
            SELECT {key} FROM {table}
            WHERE tenant_id = :tenant {more}
                AND {column} < clock_timestamp() - make_interval(secs => :days * 86400)
            ORDER BY {column} LIMIT :limit FOR UPDATE SKIP LOCKED)
    """)  # noqa: S608  (our own names)


OF_EVENT_DAYS = (
    _old("user_events", "tenant_id, user_id, seq", "at"),
    _old("events", "call_id, seq", "at"),
    _old("tenant_events", "id", "at"),
    _old("delivery_attempts", "id", "finished_at"),
    _old("deliveries", "webhook_id, event_id", "created_at", "AND state <> 'sending'"),
    _old("feeds", "tenant_id, user_id", "opened_at"),
)
OLD_CALLS = text("""
    SELECT id FROM calls
    WHERE tenant_id = :tenant AND ended_at IS NOT NULL
        AND ended_at < clock_timestamp() - make_interval(secs => :days * 86400)
    ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
PUSHES_OF_CALLS = text("""
    SELECT id FROM pushes WHERE ring IN (
        SELECT uuid FROM rings WHERE call_id = ANY(CAST(:calls AS uuid[])))
""")
OF_PUSHES = (
    text("DELETE FROM attempts WHERE push_id = ANY(CAST(:pushes AS uuid[]))"),
    text("DELETE FROM pushes WHERE id = ANY(CAST(:pushes AS uuid[]))"),
)
OF_CALLS = (
    text("DELETE FROM events WHERE call_id = ANY(CAST(:calls AS uuid[]))"),
    text("DELETE FROM idempotency WHERE call_id = ANY(CAST(:calls AS uuid[]))"),
)
CALLS_THEMSELVES = text("DELETE FROM calls WHERE id = ANY(CAST(:calls AS uuid[]))")
OLD_ATTEMPTS = text("""
    DELETE FROM attempts WHERE id IN (
        SELECT id FROM attempts
        WHERE finished_at < clock_timestamp() - make_interval(secs => :days * 86400)
        ORDER BY finished_at LIMIT :limit FOR UPDATE SKIP LOCKED)
""")
OLD_ANSWERS = text("""
    DELETE FROM idempotency WHERE (tenant_id, key) IN (
        SELECT tenant_id, key FROM idempotency
        WHERE created_at < clock_timestamp() - interval '24 hours'
        ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


async def forget(runtime: Runtime) -> int:
    """Go once through all that is old enough; answers how many rows went.

    If another worker is at it this one stops: it may come back to the rest the next time.
    """
    async with runtime.database.reading() as session:
        tenants = await many(session, TENANTS)
    gone, longest = 0, 0.0
    for tenant in tenants:
        settings = tenant_settings(tenant["settings"])
        longest = max(longest, settings.keep_events_days)
        for statement in OF_EVENT_DAYS:
            values = {"tenant": tenant["id"], "days": settings.keep_events_days}
            gone += await _in_batches(runtime, statement, values)
        gone += await _calls(runtime, tenant["id"], settings.keep_calls_days)
    if tenants:
        gone += await _in_batches(runtime, OLD_ATTEMPTS, {"days": longest})
    gone += await _in_batches(runtime, OLD_ANSWERS, {})
    async with runtime.database.transaction() as session:
        await endpoints.forget_secrets(session)
    return gone


async def _in_batches(runtime: Runtime, statement: TextClause, values: Mapping[str, Any]) -> int:
    gone = 0
    while True:
        async with runtime.database.transaction() as session:
            if not await _alone(session):
                return gone
            result = await session.execute(statement, {**values, "limit": BATCH})
        gone += result.rowcount
        if result.rowcount < BATCH:
            return gone
        await asyncio.sleep(PAUSE)


async def _calls(runtime: Runtime, tenant_id: UUID, days: float) -> int:
    gone = 0
    while True:
        async with runtime.database.transaction() as session:
            if not await _alone(session):
                return gone
            values = {"tenant": tenant_id, "days": days, "limit": CALLS}
            ids = [row["id"] for row in await many(session, OLD_CALLS, values)]
            if ids:
                await _forget_calls(session, ids)
        gone += len(ids)
        if len(ids) < CALLS:
            return gone
        await asyncio.sleep(PAUSE)


async def _forget_calls(session: Session, calls: list[UUID]) -> None:
    pushes = [row["id"] for row in await many(session, PUSHES_OF_CALLS, {"calls": calls})]
    for statement in OF_PUSHES if pushes else ():
        await session.execute(statement, {"pushes": pushes})
    for statement in (*OF_CALLS, CALLS_THEMSELVES):
        await session.execute(statement, {"calls": calls})


async def _alone(session: Session) -> bool:
    row = await one(session, ONLY_ONE)
    return row is not None and bool(row["mine"])
