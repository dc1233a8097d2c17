"""Removing what a deleted tenant has left: a few rows at a time, off the ring's path.

Each batch is found by an index, deleted and committed by itself, and nothing is remembered but by
what is left: a worker that is killed at any moment is followed by one that goes on. Tenants take
turns, batch by batch. Credentials go first; what a call alone leads to (pushes, their attempts,
rings) goes before it; the tenant's own row goes last, when no table has one of its rows.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import TextClause, text

from app.audit.log import SERVER, WHOLE_SERVER, record
from app.calls import closing
from app.infra import tenant_rows
from app.infra.bisection import AHEAD, Aside, found_ahead
from app.infra.db import Connection, many
from app.infra.locks import Only, only_one
from app.infra.observe import TENANT_ROWS_REMOVED
from app.infra.outage import is_away
from app.infra.runtime import Runtime
from app.infra.tenant_rows import TenantTable
from app.tenants import store as tenants
from workers.retention import BATCH, CALLS_THEMSELVES, OF_PUSHES, PAUSE

log = structlog.get_logger(__name__)

CALLS: Final = 200
"""Calls whose rows are looked for together at most; fewer of those with many rings."""

EVERY: Final = 5.0
LONGEST: Final = 20.0
"""Seconds between two rounds, and after which one ends: the next goes on where it stopped."""

LEAST: Final = 30.0
"""Seconds after its deletion before which a tenant's own row does not go: nothing is under way any
more by then that had begun before, and might still write."""

FIRST: Final = "credentials"
BY_CALL: Final = "calls"
ASIDE: Final = Aside[UUID]("deleted tenants")

SOME_CALLS: Final = text("""
    SELECT s.id FROM (
        SELECT c.id, sum(r.n) OVER (ORDER BY c.created_at, c.id) - r.n AS before
        FROM (
            SELECT id, created_at FROM calls WHERE tenant_id = :tenant
            ORDER BY created_at LIMIT :together
        ) c CROSS JOIN LATERAL (SELECT 1 + count(*) AS n FROM rings WHERE session_id = c.id) r
    ) s WHERE s.before < :most
""")
PUSHES: Final = text("""
    SELECT id FROM pushes WHERE ring = ANY(ARRAY(
        SELECT uuid FROM rings WHERE session_id = ANY(CAST(:calls AS uuid[])))) LIMIT :most
""")
OF_CALLS: Final = (
    text("""
        DELETE FROM attempts WHERE push_id = ANY(ARRAY(
            SELECT unnest(push_ids) FROM push_batches
            WHERE session_id = ANY(CAST(:calls AS uuid[]))))
    """),
    text("""
        DELETE FROM rings WHERE uuid = ANY(ARRAY(
            SELECT uuid FROM rings WHERE session_id = ANY(CAST(:calls AS uuid[])) LIMIT :most))
    """),
    text("""
        DELETE FROM members WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM members WHERE session_id = ANY(CAST(:calls AS uuid[])) LIMIT :most))
    """),
    CALLS_THEMSELVES,
)


class Elsewhere(Exception):
    """Another worker is at it."""


async def remove(runtime: Runtime) -> int:
    """Go one round; returns how many rows went. What fails of one tenant keeps no other's."""
    end, gone = time.monotonic() + LONGEST, 0
    async with runtime.database.patient.autocommit() as session:
        found = await closing.removable(session)
    passed_over = ASIDE.keys() if found else ()
    works = deque((one, _batches(runtime, one)) for one in found if one not in passed_over)
    try:
        while works and time.monotonic() < end:
            tenant, work = works.popleft()
            rows = await _next(tenant, work)
            if rows is not None:
                gone += rows
                TENANT_ROWS_REMOVED.inc(rows)
                works.append((tenant, work))
                await asyncio.sleep(PAUSE)
    except Elsewhere:
        pass
    finally:
        for _, work in works:
            await work.aclose()
    return gone


async def _next(tenant: UUID, work: AsyncGenerator[int, None]) -> int | None:
    """Rows of the next batch; None when there is none, or it cannot be done now."""
    try:
        rows = await anext(work, None)
    except Exception as error:
        if isinstance(error, Elsewhere) or is_away(error):
            raise
        ASIDE.add(tenant, error)
        return None
    ASIDE.remove([tenant])
    return rows


async def _batches(runtime: Runtime, tenant_id: UUID) -> AsyncGenerator[int, None]:
    """Remove a tenant's rows, batch by batch: after each, how many went."""
    async with runtime.database.patient.autocommit() as session:
        tables = await tenant_rows.tables(session)
    for table in sorted(tables, key=lambda one: (one.name != FIRST, one.name != BY_CALL)):
        if table.name == BY_CALL:
            async for rows in _calls(runtime, tenant_id):
                yield rows
            continue
        async for rows in _rows(runtime, table, tenant_id):
            yield rows
    await _finish(runtime, tables, tenant_id)


async def _rows(runtime: Runtime, table: TenantTable, tenant_id: UUID) -> AsyncGenerator[int, None]:
    """What is found of a table, until it is nothing, or nothing that is free."""

    async def find(most: int) -> list[str]:
        async with runtime.database.patient.autocommit() as session:
            return await tenant_rows.find(session, table, tenant_id, most)

    async for keys in found_ahead(find, BATCH, AHEAD):
        yield await _batch(runtime, table, tenant_id, keys)


async def _batch(runtime: Runtime, table: TenantTable, tenant_id: UUID, keys: Sequence[str]) -> int:
    async with runtime.database.patient.transaction() as session:
        await _alone(session)
        return await tenant_rows.remove(session, table, tenant_id, keys)


async def _calls(runtime: Runtime, tenant_id: UUID) -> AsyncGenerator[int, None]:
    """Calls, with what is found by them alone; each statement by itself, until it finds nothing."""
    values = {"tenant": tenant_id, "together": CALLS, "most": BATCH}
    while True:
        async with runtime.database.patient.autocommit() as session:
            calls = [row["id"] for row in await many(session, SOME_CALLS, values)]
        if not calls:
            return
        while rows := await _pushes(runtime, calls):
            yield rows
        for statement in OF_CALLS:
            while rows := await _of_calls(runtime, statement, calls):
                yield rows


async def _pushes(runtime: Runtime, calls: Sequence[UUID]) -> int:
    async with runtime.database.patient.transaction() as session:
        await _alone(session)
        found = await many(session, PUSHES, {"calls": calls, "most": BATCH})
        pushes = {"pushes": [row["id"] for row in found]}
        return sum([await _deleted(session, one, pushes) for one in OF_PUSHES]) if found else 0


async def _of_calls(runtime: Runtime, statement: TextClause, calls: Sequence[UUID]) -> int:
    async with runtime.database.patient.transaction() as session:
        await _alone(session)
        return await _deleted(session, statement, {"calls": calls, "most": BATCH})


async def _deleted(session: Connection, statement: TextClause, values: dict[str, Any]) -> int:
    wanted = {name: values[name] for name in statement.compile().params}
    return int((await session.execute(statement, wanted)).rowcount)


async def _alone(session: Connection) -> None:
    if not await only_one(session, Only.REMOVAL):
        raise Elsewhere


async def _finish(runtime: Runtime, tables: Sequence[TenantTable], tenant_id: UUID) -> None:
    """Delete the tenant's own row, unless something is left, or might still come."""
    async with runtime.database.patient.transaction() as session:
        await _alone(session)
        await tenants.hold_tenant(session, tenant_id)
        if await tenant_rows.count(session, tenant_id, 1, tables):
            return
        if not await tenants.remove(session, tenant_id, LEAST):
            return
        await record(session, SERVER, WHOLE_SERVER, "tenant.remove", f"tenant:{tenant_id}")
    log.info("tenant_removed", tenant=str(tenant_id))
