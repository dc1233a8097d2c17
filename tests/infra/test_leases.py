"""Work that one process does for all: by one at a time, not oftener than agreed, and always."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.infra import leases
from app.infra.db import Database
from app.infra.leases import as_only

ONE, OTHER = uuid4(), uuid4()


@pytest.fixture
async def made(database: str) -> AsyncIterator[Database]:
    made = Database(database, pool=4)
    yield made
    await made.close()


async def nothing() -> None:
    pass


async def test_one_at_a_time_and_not_oftener_than_agreed(made: Database) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def long() -> None:
        begun.set()
        await over.wait()

    working = asyncio.ensure_future(as_only(made, "test", ONE, long, every=3_600))
    await begun.wait()
    assert not await as_only(made, "test", OTHER, nothing, every=0)
    over.set()
    assert await working
    assert not await as_only(made, "test", OTHER, nothing, every=3_600)
    assert not await as_only(made, "test", ONE, nothing, every=3_600)
    assert await as_only(made, "other", OTHER, nothing, every=0)
    assert await as_only(made, "other", ONE, nothing, every=0)


async def test_it_lasts_as_long_as_the_work_without_an_open_transaction(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LASTS", 0.5)
    monkeypatch.setattr(leases, "RENEW", 0.1)
    open_ones = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state LIKE 'idle in transaction%'"
    )
    idle: list[int] = []

    async def long() -> None:
        for _ in range(12):
            await asyncio.sleep(0.1)
            assert not await as_only(made, "test", OTHER, nothing, every=0)
            async with made.autocommit() as session:
                idle.append((await session.execute(open_ones)).scalar_one())

    assert await as_only(made, "test", ONE, long, every=0)
    assert set(idle) == {0}


async def test_whose_holder_is_frozen_or_dead_is_taken_over(
    made: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LASTS", 0.2)
    monkeypatch.setattr(leases, "RENEW", 0.5)  # as if it had been frozen in between
    taken_over = asyncio.Event()
    given_up = True

    async def long() -> None:
        nonlocal given_up
        await taken_over.wait()
        await asyncio.sleep(3_600)
        given_up = False

    working = asyncio.ensure_future(as_only(made, "test", ONE, long, every=0))
    await asyncio.sleep(0.05)
    while not await as_only(made, "test", OTHER, nothing, every=3_600):
        await asyncio.sleep(0.01)
    taken_over.set()
    assert not await working
    assert given_up


async def test_work_that_fails_gives_it_back(made: Database) -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await as_only(made, "test", ONE, fails, every=0)
    assert await as_only(made, "test", OTHER, nothing, every=0)


async def test_it_stays_with_who_did_it_last_while_that_one_comes_in_time(made: Database) -> None:
    assert await as_only(made, "test", ONE, nothing, every=0, others_after=3_600)
    for _ in range(3):
        assert not await as_only(made, "test", OTHER, nothing, every=0, others_after=3_600)
        assert await as_only(made, "test", ONE, nothing, every=0, others_after=3_600)
    assert await as_only(made, "test", OTHER, nothing, every=0, others_after=0)


@pytest.mark.parametrize("other_holder", [False, True])
async def test_a_lease_of_a_clock_that_was_ahead_keeps_nobody(
    made: Database, other_holder: bool
) -> None:
    """A standby whose clock is two hours behind is promoted, say, or the clock is set right."""
    assert await as_only(made, "test", ONE, nothing, every=0.9, others_after=0.4)
    async with made.transaction() as session:
        await session.execute(text("UPDATE leases SET until = until + interval '2 hours'"))
    who = OTHER if other_holder else ONE
    assert await as_only(made, "test", who, nothing, every=0.9, others_after=0.4)
    assert not await as_only(made, "test", ONE, nothing, every=0.9, others_after=0.4)
