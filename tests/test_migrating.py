"""Migrations beside those who work: nobody waits behind them, two do not run at once, and what was
broken off is carried on."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.infra import schema
from app.infra.connections import LONG
from app.infra.db import Database
from devkit.embedded import running_postgres
from migrations.running import Held, by_moments
from tests import forks
from tests.conftest import DatabaseServer
from tests.operating.roll import older
from tests.test_migrations import PUSH, differences

_, ROLLING = older()
"""The schema from which upgrades roll."""

HOT = ("calls", "members", "rings", "pushes", "attempts", "events", "user_events", "tokens",
       "devices", "users", "workers", "feeds")  # fmt: skip
WRITES = """
    UPDATE pushes SET attempts = attempts + 1;
    UPDATE calls SET ended_at = ended_at WHERE id = CAST(md5('c') AS uuid);
    DELETE FROM tokens WHERE id = CAST(md5('k') AS uuid);
    DELETE FROM devices WHERE id = CAST(md5('d') AS uuid);
    DELETE FROM workers WHERE id = CAST(md5('w') AS uuid)
"""
WITHIN = "1s"
"""What a writer waits for a lock: much more than a migration may hold it up, and far less than a
reader holds its own."""


@asynccontextmanager
async def held(database: Database, tables: tuple[str, ...] = HOT) -> AsyncIterator[None]:
    """As a dump does: it has read these tables, and its transaction goes on."""
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        for table in tables:
            await session.execute(text(f"LOCK TABLE {table} IN ACCESS SHARE MODE"))
        yield


class Writer:
    """Writes to hot tables again and again; to wait long for a lock is its failure."""

    def __init__(self, database: Database) -> None:
        self.rounds = 0
        self.stopped = False
        self._database = database

    async def write(self) -> None:
        while not self.stopped:
            async with self._database.transaction() as session:
                await session.execute(text(f"SET LOCAL lock_timeout = '{WITHIN}'"))
                for statement in WRITES.split(";"):
                    await session.execute(text(statement))
            self.rounds += 1
            await asyncio.sleep(0.01)

    async def goes_on(self, rounds: int) -> None:
        end = self.rounds + rounds
        while self.rounds < end:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def writing(database: Database) -> AsyncIterator[Writer]:
    writer = Writer(database)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.write())
        yield writer
        writer.stopped = True


async def at(url: str) -> str | None:
    database = Database(url, pool=1)
    try:
        return await schema.revision_of(database)
    finally:
        await database.close()


async def test_nobody_who_writes_waits_behind_a_migration_that_waits(empty_database: str) -> None:
    await asyncio.to_thread(schema.upgrade, empty_database, ROLLING)
    database, said = Database(empty_database), list[str]()
    async with database.transaction() as session:
        await session.execute(text(PUSH), {"states": ["pending"]})
    async with writing(database) as writer:
        async with held(database):
            migration = asyncio.create_task(
                asyncio.to_thread(schema.upgrade, empty_database, "head", said.append)
            )
            while not said:  # it has waited for some seconds
                await writer.goes_on(10)
            assert not migration.done()
            assert "ringline, for" in said[0]
        await migration
        await writer.goes_on(10)
    await database.close()
    assert await at(empty_database) == schema.head_revision()


async def test_who_is_in_the_way_is_said_when_it_is_given_up(database: str) -> None:
    holding = Database(database, pool=1)
    engine = create_async_engine(
        database, poolclass=NullPool, connect_args={"server_settings": {"lock_timeout": "10ms"}}
    )
    async with holding.transaction() as session, engine.connect() as connection:
        await session.execute(text("LOCK TABLE calls IN ACCESS SHARE MODE"))
        pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()

        def lock(sync: object) -> None:
            by_moments(
                sync, lambda: sync.execute(text("LOCK TABLE calls")), print,
                after=sync.rollback, tries=2,
            )  # fmt: skip

        with pytest.raises(Held, match=rf"session {pid} of PostgreSQL \(ringline, for \d+ s\)"):
            await connection.run_sync(lock)
    await engine.dispose()
    await holding.close()


async def test_two_that_migrate_at_once_do_it_once(empty_database: str, tmp_path: Path) -> None:
    logs = [tmp_path / "one", tmp_path / "other"]
    both = [migrating(empty_database, log) for log in logs]
    assert [await asyncio.to_thread(one.wait, 100) for one in both] == [0, 0]
    said = sorted(log.read_text() for log in logs)
    assert said == ["", "Another process migrates this database; waiting for it ...\n"]
    assert await differences(empty_database) == []


def migrating(url: str, log: Path) -> forks.Process:
    """A process that does so, and what it says there."""
    with log.open("wb") as out:
        words = ("tests.upgrading", url)
        return forks.start(*words, env=os.environ, stdout=out.fileno(), stderr=sys.stderr.fileno())


async def test_a_migration_that_was_killed_is_carried_on(
    empty_database: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(schema.upgrade, empty_database, ROLLING)
    database = Database(empty_database)
    for table in ("tokens", "user_events", "calls"):
        async with held(database, (table,)):
            process = migrating(empty_database, tmp_path / table)
            end = time.monotonic() + 60
            while not (tmp_path / table).read_text().endswith("\n"):  # who is in the way
                assert time.monotonic() < end
                assert process.poll() is None
                await asyncio.sleep(0.02)
            process.kill()
            process.wait(10)
    await database.close()
    assert ROLLING < str(await at(empty_database)) < schema.head_revision()
    await asyncio.to_thread(schema.upgrade, empty_database)
    assert await differences(empty_database) == []


SLOW_VACUUM = """
    ALTER TABLE pushes SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_insert_threshold = 0, autovacuum_vacuum_insert_scale_factor = 0,
        autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)
"""
PUSHES = """
    INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose,
        kind, app_id, environment, token, token_registered_at, token_version, created_at, deadline,
        state, due_at)
    SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'bob',
        gen_random_uuid(), gen_random_uuid(), 'ring', 'voip', 'a.b', 'sandbox', 'ab', now(), 1,
        now(), now(), 'accepted', now() FROM generate_series(1, 5000)
"""
IS_VACUUMED = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'pushes'::regclass"


async def test_an_autovacuum_is_sent_away() -> None:
    """It would go on for minutes, and for hours where a table is large."""
    often = {"autovacuum_naptime": "1s"}
    with running_postgres(settings=often) as server:
        await asyncio.to_thread(schema.upgrade, server.url, ROLLING)
        database = Database(server.url, patience=LONG)
        async with database.autocommit() as session:
            await session.execute(text(PUSHES))
            await session.execute(text(SLOW_VACUUM))
            end = time.monotonic() + 60
            while not (await session.execute(text(IS_VACUUMED))).scalar_one():
                assert time.monotonic() < end, "no autovacuum came"
                await asyncio.sleep(0.1)
        begun = time.monotonic()
        await asyncio.to_thread(schema.upgrade, server.url, "0139")
        assert time.monotonic() - begun < 20
        await database.close()


READS_A_TABLE = re.compile(
    r"op\.create_(index|foreign_key|unique_constraint|check_constraint|primary_key|exclude_constraint)\("
    r"|CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)|nullable=False(?!.*server_default)|\bSET NOT NULL|\bTYPE\b"
)


def test_a_migration_reads_no_table_while_it_holds_up_writers() -> None:
    """From where upgrades roll on; a table that it makes itself is nobody's yet."""
    found = {}
    for path in sorted((schema.MIGRATIONS / "versions").glob("[0-9]*.py")):
        if path.name[:4] <= ROLLING:
            continue
        upgrade = path.read_text().partition("\ndef upgrade()")[2].partition("\ndef downgrade()")[0]
        for line in upgrade.splitlines():
            if READS_A_TABLE.search(line):
                found.setdefault(path.name[:4], []).append(line.strip())
    # 0140's are of push_batches, which it makes
    assert set(found) <= {"0140"}, found
    assert all("push_batches" in line or "Column" in line or line.startswith("op.create_index(")
               for line in found.get("0140", []))  # fmt: skip


def test_the_servers_own_role_is_told_what_it_lacks(
    empty_database: str, database_server: DatabaseServer
) -> None:
    """Tables that another role has made: to own the database is not enough."""
    from app.cli.faults import fault_of

    schema.upgrade(empty_database, ROLLING)
    role = "plain_" + empty_database.rpartition("_")[2].partition("?")[0]
    name = empty_database.rpartition("/")[2].partition("?")[0]
    database_server.execute(f"CREATE ROLE {role} LOGIN")
    database_server.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    try:
        with pytest.raises(Exception) as refused:
            schema.upgrade(empty_database.replace("postgres@", f"{role}@"))
        fault = fault_of(refused.value)
        assert (fault.code, "REASSIGN OWNED" in fault.sentence) == ("database", True), fault
    finally:
        database_server.execute(f"ALTER DATABASE {name} OWNER TO postgres")
        database_server.execute(f"DROP ROLE {role}")
