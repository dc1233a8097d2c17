"""Claiming costs what is claimed, also by a plan that was made while the table was empty."""

import json
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.webhooks import claims

FILL = """
    INSERT INTO deliveries (webhook_id, event_id, tenant_id, type, session_id, seq, state,
        created_at, due_at)
    SELECT '{webhook}', '{state}_' || n, '{webhook}', 'call.ended',
        CAST(md5('{state}' || n / 6) AS uuid), 1 + n % 6, '{state}', now(), now()
    FROM generate_series(1, {count}) n
"""
WORKER = """
    INSERT INTO workers (id, host, pid, started_at, alive_until)
    VALUES ('{worker}', 'test', 1, now(), now())
"""
AS_ONE_PROCESS = (
    "ALTER TABLE deliveries SET (autovacuum_enabled = false)",
    "SET enable_seqscan = off",
    "SET plan_cache_mode = force_generic_plan",
)


async def test_by_a_plan_of_an_empty_table_a_claim_looks_up_only_what_is_due(
    database: str,
) -> None:
    webhook, worker = uuid4(), uuid4()
    claim = str(claims.CLAIM.text)
    for name, place in ((":worker", "$1"), (":webhooks", "$2"), (":counts", "$3")):
        claim = claim.replace(name, place)
    execute = f"EXECUTE claim ('{worker}', ARRAY['{webhook}']::uuid[], ARRAY[16])"
    engine = create_async_engine(database)
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        for statement in AS_ONE_PROCESS:
            await connection.execute(text(statement))
        await connection.exec_driver_sql(WORKER.format(worker=worker))
        await connection.exec_driver_sql(f"PREPARE claim (uuid, uuid[], integer[]) AS {claim}")
        await connection.exec_driver_sql(execute)
        for state, count in (("delivered", 2_000), ("pending", 400)):
            fill = FILL.format(webhook=webhook, state=state, count=count)
            await connection.exec_driver_sql(fill)
        found = await connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}"
        )
        explained = found.scalar_one()
    await engine.dispose()
    (plan,) = explained if isinstance(explained, list) else json.loads(explained)
    assert plan["Plan"]["Actual Rows"] == 16
    assert plan["Plan"]["Shared Hit Blocks"] < 4_000, "it read all that is open for each"
