"""A connection that stays out of its pool between two uses: whom it serves, and that it lives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text

from app.infra import connections
from app.infra.connections import SHORT
from app.infra.db import Connection, Database
from app.infra.outage import DatabaseAway
from app.infra.statements import answer
from tests.conftest import DatabaseServer
from tests.infra.silence import proxy_before

QUICK = replace(SHORT, answer=0.6, slot=0.3)
PID = text("SELECT pg_backend_pid()")


@pytest.fixture
async def of_two(database: str) -> AsyncIterator[Database]:
    made = Database(database, pool=2, patience=QUICK)
    yield made
    await made.close()


async def pid_of(session: Connection) -> int:
    _, rows = await answer(session, PID)
    return int(rows[0][0])


async def pid(database: Database) -> int:
    async with database.autocommit() as session:
        return await pid_of(session)


def takes(database: Database) -> list[None]:
    """Notes each time that a connection is taken from the pool."""
    taken: list[None] = []
    engine = database.engine.sync_engine
    event.listen(engine, "checkout", lambda *_: taken.append(None))
    return taken


async def test_lone_statements_take_it_from_the_pool_once(of_two: Database) -> None:
    taken = takes(of_two)
    assert len({await pid(of_two) for _ in range(5)}) == 1
    assert len(taken) == 1


async def test_what_sqlalchemy_calls_a_transaction_is_over_with_each_use(of_two: Database) -> None:
    taken = takes(of_two)
    for _ in range(3):
        async with of_two.autocommit() as session:
            assert not session.in_transaction()
            await session.execute(PID)
            assert session.in_transaction()
    assert len(taken) == 1


async def test_each_of_several_at_once_has_its_own(of_two: Database) -> None:
    await pid(of_two)
    async with of_two.autocommit() as one, of_two.autocommit() as other:
        assert await pid_of(one) != await pid_of(other)


async def test_a_lone_transaction_has_the_same_one(of_two: Database) -> None:
    """So what was prepared for either is there for both."""
    first = await pid(of_two)
    for _ in range(2):
        async with of_two.transaction() as session:
            assert await pid_of(session) == first
        assert await pid(of_two) == first


async def test_it_is_given_up_to_transactions_that_need_all_there_are(of_two: Database) -> None:
    await pid(of_two)
    async with AsyncExitStack() as all_of_them:
        sessions = [await all_of_them.enter_async_context(of_two.transaction()) for _ in range(2)]
        assert len({await pid_of(one) for one in sessions}) == 2


async def test_who_waits_for_one_of_the_pool_has_it_after_its_use(of_two: Database) -> None:
    async def transaction() -> int:
        async with of_two.transaction() as session:
            return await pid_of(session)

    await pid(of_two)
    async with of_two.transaction():
        async with of_two.autocommit() as session:
            mine = await pid_of(session)
            waits = asyncio.ensure_future(transaction())
            await asyncio.sleep(0.05)
            assert not waits.done()
        assert await waits == mine


async def test_one_that_was_used_in_vain_is_not_kept(of_two: Database) -> None:
    first = await pid(of_two)
    with pytest.raises(Exception, match="division"):
        async with of_two.autocommit() as session:
            await answer(session, text("SELECT 1 / 0"))
    with pytest.raises(DatabaseAway):
        async with of_two.autocommit() as session:
            assert await pid_of(session) == first
            await answer(session, text("SELECT pg_sleep(60)"))
    assert await pid(of_two) != first


async def test_one_that_has_ended_while_it_rested_is_noticed_by_nobody(
    of_two: Database, database_server: DatabaseServer
) -> None:
    for end in (of_two.abandon, None):
        first = await pid(of_two)
        if end is None:
            database_server.execute(f"SELECT pg_terminate_backend({first})")
            await asyncio.sleep(0.05)
        else:
            end()
        assert await pid(of_two) != first


async def test_one_that_rested_for_long_is_asked_whether_it_lives(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "UNUSED", 0.0)
    with proxy_before(database) as proxy:
        through = Database(proxy.url, pool=2, patience=SHORT)
        first = await pid(through)
        assert await pid(through) == first  # it does answer
        proxy.go_silent()
        assert await pid(through) != first
        await through.close()


async def test_after_a_wait_in_vain_it_is_asked_too(database: str) -> None:
    with proxy_before(database) as proxy:
        through = Database(proxy.url, pool=3, patience=QUICK)
        first = await pid(through)
        with pytest.raises(DatabaseAway):
            async with through.transaction() as session:
                proxy.go_silent()
                await answer(session, PID)
        assert await pid(through) != first
        await through.close()


async def test_none_is_left_open_when_its_database_is_closed(
    database: str, database_server: DatabaseServer
) -> None:
    made = Database(database, pool=2)
    first = await pid(made)
    left: Any = f"SELECT 1 / count(*) FROM pg_stat_activity WHERE pid = {first}"
    database_server.execute(left)  # it rests
    await made.close()
    with pytest.raises(Exception, match="division"):
        for _ in range(100):
            database_server.execute(left)
            await asyncio.sleep(0.02)
