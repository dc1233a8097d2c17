"""What a new process goes through before its first ring."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from app.calls.ringing import resolve, ring_new
from app.calls.schemas import CallerIn, RingIn
from app.calls.warmup import rehearse
from app.infra.db import Connection, Database, many, one
from app.infra.ids import uuid7
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings
from app.push import worker_store
from app.push.dispatch import Dispatcher
from app.tenants.schemas import TenantSettings

ANY_ROW = """
    SELECT (SELECT count(*) FROM tenants) + (SELECT count(*) FROM devices)
         + (SELECT count(*) FROM tokens) + (SELECT count(*) FROM calls)
         + (SELECT count(*) FROM workers) AS rows
"""
PREPARED = text("SELECT statement FROM pg_prepared_statements WHERE statement ~ 'push_batches'")
PHONES = """
    WITH d AS (
        INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        SELECT gen_random_uuid(), :tenant, 'u' || n, 'd', now(), now()
        FROM generate_series(1, 12) n RETURNING id, user_id
    )
    INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
        registered_at, expires_at)
    SELECT d.id, :tenant, d.user_id, d.id, 'voip', 'com.example.app', 'production',
        md5(d.user_id), now(), now() + interval '9 days' FROM d
"""


@pytest.fixture
async def runtime(database: str, redis: str) -> AsyncIterator[Runtime]:
    opened = open_runtime(
        Settings(environment="development", database_url=database, redis_url=redis)
    )
    yield opened
    await opened.close()


async def test_a_ring_is_rehearsed_whole_and_nothing_of_it_stays(runtime: Runtime) -> None:
    """That it fails would only be a line in the log of a process that starts."""
    await rehearse(runtime)
    async with runtime.database.transaction() as session:
        assert await one(session, text(ANY_ROW), {}) == {"rows": 0}


async def prepared(session: Connection) -> set[str]:
    """What this connection has prepared of statements about batches."""
    return {row["statement"] for row in await many(session, PREPARED)}


async def test_the_first_group_finds_what_writes_its_batches_prepared(runtime: Runtime) -> None:
    await rehearse(runtime)
    tenant, users = uuid7(), [f"u{n}" for n in range(1, 13)]
    async with runtime.database.rehearsal() as session:
        known = await prepared(session)
        values = {"tenant": tenant}
        await session.execute(text("INSERT INTO tenants (id, name) VALUES (:tenant, 't')"), values)
        for user in users:
            await session.execute(
                text("INSERT INTO users (tenant_id, id) VALUES (:tenant, :user)"),
                values | {"user": user},
            )
        await session.execute(text(PHONES), values)
        await worker_store.enter_worker(session, tenant, host="h", pid=1, only=None, lease=9)
        request = RingIn(caller=CallerIn(id="alice"), callees=users)
        ring = resolve(tenant, TenantSettings(), request, device="server", key=None)
        await ring_new(session, [ring])
        written = await one(session, text("SELECT cardinality(rings) AS n FROM push_batches"))
        assert written == {"n": 12}
        new = await prepared(session) - known
        assert {sql for sql in new if "cardinality" not in sql} == set()


async def test_a_worker_finds_what_claims_and_records_batches_prepared(runtime: Runtime) -> None:
    dispatcher = Dispatcher(runtime)
    await dispatcher.rehearse()

    async def has(database: Database, words: str) -> bool:
        async with database.autocommit() as session:  # as claims and records do
            return any(words in " ".join(sql.split()) for sql in await prepared(session))

    assert await has(runtime.database, "UPDATE push_batches SET claimed_by =")
    assert await has(runtime.database.vital, "UPDATE push_batches b SET open_bits =")
    await dispatcher.stop(0)
