"""Partitions by the week: made ahead, mended, dropped whole, and never long in a writer's way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.infra import partitions, schema
from app.infra.db import Database
from app.infra.ids import least_uuid7, uuid7
from app.infra.partitions import (
    EVER,
    MOVED,
    WEEK,
    Part,
    Weekly,
    WeeksMissing,
    made_until,
    missing,
    week_of,
)
from workers.partitions import PARTITIONED, longest

EVENTS, FEEDS, TRIES = PARTITIONED
TENANT = UUID(int=1)
MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
ADD = {
    EVENTS.table: """INSERT INTO events (session_id, seq, tenant_id, type, at, data)
        SELECT CAST(:session AS uuid), n, :tenant, 't', CAST(:at AS timestamptz), '{}'
        FROM generate_series(1, CAST(:rows AS integer)) n""",
    FEEDS.table: """INSERT INTO user_events (tenant_id, user_id, seq, at, body)
        SELECT :tenant, 'bob', n, CAST(:at AS timestamptz), '{}'
        FROM generate_series(1, CAST(:rows AS integer)) n
        WHERE CAST(:session AS uuid) IS NOT NULL""",
    TRIES.table: """INSERT INTO attempts (id, push_id, session_id, worker_id, fence, environment,
            started_at, finished_at)
        SELECT CAST(left(CAST(CAST(:session AS uuid) AS text), 24) || lpad(to_hex(n), 12, '0')
            AS uuid), :tenant, :tenant, :tenant, 1, 'production', CAST(:at AS timestamptz),
            CAST(:at AS timestamptz)
        FROM generate_series(1, CAST(:rows AS integer)) n""",
}


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    one = Database(database)
    yield one
    await one.close()


async def run(db: Database, sql: str, **values: Any) -> None:
    async with db.transaction() as session:
        await session.execute(text(sql), values)


async def add(db: Database, one: Weekly, at: datetime, rows: int = 1) -> None:
    """Rows from this time, of a call that began at it."""
    session = UUID(int=least_uuid7(at).int + 1)
    await run(db, ADD[one.table], tenant=TENANT, at=at, rows=rows, session=session)


async def count(db: Database, table: str) -> int:
    async with db.autocommit() as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def parts(db: Database, one: Weekly) -> list[Part]:
    async with db.autocommit() as session:
        return sorted(await partitions.parts_of(session, one), key=lambda part: part.until)


async def make(db: Database, one: Weekly, *names: str) -> None:
    """Have weeks made until these are: what finds no moment is tried again."""
    while not set(names) <= {part.name for part in await parts(db, one)}:
        await partitions.make_ahead(db, one)


async def drop(db: Database, one: Weekly, kept: timedelta, name: str) -> None:
    while name in {part.name for part in await parts(db, one)}:
        await partitions.drop_old(db, one, kept)


async def without_weeks(db: Database, one: Weekly) -> datetime:
    """Drop all weeks but the one of now; when that one ends."""
    first, *rest = await parts(db, one)
    for part in rest:
        await run(db, f"DROP TABLE {part.name}")
    return first.until


def metric(name: str, one: Weekly) -> float | None:
    return REGISTRY.get_sample_value(f"ringline_{name}", {"table": one.table})


def test_weeks_begin_on_mondays_and_are_made_until_three_weeks_from_now() -> None:
    second = timedelta(seconds=1)
    assert week_of(MONDAY) == MONDAY
    assert week_of(MONDAY - second) == MONDAY - WEEK
    assert week_of(MONDAY + WEEK - second) == MONDAY
    weeks = [MONDAY + n * WEEK for n in range(4)]
    first = Part("events_first", EVER, MONDAY)
    assert missing([first], MONDAY - second) == weeks[:3]
    made = [Part("x", week, week + WEEK) for week in weeks[:3]]
    assert missing([first, *made], MONDAY - second) == missing(made, MONDAY) == []
    assert missing(made, MONDAY + second) == [weeks[3]]
    assert made_until([first, *made], MONDAY - second) == made_until(made, MONDAY) == weeks[3]
    # one between that could not be made; after years without; a clock that was wrong for once
    assert missing([made[0], made[2]], MONDAY) == [weeks[1]]
    assert made_until([made[0], made[2]], MONDAY) == weeks[1]
    assert missing(made, MONDAY + 100 * WEEK) == [MONDAY + (100 + n) * WEEK for n in range(3)]
    assert missing([Part("x", EVER, MONDAY + 99 * WEEK)], MONDAY) == []


@pytest.mark.parametrize("one", PARTITIONED, ids=lambda one: one.table)
def test_a_bound_is_read_as_it_was_written(one: Weekly) -> None:
    assert one.time_of(one.bound(MONDAY)) == MONDAY


def test_the_longest_that_any_tenant_keeps_events_decides() -> None:
    assert longest([{}, {"keep_events_days": 30}, {"keep_events_days": 1}]) == 30
    assert longest([]) == longest([{}, {"nobody": "can read this"}]) == 90


@pytest.mark.parametrize("one", PARTITIONED, ids=lambda one: one.table)
async def test_a_week_that_lacked_its_partition_gets_its_rows_out_of_the_default_one(
    db: Database, one: Weekly
) -> None:
    end = await without_weeks(db, one)
    await add(db, one, end, 3)
    await add(db, one, end + WEEK, MOVED + 1)
    await add(db, one, end + 2 * WEEK)
    with pytest.raises(WeeksMissing, match="to come, 2,005 rows"):
        await partitions.measure(db, one)
    assert metric("partitions_ahead_seconds", one) == pytest.approx(
        (end - datetime.now(UTC)).total_seconds(), abs=600
    )
    assert metric("default_partition_rows", one) == MOVED + 5
    names = [f"{one.table}_{end + n * WEEK:%Y%m%d}" for n in range(3)]
    await make(db, one, names[0], names[2])
    made = [part.name for part in await parts(db, one)]
    assert made[:3] == [f"{one.table}_first", names[0], names[2]]
    assert [await count(db, name) for name in (names[0], names[2])] == [3, 1]
    # too many to move while writers wait: they stay, and are found
    assert await count(db, one.default) == MOVED + 1
    with pytest.raises(WeeksMissing, match="2,001 rows"):
        await partitions.measure(db, one)
    assert metric("default_partition_rows", one) == MOVED + 1
    await run(db, f"DELETE FROM {one.default}")
    await make(db, one, *names)
    await partitions.measure(db, one)
    assert await count(db, one.table) == 4
    before = await parts(db, one)
    await partitions.make_ahead(db, one)
    assert await parts(db, one) == before


@pytest.mark.parametrize("one", PARTITIONED, ids=lambda one: one.table)
async def test_a_week_goes_when_no_row_of_it_is_younger_than_the_longest_that_is_kept(
    db: Database, one: Weekly
) -> None:
    await run(db, "INSERT INTO tenants (id, name) VALUES (:tenant, 't')", tenant=TENANT)
    first, second, *later = await parts(db, one)
    await add(db, one, first.until - WEEK / 2, 2)
    await add(db, one, second.until - WEEK / 2, 2)
    await partitions.drop_old(db, one, timedelta(days=7))
    assert await count(db, one.table) == 4
    now = datetime.now(UTC)
    # as if it were a moment before the second week's end: a call of the first goes on until then
    kept = now - second.until + timedelta(minutes=5)
    if one is EVENTS:
        await run(db, "UPDATE events SET at = :at WHERE at < :until AND seq = 2",
                  at=second.until, until=first.until)  # fmt: skip
        await partitions.drop_old(db, one, kept)
        assert await parts(db, one) == [first, second, *later]
        await run(db, "UPDATE events SET at = :at WHERE at = :until",
                  at=first.until, until=second.until)  # fmt: skip
    await drop(db, one, kept, first.name)
    assert await parts(db, one) == [second, *later]
    assert await count(db, one.table) == 2


async def test_what_cannot_be_made_is_told_and_nothing_is_refused(db: Database) -> None:
    end = await without_weeks(db, EVENTS)
    lacking, later = (f"events_{end + n * WEEK:%Y%m%d}" for n in range(2))
    await run(db, f"CREATE TABLE {lacking} (odd integer)")
    while later not in {part.name for part in await parts(db, EVENTS)}:
        with pytest.raises(ProgrammingError, match="already exists"):
            await partitions.make_ahead(db, EVENTS)
    await add(db, EVENTS, end)
    assert await count(db, EVENTS.default) == 1
    await run(db, f"DROP TABLE {lacking}")
    await make(db, EVENTS, lacking)
    assert await count(db, lacking) == 1


AN_EVENT = """INSERT INTO events (session_id, seq, tenant_id, type, at, data)
    VALUES (:session, 1, :tenant, 't', :at, '{}')"""
A_USERS = """INSERT INTO user_events (tenant_id, user_id, seq, at, body)
    VALUES (:tenant, CAST(CAST(:session AS uuid) AS text), 1, :at, '{}')"""
A_TRY = """INSERT INTO attempts (id, push_id, session_id, worker_id, fence, environment, started_at,
        finished_at)
    VALUES (:session, :tenant, :tenant, :tenant, 1, 'production', :at, :at)
    ON CONFLICT (id) DO NOTHING"""


class Writer:
    """Adds an event, a user's and a try, again and again; to wait long for a lock is its failure.

    Three seconds, as this machine may have much else to do; behind a reader it would wait for ever.
    """

    def __init__(self, db: Database) -> None:
        self.rounds = 0
        self.stopped = False
        self._db = db

    async def write(self) -> None:
        while not self.stopped:
            async with self._db.transaction() as session:
                await session.execute(text("SET LOCAL lock_timeout = '3s'"))
                values = {"tenant": TENANT, "session": uuid7(), "at": datetime.now(UTC)}
                for sql in (AN_EVENT, A_USERS, A_TRY):
                    await session.execute(text(sql), values)
            self.rounds += 1
            await asyncio.sleep(0.01)

    async def goes_on(self, rounds: int = 20) -> None:
        end = self.rounds + rounds
        while self.rounds < end:
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def writing(db: Database) -> AsyncIterator[Writer]:
    writer = Writer(db)
    async with asyncio.TaskGroup() as group:
        group.create_task(writer.write())
        yield writer
        writer.stopped = True


@contextlib.asynccontextmanager
async def read_for_long(db: Database) -> AsyncIterator[None]:
    """As a dump does: it has read the tables, and its transaction goes on."""
    async with db.transaction() as session:
        for one in PARTITIONED:
            await session.execute(text(f"SELECT count(*) FROM {one.table}"))
        yield


async def test_a_writer_never_waits_for_long_while_tables_are_divided(database: str) -> None:
    """Also not while a reader that does not end keeps the migration waiting for its locks."""
    await asyncio.to_thread(schema.downgrade, database, "0142")
    db = Database(database)
    for one in PARTITIONED:
        await add(db, one, datetime.now(UTC), 2_000)
    async with writing(db) as writer:
        async with read_for_long(db):
            migration = asyncio.create_task(asyncio.to_thread(schema.upgrade, database))
            await writer.goes_on(50)
            assert not migration.done()
        await migration
        await writer.goes_on()
    for one in PARTITIONED:
        assert await count(db, one.table) == await count(db, f"{one.table}_first")
        assert await count(db, one.table) >= 2_000 + writer.rounds
    await db.close()


async def test_a_writer_never_waits_for_long_while_weeks_come_and_go(db: Database) -> None:
    end = await without_weeks(db, EVENTS)
    kept = datetime.now(UTC) - end - timedelta(hours=1)
    await add(db, EVENTS, end, MOVED)
    async with writing(db) as writer:
        async with read_for_long(db):
            for _ in range(3):
                await partitions.make_ahead(db, EVENTS)
                await partitions.drop_old(db, EVENTS, kept)
            await writer.goes_on()
            assert len(await parts(db, EVENTS)) == 1
        await make(db, EVENTS, f"events_{end:%Y%m%d}")
        assert await count(db, f"events_{end:%Y%m%d}") == MOVED
        await drop(db, EVENTS, kept, "events_first")
        await writer.goes_on()
