"""A table that has doubled is analysed, and plans that were made while it was empty are made anew."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.infra.db import Connection, Database
from workers.analyzing import analyze_grown

WEBHOOK = uuid4()
FILL = text("""
    INSERT INTO deliveries (webhook_id, event_id, tenant_id, type, session_id, seq, state,
        created_at, due_at)
    SELECT CAST(:webhook AS uuid), 'evt_' || n, CAST(:webhook AS uuid), 'call.ended',
        CAST(md5('' || n) AS uuid), 1, 'delivered', now(), now()
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n
""")
OF_ROWS = """
    PREPARE of_rows (jsonb) AS
    SELECT d.state FROM jsonb_to_recordset($1) AS n(webhook_id uuid, event_id text)
    JOIN deliveries d USING (webhook_id, event_id)
"""
"""As many of ours are: rows come as JSON, and what they name is joined by its key."""
EXECUTE = f"""EXECUTE of_rows ('[{{"webhook_id": "{WEBHOOK}", "event_id": "evt_1"}}]')"""


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    connections = Database(database)
    async with connections.autocommit() as session:
        await session.execute(text("ALTER TABLE deliveries SET (autovacuum_enabled = false)"))
    yield connections
    await connections.close()


async def fill(database: Database, first: int, last: int) -> None:
    async with database.autocommit() as session:
        await session.execute(FILL, {"webhook": WEBHOOK, "first": first, "last": last})
        await session.execute(text("SELECT pg_stat_force_next_flush()"))


async def buffers(session: Connection) -> int:
    found = (
        await session.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {EXECUTE}")
    ).scalar_one()
    explained: list[Any] = found if isinstance(found, list) else json.loads(found)
    return int(explained[0]["Plan"]["Shared Hit Blocks"])


async def test_what_has_doubled_is_analysed_and_no_more(opened: Database) -> None:
    await analyze_grown(opened)  # what a migration has filled
    assert await analyze_grown(opened) == []
    await fill(opened, 1, 900)
    assert await analyze_grown(opened) == [], "so few are read fast by any plan"
    await fill(opened, 901, 2_000)
    assert await analyze_grown(opened) == ["deliveries"]
    await fill(opened, 2_001, 4_500)
    assert await analyze_grown(opened) == []
    await fill(opened, 4_501, 6_000)
    assert await analyze_grown(opened) == ["deliveries"]


async def test_a_locked_table_is_passed_over(opened: Database) -> None:
    await analyze_grown(opened)
    await fill(opened, 1, 2_000)
    async with opened.transaction() as session:
        await session.execute(text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))
        async with asyncio.timeout(4):  # before a wait for a lock would end
            await analyze_grown(opened)


async def test_a_plan_that_was_made_while_a_table_was_empty_is_made_anew(opened: Database) -> None:
    async with opened.autocommit() as session:
        await session.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        await session.exec_driver_sql(OF_ROWS)
        await session.exec_driver_sql(EXECUTE)
        await fill(opened, 1, 40_000)
        before = await buffers(session)
        await analyze_grown(opened)
        assert before > 400, "the plan of an empty table looked at few rows: this shows nothing"
        assert await buffers(session) < 50
