"""Connections to the database: what is set on each, and that no wait on one is without an end."""

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from structlog.testing import capture_logs

from app.infra import connections, db, outage
from app.infra.connections import ASKED, CROWD, LONG, SHORT, Patience
from app.infra.db import Connection, Database
from app.infra.outage import (
    DatabaseAway,
    DatabaseCrowded,
    is_away,
    is_busy,
    is_row_fault,
    is_transient,
)
from app.infra.settings import Settings
from app.infra.statements import KNOWN, answer, dicts
from tests.conftest import DatabaseServer
from tests.infra.silence import proxy_before

QUICK = replace(SHORT, lock=0.2, statement=0.4, answer=0.6, slot=0.3)


@pytest.fixture
async def quick(database: str) -> AsyncIterator[Database]:
    made = Database(database, pool=3, patience=QUICK)
    yield made
    await made.close()


Ask = Callable[[Connection, str], Awaitable[Any]]


async def by_sqlalchemy(session: Connection, sql: str) -> Any:
    result = await session.execute(text(sql))
    return result.scalar_one() if result.returns_rows else None


async def straight(session: Connection, sql: str) -> Any:
    _, rows = await answer(session, text(sql))
    return rows[0][0] if rows else None


either_way = pytest.mark.parametrize("ask", [by_sqlalchemy, straight])
"""Statements go to the driver by either; what errors mean is the same."""


async def show(database: Database, name: str, ask: Ask = by_sqlalchemy) -> str:
    async with database.autocommit() as session:
        return str(await ask(session, f"SHOW {name}"))


def shown(seconds: float) -> str:
    minutes = {60.0: "1min"}
    return minutes.get(seconds, f"{seconds:g}s")


async def test_every_pool_sets_what_it_needs_whatever_the_servers_defaults(
    database: str, database_server: DatabaseServer
) -> None:
    name = database.rpartition("/")[2].partition("?")[0]
    for setting in (
        "default_transaction_isolation = 'serializable'",
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'German, DMY'",
        "IntervalStyle = 'iso_8601'",
        "bytea_output = 'escape'",
        "standard_conforming_strings = off",
        "lock_timeout = '1h'",
        "statement_timeout = '1h'",
        "idle_in_transaction_session_timeout = 0",
        "idle_session_timeout = '1h'",
        "enable_seqscan = on",
    ):
        database_server.execute(f"ALTER DATABASE {name} SET {setting}")
    opened = db.connect(Settings(database_url=database))
    pools: list[tuple[Database, Patience]] = [
        (opened, SHORT),
        (opened.patient, LONG),
        (opened.vital, SHORT),
    ]
    for pool, patience in pools:
        expected = {
            "transaction_isolation": "read committed",
            "default_transaction_isolation": "read committed",
            "TimeZone": "UTC",
            "DateStyle": "ISO, MDY",
            "IntervalStyle": "postgres",
            "bytea_output": "hex",
            "standard_conforming_strings": "on",
            "lock_timeout": shown(patience.lock),
            "statement_timeout": shown(patience.statement),
            "idle_in_transaction_session_timeout": shown(patience.idle),
            "idle_session_timeout": "0",
            "enable_seqscan": "off",
        }
        assert {key: await show(pool, key) for key in expected} == expected
        async with pool.transaction() as session:
            isolation = await session.execute(text("SHOW transaction_isolation"))
            assert isolation.scalar_one() == "read committed"
    await opened.close()


@either_way
async def test_what_the_server_bounds(quick: Database, ask: Ask) -> None:
    with pytest.raises(Exception) as slow:
        async with quick.transaction() as session:
            await ask(session, "SELECT pg_sleep(60)")
    assert is_busy(slow.value)
    assert not is_away(slow.value)
    async with quick.transaction() as holding:
        await holding.execute(text("LOCK TABLE workers"))
        with pytest.raises(Exception) as held:
            async with quick.transaction() as session:
                await ask(session, "DELETE FROM workers")
    assert is_busy(held.value)
    assert is_transient(held.value)
    with pytest.raises(Exception) as bad:
        async with quick.transaction() as session:
            await ask(session, "SELECT 1 / 0")
    assert is_row_fault(bad.value)
    assert not is_transient(bad.value)


async def test_a_pool_that_is_used_up_is_away(quick: Database) -> None:
    async with quick.autocommit(), quick.autocommit(), quick.autocommit():
        with pytest.raises(DatabaseAway):
            async with quick.autocommit():
                pass


async def wait_for_one(database: Database) -> float:
    """Seconds until a connection could be had."""
    begun = time.monotonic()
    async with database.autocommit():
        return time.monotonic() - begun


def crowded() -> float:
    return REGISTRY.get_sample_value("ringline_database_crowded_total") or 0.0


async def test_where_others_have_waited_for_long_who_comes_is_told_so_soon(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has gone meanwhile would be served, and the next too late again."""
    monkeypatch.setattr(connections, "CROWDED_FROM", 0.2)
    asked = Database(database, pool=1, patience=replace(ASKED, slot=30.0, crowded=0.1))
    before = crowded()
    async with asked.autocommit():
        first = asyncio.create_task(wait_for_one(asked))
        await asyncio.sleep(0.25)
        begun = time.monotonic()
        with pytest.raises(DatabaseCrowded) as told:
            await wait_for_one(asked)
        assert 0.1 <= time.monotonic() - begun < 5
        assert not first.done()  # who came before that has the usual time
        assert not asked.turns_away()  # one waits
        assert crowded() == before + 1  # who waited in vain
        others = [asyncio.create_task(wait_for_one(asked)) for _ in range(CROWD)]
        await asyncio.sleep(0)
        assert asked.turns_away()
        assert crowded() == before + 2  # who was not let in
        found = await asyncio.gather(*others, return_exceptions=True)
        assert {type(one) for one in found} == {DatabaseCrowded}
        assert crowded() == before + 2 + CROWD  # each of them once
    assert await first >= 0.25
    assert not asked.turns_away()
    assert await wait_for_one(asked) < 5
    assert is_transient(told.value)
    refused = outage.unavailable(told.value)
    assert refused is not None
    assert refused.code == "busy"
    assert REGISTRY.get_sample_value("ringline_away", {"what": "database"}) == 0
    await asked.close()


async def test_who_are_many_and_are_all_served_in_time_are_turned_away_by_nobody(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it lasts: so is a machine used to the full by clients that wait for answers."""
    monkeypatch.setattr(connections, "CROWDED_FROM", 0.0)
    asked = Database(database, pool=1, patience=replace(ASKED, slot=30.0, crowded=20.0))
    waits = [asyncio.create_task(wait_for_one(asked)) for _ in range(100)]
    while not all(one.done() for one in waits):
        assert not asked.turns_away()
        await asyncio.sleep(0)
    assert max(one.result() for one in waits) < 20
    await asked.close()


async def test_who_waits_in_a_worker_waits_as_long_as_ever(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for no more than it can do, and nobody of its own gives up."""
    monkeypatch.setattr(connections, "CROWDED_FROM", 0.0)
    own = Database(database, pool=1, patience=replace(SHORT, slot=30.0, crowded=30.0))
    async with own.autocommit():
        waiting = [asyncio.create_task(wait_for_one(own)) for _ in range(8)]
        await asyncio.sleep(0.1)
        assert not own.turns_away()
        assert not any(one.done() for one in waiting)
    await asyncio.gather(*waiting)
    await own.close()


@either_way
async def test_a_silent_connection_is_given_up_and_thrown_away(database: str, ask: Ask) -> None:
    with proxy_before(database) as proxy:
        through = Database(proxy.url, pool=2, patience=QUICK)
        assert await show(through, "TimeZone") == "UTC"
        assert proxy.go_silent() == 1
        begun = time.monotonic()
        with pytest.raises(DatabaseAway):
            await show(through, "TimeZone", ask)
        assert time.monotonic() - begun < 5
        assert await show(through, "TimeZone") == "UTC"
        await through.close()


def beside(database: str, *ports: int) -> str:
    """The database's address as the last of several hosts, those before it being these ports."""
    url = make_url(database)
    hosts = ",".join(["127.0.0.1"] * len(ports) + [str(url.query.get("host", url.host))])
    numbers = ",".join(map(str, [*ports, url.query.get("port", url.port or 5432)]))
    several = {
        "host": hosts,
        "port": numbers,
        "dsn": "postgresql://?target_session_attrs=read-write",
    }
    return url.set(host=None, port=None, query=several).render_as_string(hide_password=False)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


async def test_a_host_that_is_silent_or_gone_holds_up_no_other(database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        through = Database(beside(database, silent.getsockname()[1], closed_port()), pool=1)
        assert await show(through, "TimeZone") == "UTC"
        await through.close()


async def test_a_connection_that_ends_while_it_is_set_up_is_an_outage(quick: Database) -> None:
    """The driver's own error then, which SQLAlchemy passes on as it is."""

    def end(adapted: Any, _record: Any) -> None:
        adapted.driver_connection.terminate()

    event.listen(quick.engine.sync_engine, "connect", end, insert=True)
    with pytest.raises(DatabaseAway) as raised:
        await show(quick, "server_version")
    assert isinstance(raised.value.__cause__, asyncpg.InterfaceError)
    assert is_away(raised.value)
    event.remove(quick.engine.sync_engine, "connect", end)
    assert await show(quick, "server_version")


async def test_no_host_that_takes_writes_is_an_outage(
    database: str, database_server: DatabaseServer
) -> None:
    name = make_url(database).database
    database_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    for url in (beside(database), beside(database, closed_port())):
        through = Database(url, pool=1)
        with pytest.raises(DatabaseAway):
            await show(through, "TimeZone")
        await through.close()


async def test_others_that_may_be_silent_too_are_asked_before_they_are_used(
    database: str,
) -> None:
    with proxy_before(database) as proxy:
        through = Database(proxy.url, pool=3, patience=QUICK)
        async with through.autocommit() as a, through.autocommit() as b, through.autocommit() as c:
            for one in (a, b, c):
                await one.execute(text("SELECT 1"))
        assert proxy.go_silent() == 3
        with pytest.raises(DatabaseAway):
            await show(through, "TimeZone")
        async with through.autocommit() as a, through.autocommit() as b, through.autocommit() as c:
            for one in (a, b, c):
                await one.execute(text("SELECT 1"))
        await through.close()


async def test_a_connection_that_was_long_unused_is_asked_first(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNUSED", 0.0)
    with proxy_before(database) as proxy:
        through = Database(proxy.url, pool=1, patience=SHORT)
        async with through.autocommit() as session:
            first = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        async with through.autocommit() as session:  # it does answer: it is kept
            assert (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one() == first
        proxy.go_silent()
        async with through.autocommit() as session:
            assert (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one() != first
        await through.close()


@either_way
async def test_abandoned_connections_fail_at_once_and_new_ones_are_made(
    database: str, ask: Ask
) -> None:
    with proxy_before(database) as proxy:
        through = Database(proxy.url, pool=2, patience=SHORT)
        await show(through, "TimeZone")
        proxy.go_silent()
        begun = time.monotonic()
        waiting = asyncio.ensure_future(show(through, "TimeZone", ask))
        await asyncio.sleep(0.05)
        through.abandon()
        with pytest.raises(Exception) as failed:
            await waiting
        assert is_away(failed.value)
        assert time.monotonic() - begun < SHORT.answer
        assert await show(through, "TimeZone") == "UTC"
        await through.close()


async def test_killed_sessions_are_noticed_by_nobody(
    database: str, database_server: DatabaseServer
) -> None:
    made = Database(database, pool=3)
    async with made.autocommit() as a, made.autocommit() as b, made.autocommit() as c:
        pids = [
            (await one.execute(text("SELECT pg_backend_pid()"))).scalar_one() for one in (a, b, c)
        ]
    for pid in pids:
        database_server.execute(f"SELECT pg_terminate_backend({pid})")
    await asyncio.sleep(0.05)
    async with made.autocommit() as a, made.autocommit() as b, made.autocommit() as c:
        for one in (a, b, c):
            assert (await one.execute(text("SELECT pg_backend_pid()"))).scalar_one() not in pids
    await made.close()


def test_an_outage_is_told_when_it_begins_once_a_minute_and_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr(outage, "time", SimpleNamespace(monotonic=lambda: now))
    told = outage.Outage("test")
    with capture_logs() as logs:
        for _ in range(1_000):  # 125 s of it
            told.seen(ConnectionRefusedError())
            now += 0.125
        told.over()
        told.over()
    assert [line["event"] for line in logs] == [
        "server_away", "server_still_away", "server_still_away", "server_back",
    ]  # fmt: skip
    assert [line.get("seconds") for line in logs] == [None, 60, 120, 125.0]
    assert logs[-1]["failures"] == 1_000


async def test_a_server_that_takes_no_writes_is_away_until_it_takes_some(
    database: str, database_server: DatabaseServer
) -> None:
    """What is only read is answered meanwhile, and is no news of its being back."""
    name = database.rpartition("/")[2].partition("?")[0]
    write = "DELETE FROM workers WHERE false"
    made = Database(database, pool=2)
    with capture_logs() as logs:
        for setting, refused in (("= on", True), ("= off", False)):
            made.abandon()
            database_server.execute(
                f"ALTER DATABASE {name} SET default_transaction_read_only {setting}"
            )
            for _ in range(3):
                with pytest.raises(DBAPIError) if refused else contextlib.nullcontext():
                    async with made.transaction() as session:
                        await session.execute(text(write))
                await show(made, "TimeZone")
                async with made.transaction() as session:
                    await session.execute(text("SELECT 1"))
    assert [line["event"] for line in logs] == ["server_away", "server_back"]
    assert (logs[0]["error"], logs[1]["failures"]) == ("ReadOnlySQLTransactionError 25006", 3)
    await made.close()


@pytest.mark.parametrize(
    ("setting", "noticed_by"),
    [
        ("default_transaction_read_only = on", "a write"),
        ("default_transaction_read_only = on", "a transaction"),
        ("default_transaction_read_only = on", "a look"),
        ("search_path = elsewhere", "a write"),
    ],
)
async def test_a_session_that_takes_no_writes_makes_way_for_one_that_may(
    database: str,
    database_server: DatabaseServer,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    noticed_by: str,
) -> None:
    """One that began while its database was to take none: a full disk, at many who host them."""
    monkeypatch.setattr(connections, "REMADE_AFTER", 0.0)
    name = database.rpartition("/")[2].partition("?")[0]
    made, write = Database(database, pool=1), text("DELETE FROM workers WHERE false")
    database_server.execute(f"ALTER DATABASE {name} SET {setting}")
    if noticed_by == "a look":
        async with made.autocommit() as session:
            assert await outage.refuses_writes(session)
    else:
        block = made.autocommit if noticed_by == "a write" else made.transaction
        with pytest.raises(DBAPIError):
            async with block() as session:
                await session.execute(write)
    database_server.execute(f"ALTER DATABASE {name} RESET {setting.partition(' ')[0]}")
    for block in (made.autocommit, made.transaction):
        async with block() as session:
            assert not await outage.refuses_writes(session)
            await session.execute(write)
    await made.close()


def test_a_server_without_room_is_back_when_nothing_fails_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk refuses what is written, and what is read is answered between."""
    now = 1_000.0
    monkeypatch.setattr(outage, "time", SimpleNamespace(monotonic=lambda: now))
    told = outage.Outage("test")
    with capture_logs() as logs:
        for _ in range(40):
            told.seen(DBAPIError("INSERT", {}, asyncpg.DiskFullError("no space left")))
            now += 1
            told.over()
        now += outage.QUIET
        told.over()
    assert [line["event"] for line in logs] == ["server_away", "server_back"]


def test_a_server_is_away_as_long_as_it_is_so_for_anybody() -> None:
    """Redis carries news and hints: one that is full still carries news."""

    def told() -> float | None:
        return REGISTRY.get_sample_value("ringline_away", {"what": "two"})

    news, hints = outage.Outage("two"), outage.Outage("two")
    news.seen(ConnectionRefusedError())
    hints.seen(ConnectionRefusedError())
    news.over()
    assert told() == 1
    hints.over()
    assert told() == 0


def test_a_server_that_serves_one_and_fails_the_next_is_one_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr(outage, "time", SimpleNamespace(monotonic=lambda: now))
    told = outage.Outage("test")
    with capture_logs() as logs:
        for _ in range(100):  # 20 s of it
            told.seen(DBAPIError("SELECT", {}, asyncpg.AdminShutdownError("terminated")))
            now += 0.1
            told.over()
            now += 0.1
        now += outage.QUIET
        told.over()
        now += 60
        told.seen(ConnectionRefusedError())
        told.over()
    assert [line["event"] for line in logs] == ["server_away", "server_back"] * 3
    assert logs[3]["failures"] == 99


async def test_who_goes_on_after_its_connection_was_lost_is_met_by_an_outage(
    database: str, database_server: DatabaseServer
) -> None:
    """Whoever asked before may have passed over the loss, as a look at what the server takes does."""
    made = Database(database, pool=1)
    with pytest.raises(PendingRollbackError) as lost:
        async with made.autocommit() as session:
            pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            database_server.execute(f"SELECT pg_terminate_backend({pid})")
            await asyncio.sleep(0.05)
            assert await outage.refuses_writes(session)
            await session.execute(text("SELECT 1"))
    assert is_away(lost.value)
    await show(made, "TimeZone")
    await made.close()


@pytest.mark.parametrize(
    ("error", "away", "fault"),
    [
        (asyncpg.ConnectionDoesNotExistError("gone"), True, False),
        (asyncpg.CannotConnectNowError("starting"), True, False),
        (asyncpg.UniqueViolationError("twice"), False, True),
        (PendingRollbackError("failed before", code="8s2a"), False, False),
    ],
)
def test_the_drivers_own_errors_mean_what_those_of_sqlalchemy_do(
    error: Exception, away: bool, fault: bool
) -> None:
    assert (is_away(error), is_row_fault(error)) == (away, fault)


async def test_nobody_there_is_told_once_and_when_it_is_over(database: str) -> None:
    with proxy_before(database) as proxy:
        url = proxy.url
        through = Database(url, pool=1, patience=QUICK)
        await show(through, "TimeZone")
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Exception) as away:
                await show(through, "TimeZone")
            assert is_away(away.value)
        assert [line["event"] for line in logs] == ["server_away"]
        assert "exc_info" not in logs[0]
    await through.close()


@pytest.mark.parametrize(
    "raised",
    ["53300", "57P03", "57P01", "53100", "25006", "08006"],
)
@either_way
async def test_what_the_server_says_when_it_cannot_serve(
    quick: Database, raised: str, ask: Ask
) -> None:
    with pytest.raises(Exception) as failed:
        async with quick.transaction() as session:
            await ask(
                session, f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{raised}'; END $$"
            )
    assert is_away(failed.value)
    assert not is_row_fault(failed.value)


@either_way
async def test_a_statement_that_is_given_up_takes_its_connection_along(
    quick: Database, ask: Ask
) -> None:
    async def wait(known: asyncio.Future[int]) -> None:
        async with quick.autocommit() as session:
            known.set_result(await ask(session, "SELECT pg_backend_pid()"))
            await ask(session, "SELECT pg_sleep(60)")

    known = asyncio.get_running_loop().create_future()
    waiting = asyncio.ensure_future(wait(known))
    pid = await known
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with quick.autocommit() as session:
        assert await ask(session, "SELECT pg_backend_pid()") != pid


@either_way
async def test_what_fails_is_taken_back_whole(quick: Database, ask: Ask) -> None:
    with pytest.raises(Exception) as failed:
        async with quick.transaction() as session:
            await ask(session, "CREATE TABLE given_up (id integer)")
            await ask(session, "SELECT CAST('x' AS integer)")
    assert is_row_fault(failed.value)
    async with quick.autocommit() as session:
        assert await ask(session, "SELECT to_regclass('given_up')") is None


@either_way
async def test_a_table_that_a_migration_changes_is_in_the_way_once(database: str, ask: Ask) -> None:
    made = Database(database, pool=2, patience=QUICK)
    other = Database(database, pool=1, patience=QUICK)
    try:
        async with other.autocommit() as migration:
            await migration.execute(text("CREATE TABLE grown (id integer)"))
            await migration.execute(text("INSERT INTO grown VALUES (7)"))
            async with made.autocommit() as one, made.autocommit() as two:
                for session in (one, two):
                    assert await ask(session, "SELECT * FROM grown") == 7
                await migration.execute(text("ALTER TABLE grown ADD COLUMN name text"))
                with pytest.raises(Exception) as stale:
                    await ask(one, "SELECT * FROM grown")
                assert is_transient(stale.value)
                for session in (one, two):  # another connection's, too, is prepared anew
                    assert await ask(session, "SELECT * FROM grown") == 7
    finally:
        await made.close()
        await other.close()


async def test_either_way_answers_are_the_same(quick: Database) -> None:
    assert KNOWN, "SQLAlchemy's inside has moved: docs/decisions/0032-statements-past-sqlalchemy.md"
    asked = text("""
        SELECT :a AS twice, CAST(:a AS text) || '\\:b' AS "a name", CAST(:j AS jsonb) AS j,
            gen_random_uuid() IS NULL AS no, CAST(NULL AS timestamptz) AS nothing, n
        FROM generate_series(1, CAST(:n AS integer)) AS n
    """)
    async with quick.autocommit() as session:
        for n in (0, 1, 3):
            values = {"n": n, "a": "x", "j": '{"k": [1, null]}', "more": 1}
            there = await session.execute(asked, values)
            names, rows = await answer(session, asked, values)
            assert names == tuple(there.keys())
            assert dicts((names, rows)) == [dict(row) for row in there.mappings()]
        assert await answer(session, text("SET LOCAL lock_timeout = 1")) == ((), deque())
        with pytest.raises(KeyError):
            await answer(session, asked, {"n": 1})


async def open_sessions(database: str, pids: list[int]) -> int:
    """How many of these the server still has."""
    asking = Database(database, pool=1)
    async with asking.autocommit() as session:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(:pids)"
        found = int((await session.execute(text(sql), {"pids": pids})).scalar_one())
    await asking.close()
    return found


async def pid_of(session: Connection) -> int:
    return int((await session.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def gone(database: str, pids: list[int]) -> None:
    """When the server has none of them any more."""
    end = time.monotonic() + 20
    while left := await open_sessions(database, pids):
        assert time.monotonic() < end, f"{left} of {len(pids)} sessions stay open"
        await asyncio.sleep(0.05)


async def test_what_is_in_use_when_all_is_closed_does_not_stay_open(database: str) -> None:
    """It would go back to a pool that nobody closes any more."""
    made = Database(database, pool=2)
    pids: list[int] = []
    closed = asyncio.Event()

    async def use(one: Database) -> None:
        async with one.autocommit() as session:
            pids.append(await pid_of(session))
            await closed.wait()

    using = [asyncio.create_task(use(one)) for one in (made, made, made.vital, made.patient)]
    while len(pids) < len(using):
        await asyncio.sleep(0.01)
    await made.close()
    closed.set()
    await asyncio.gather(*using, return_exceptions=True)
    await gone(database, pids)


async def test_a_pool_that_cannot_be_closed_leaves_no_other_open(database: str) -> None:
    made = Database(database, pool=1)
    pids: list[int] = []
    for one in (made, made.vital, made.patient):
        async with one.autocommit() as session:
            pids.append(await pid_of(session))

    def fail(*_: Any) -> None:
        raise OSError("a fault of the test")

    event.listen(made.engine.sync_engine, "close", fail)
    with pytest.raises(OSError, match="a fault"):
        await made.close()
    await gone(database, pids)
