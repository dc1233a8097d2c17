"""Forgetting: what is old goes, in batches; what is not stays."""

import asyncio

import pytest
from sqlalchemy import text

from app.infra.db import one
from app.infra.ids import uuid7
from app.tenants import service as tenants
from tests.e2e.house import Tenant, eventually, new_tenant
from tests.houses import HouseMaker
from tests.live.listener import listening
from workers import retention
from workers.retention import BATCH, Progress, forget, forget_as_only

TABLES = {
    "events": "at",
    "user_events": "at",
    "deliveries": "created_at",
    "delivery_attempts": "finished_at",
}


async def count(tenant: Tenant, table: str) -> int:
    rows = await tenant.rows(f"SELECT count(*) AS n FROM {table} WHERE tenant_id = :tenant")
    return int(rows[0]["n"])


async def filled(tenant: Tenant) -> None:
    """A webhook that takes nothing, a feed, a call that has ended, an idempotency key."""
    await tenant.api.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"})
    async with listening(tenant.house.apis[0].url, tenant.token_for("bob")) as bob:
        await bob.wait_for("snapshot")
        body = {"id": "old", "caller": {"id": "alice"}, "callees": ["bob"]}
        answer = await tenant.api.post("/v1/calls", json=body, headers={"Idempotency-Key": "k"})
        await tenant.act(answer.json(), "end")
        await bob.wait_for("call.ended")


async def test_events_go_after_seven_days_with_their_week_and_calls_after_ninety(
    backend: Tenant,
) -> None:
    await filled(backend)
    before = {table: await count(backend, table) for table in (*TABLES, "calls", "members")}
    await forget(backend.runtime)
    assert {table: await count(backend, table) for table in before} == before
    for table, column in TABLES.items():
        await backend.execute(
            f"UPDATE {table} SET {column} = {column} - interval '17 days' WHERE tenant_id = :t",
            t=backend.id,
        )
    await backend.execute("UPDATE idempotency SET created_at = created_at - interval '25 hours'")
    await forget(backend.runtime)
    assert [await count(backend, table) for table in TABLES] == [0, 0, 0, 0]
    assert await count(backend, "idempotency") == 0
    assert await count(backend, "calls") == 1
    assert await count(backend, "feeds") == 1
    await backend.execute(
        "UPDATE calls SET ended_at = ended_at - interval '91 days' WHERE tenant_id = :t",
        t=backend.id,
    )
    await backend.execute(
        "UPDATE feeds SET opened_at = opened_at - interval '8 days' WHERE tenant_id = :t",
        t=backend.id,
    )
    await forget(backend.runtime)
    for table in ("calls", "members", "rings", "pushes", "feeds"):
        assert await count(backend, table) == 0


async def test_a_tenant_sets_for_itself_how_long(backend: Tenant) -> None:
    """What is kept the longest goes with its week; this is what should have and has not."""
    await filled(backend)
    await backend.execute(
        "UPDATE tenants SET settings = '{\"keep_events_days\": 30}' WHERE id = :t", t=backend.id
    )
    await backend.execute(
        "UPDATE events SET at = at - interval '8 days' WHERE tenant_id = :t", t=backend.id
    )
    kept = await count(backend, "events")
    await forget(backend.runtime)
    assert await count(backend, "events") == kept > 0
    await backend.execute(
        "UPDATE events SET at = at - interval '32 days' WHERE tenant_id = :t", t=backend.id
    )
    await forget(backend.runtime)
    assert await count(backend, "events") == 0


async def test_two_workers_at_once_and_more_than_a_batch(backend: Tenant) -> None:
    await backend.execute(
        "INSERT INTO user_events (tenant_id, user_id, seq, at, body)"
        " SELECT :t, 'bob', n, clock_timestamp() - interval '17 days', '{}'"
        " FROM generate_series(1, :n) AS n",
        t=backend.id,
        n=3 * BATCH + 7,
    )
    await asyncio.gather(forget(backend.runtime), forget(backend.runtime))
    if await count(backend, "user_events"):
        await forget(backend.runtime)
    assert await count(backend, "user_events") == 0


async def test_no_look_passes_over_all_that_was_deleted_before(make_house: HouseMaker) -> None:
    """A dump held vacuum back: each batch was found past all the batches before it."""
    rows, house = 8 * BATCH, make_house(apis=0, workers=0)
    read = text("""
        SELECT CAST(sum(idx_tup_read) AS bigint) AS n FROM pg_stat_user_indexes
        WHERE relname = 'tenant_events'
    """)
    async with house.runtime() as dumping:
        tenant = (await tenants.create(dumping, "old")).id
        async with dumping.database.transaction() as session:
            await session.execute(
                text("""
                    INSERT INTO tenant_events (id, tenant_id, type, at, data)
                    SELECT gen_random_uuid(), :t, 'x', clock_timestamp() - interval '17 days', '{}'
                    FROM generate_series(1, :n)
                """),
                {"t": tenant, "n": rows},
            )
            await session.execute(text("ANALYZE tenant_events"))
        async with dumping.database.patient.transaction() as dump:
            await dump.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            await dump.execute(text("SELECT FROM tenants"))
            async with house.runtime() as forgetting:  # as it ends, it tells what it has read
                assert await forget(forgetting) >= rows
        async with dumping.database.autocommit() as session:
            found = await one(session, read)
            left = await one(session, text("SELECT count(*) AS n FROM tenant_events"))
    assert left == {"n": 0}
    assert found is not None
    assert rows <= found["n"] < 3 * rows


async def test_a_round_that_is_too_long_goes_on_where_it_stopped_and_one_worker_does_it(
    backend: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LONGEST", -1.0)
    tenants = [row["id"] for row in await backend.rows("SELECT id FROM tenants ORDER BY id")]
    progress, seen = Progress(tenants[0]), []
    for _ in (*tenants, 1):
        await forget(backend.runtime, progress)
        seen.append(progress.after)
    assert seen == (tenants * 3)[1 : len(tenants) + 2]
    await backend.execute("DELETE FROM leases WHERE name = 'forget'")
    assert await forget_as_only(backend.runtime, uuid7(), Progress())
    assert not await forget_as_only(backend.runtime, uuid7(), Progress())


async def test_a_row_a_table_or_a_tenant_that_cannot_be_forgotten_keeps_nothing_of_others(
    backend: Tenant,
) -> None:
    await filled(backend)
    for table in ("events", "user_events"):
        await backend.execute(
            f"UPDATE {table} SET at = at - interval '8 days' WHERE tenant_id = :t", t=backend.id
        )
    await backend.execute(
        "CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'kept' USING ERRCODE = '23000'; END $$"
    )
    mine = f"OLD.tenant_id = '{backend.id}'"
    for table, when in (("events", f"OLD.seq = 2 AND {mine}"), ("user_events", mine)):
        await backend.execute(
            f"CREATE TRIGGER keep BEFORE DELETE ON {table} FOR EACH ROW WHEN ({when})"
            " EXECUTE FUNCTION keep()"
        )
    odd = "00000000-0000-7000-8000-00000000000f"
    await backend.execute(
        f"INSERT INTO tenants (id, name, settings) VALUES ('{odd}', 'odd', '{{\"odd\": 1}}')"
    )
    try:
        kept = await count(backend, "user_events")
        await forget(backend.runtime)
        assert await count(backend, "events") == 1
        assert await count(backend, "user_events") == kept > 0
    finally:
        for table in ("events", "user_events"):
            await backend.execute(f"DROP TRIGGER keep ON {table}")
        await backend.execute(f"DELETE FROM tenants WHERE id = '{odd}'")


async def test_who_has_millions_of_old_rows_takes_no_others_turn(
    backend: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days are cut from years to one, say: others' rows, and answers that are over, go meanwhile."""
    monkeypatch.setattr(retention, "TURN", 0.0)
    monkeypatch.setattr(retention, "BATCH", 10)
    async with new_tenant(backend.house) as other:
        for one, count_of in ((backend, 400), (other, 15)):
            await one.execute(
                "INSERT INTO tenant_events (id, tenant_id, type, at, data)"
                " SELECT gen_random_uuid(), :t, 'webhook.disabled', now() - interval '9 days', '{}'"
                " FROM generate_series(1, CAST(:n AS integer)) n",
                t=one.id, n=count_of,
            )  # fmt: skip
        going = asyncio.create_task(forget(backend.runtime))

        async def gone() -> bool:
            return not await count(other, "tenant_events")

        await eventually(gone, every=0.01)
        assert await count(backend, "tenant_events") > 100
        await going
        assert not await count(backend, "tenant_events")
