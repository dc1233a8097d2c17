"""The migrations: from nothing to the newest and back, and in step with the models."""

from functools import partial

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.infra import db, schema
from app.infra.settings import Settings

PARTITIONS = text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relispartition")


async def tables_of(url: str) -> set[str]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        parts = await connection.execute(PARTITIONS)
    await engine.dispose()
    return set(names) - {"alembic_version"} - set(parts.scalars())


async def differences(url: str) -> list[object]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def is_no_partition(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in partitions

    import migrations.models  # noqa: F401

    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        partitions = set((await connection.execute(PARTITIONS)).scalars())
        found = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"include_name": is_no_partition}),
                db.Base.metadata,
            )
        )
    await engine.dispose()
    return list(found)


async def on_thread(work, *arguments):
    import asyncio

    await asyncio.to_thread(work, *arguments)


async def test_up_from_nothing_down_and_up_again(empty_database: str) -> None:
    assert await tables_of(empty_database) == set()
    await on_thread(schema.upgrade, empty_database)
    full = await tables_of(empty_database)
    assert {"calls", "members", "rings", "pushes", "events", "tokens"} <= full
    await on_thread(schema.downgrade, empty_database, "base")
    assert await tables_of(empty_database) == set()
    await on_thread(schema.upgrade, empty_database)
    assert await tables_of(empty_database) == full


async def test_every_revision_can_be_left_and_taken_again(database: str) -> None:
    engine = create_async_engine(
        database, poolclass=NullPool, connect_args={"prepared_statement_cache_size": 0}
    )
    async with engine.connect() as connection:
        left = await connection.run_sync(leave_and_take_each)
    await engine.dispose()
    assert left > 40
    assert await tables_of(database) == set()


def leave_and_take_each(connection: Connection) -> int:
    """Down, up and down again, from the newest revision to the first; returns how many there are.

    As Alembic's commands do it, but over one connection and with scripts that are read once: to begin
    anew costs more than a step, and here are some 140.
    """
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.attributes["say"] = lambda _sentence: None
    script = ScriptDirectory.from_config(config)

    def move(steps) -> None:
        with EnvironmentContext(config, script, fn=lambda at, _: steps(at)) as context:
            context.configure(connection=connection, transaction_per_migration=True)
            with context.begin_transaction():
                context.run_migrations()

    revisions = [one.revision for one in script.walk_revisions()]
    for revision in revisions:
        move(partial(script._downgrade_revs, "-1"))
        move(partial(script._upgrade_revs, revision))
        move(partial(script._downgrade_revs, "-1"))
    return len(revisions)


async def test_models_and_migrations_agree(database: str) -> None:
    assert await differences(database) == []


async def test_revision_is_known(database: str, empty_database: str) -> None:
    settings = Settings(database_url=database)
    one = db.connect(settings)
    assert await schema.revision_of(one) == schema.head_revision()
    await one.close()
    other = db.connect(Settings(database_url=empty_database))
    assert await schema.revision_of(other) is None
    await other.close()


async def test_the_database_clock_moves_within_a_transaction(database: str) -> None:
    one = db.connect(Settings(database_url=database))
    async with one.transaction() as session:
        first = await db.clock(session)
        await session.execute(text("SELECT pg_sleep(0.01)"))
        assert await db.clock(session) > first
    await one.close()


async def test_bundle_ids_of_one_app_become_one(empty_database: str) -> None:
    await on_thread(schema.upgrade, empty_database, "0113")
    engine = create_async_engine(empty_database, poolclass=NullPool)
    ids = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(9)]
    async with engine.begin() as connection:
        await connection.execute(
            text(f"""
            INSERT INTO tenants (id, name) VALUES ('{ids[0]}', 't');
            """)
        )
        await connection.execute(
            text(f"INSERT INTO users (tenant_id, id) VALUES ('{ids[0]}', 'bob')")
        )
        await connection.execute(
            text(f"""
            INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
            VALUES ('{ids[1]}', '{ids[0]}', 'bob', 'd', now(), now())
            """)
        )
        spellings = ("com.Example.App", "com.example.app.voip", "com.example.app", "other.app")
        for n, bundle in enumerate(spellings, 2):
            await connection.execute(
                text(f"""
                INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, bundle_id,
                    environment, token, registered_at, expires_at)
                VALUES ('{ids[n]}', '{ids[0]}', 'bob', '{ids[1]}', 'voip', '{bundle}',
                    'sandbox', 'ab', now() + {n} * interval '1 s', now())
                """)
            )
    await on_thread(schema.upgrade, empty_database, "0114")
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT id::text, bundle_id FROM tokens ORDER BY id"))
        assert [tuple(row) for row in rows] == [(ids[4], "com.example.app"), (ids[5], "other.app")]
    await engine.dispose()


PUSH = """
    INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose,
        kind, app_id, environment, token, token_registered_at, token_version, created_at, deadline,
        state, due_at)
    SELECT CAST(md5(s) AS uuid), CAST(md5(s) AS uuid), CAST(md5(s) AS uuid), CAST(md5('t') AS uuid),
        'bob', CAST(md5('d') AS uuid), CAST(md5('k') AS uuid), 'ring', 'voip', 'com.example.app',
        'sandbox', 'ab', now(), 1, now(), now() + interval '1 minute', s, now()
    FROM unnest(CAST(:states AS text[])) s
"""
# As workers of the release before claim and record.
CLAIMED_BEFORE = "UPDATE pushes SET state = 'sending', fence = fence + 1 WHERE state = 'pending'"
RECORDED_BEFORE = "UPDATE pushes SET state = 'accepted' WHERE state = 'sending'"


async def test_pushes_under_way_are_found_once_after_the_claims_in_place(
    empty_database: str,
) -> None:
    """Also those that a worker of the release before claims and records meanwhile."""
    from datetime import UTC, datetime

    from app.push import expiry

    await on_thread(schema.upgrade, empty_database, "0130")
    one = db.connect(Settings(database_url=empty_database))
    async with one.transaction() as session:
        states = ["pending", "sending", "accepted", "dropped"]
        await session.execute(text(PUSH), {"states": states})
    await on_thread(schema.upgrade, empty_database)
    ever = datetime(1, 1, 2, tzinfo=UTC)
    async with one.autocommit() as session:
        rows = await session.execute(text("SELECT state FROM pushes WHERE is_open ORDER BY state"))
        assert list(rows.scalars()) == ["pending", "sending"]
        assert len(await expiry.due(session, 9, [], ever)) == 1
        await session.execute(text(CLAIMED_BEFORE))
        assert await expiry.due(session, 9, [], ever) == []
        await session.execute(text(RECORDED_BEFORE))
        assert await expiry.due(session, 9, [], ever) == []
        left = await expiry.over(session, 9, [])
        assert len(left) == 2
        await expiry.expire(session, left)
        rows = await session.execute(text("SELECT state, is_open FROM pushes ORDER BY state"))
        assert [tuple(row) for row in rows] == [(s, False) for s in ["accepted"] * 3 + ["dropped"]]
    await one.close()


async def test_on_the_way_back_what_lies_in_batches_becomes_rows(database: str) -> None:
    """Taken, in a worker's hands, or not claimed yet: as the row for which each place stood."""
    from uuid import uuid4

    from app.push import batch_claims, worker_store
    from app.push.claims import ALWAYS
    from tests.push.test_claims_in_place import USERS, ring_all

    one, worker = db.connect(Settings(database_url=database)), uuid4()
    async with one.transaction() as session:
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=9)
        held = await batch_claims.claim_calls(session, worker, await ring_all(session), 1, ALWAYS)
        held[0].batch.take(1, held[0].batch.begun, held[0].batch.begun)
        await batch_claims.record(session, [held[0].batch])
        before = list(await session.execute(text(IN_ANY)))
    assert {row.state for row in before} == {"pending", "sending", "accepted"}
    await on_thread(schema.downgrade, database, "0145")
    async with one.autocommit() as session:
        assert list(await session.execute(text(IN_ANY))) == before
        assert (await session.execute(text("SELECT count(*) FROM pushes"))).scalar_one() == USERS
        assert (await session.execute(text("SELECT count(*) FROM push_batches"))).scalar_one() == 0
    await one.close()


IN_ANY = """
    SELECT id, ring, token, state, is_open, claimed_by, fence, attempts, status, sent_at, due_at
    FROM targets ORDER BY id
"""


async def test_templates_whose_placeholders_have_spaces_get_the_new_names(
    empty_database: str,
) -> None:
    """0.1.0 took `{{ call_id }}` as well; with the old name no setting of the tenant was readable."""
    from app.tenants.schemas import tenant_settings

    template = {
        "id": "{{ uuid }}", "call": "{{  call_id}}", "cid": "of {{call_cid }}", "at": "{{sent_at}}",
        "video": "{{ has_video }}", "why": "{{ callkit_reason? }}",
    }  # fmt: skip
    await on_thread(schema.upgrade, empty_database, "0119")
    one = db.connect(Settings(database_url=empty_database))
    stored = {"profiles": {"a.b": "custom"}, "templates": {"a.b": template}}
    async with one.transaction() as session:
        await session.execute(
            text("INSERT INTO tenants (id, name, settings) VALUES (:id, 't', CAST(:s AS jsonb))"),
            {"id": "00000000-0000-0000-0000-000000000001", "s": db.dump_json(stored)},
        )
    await on_thread(schema.upgrade, empty_database)
    async with one.autocommit() as session:
        found = (await session.execute(text("SELECT settings FROM tenants"))).scalar_one()
    renamed = tenant_settings(found).templates["a.b"]
    assert renamed["call"] == "{{  session_id}}"
    assert renamed["cid"] == "of {{cid }}"
    assert renamed["video"] == "{{ video }}"
    await one.close()
