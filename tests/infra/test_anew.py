"""A transaction that PostgreSQL ends for another's sake is begun again, and not without end."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.infra.anew import TRIES, anew
from app.infra.db import Connection, Database, one
from app.infra.outage import ended_for_another, sqlstate

MADE = text("CREATE TABLE things (id integer PRIMARY KEY, was text NOT NULL)")
TWO = text("INSERT INTO things VALUES (1, ''), (2, '')")
WRITE = text("UPDATE things SET was = was || :who WHERE id = :id")


async def test_of_two_that_wait_for_each_other_both_are_done(database: str) -> None:
    db = Database(database)
    async with db.transaction() as session:
        await session.execute(MADE)
        await session.execute(TWO)
    both = asyncio.Barrier(2)
    begun: list[str] = []

    async def write(who: str, first: int, then: int) -> str:
        async def work(session: Connection) -> str:
            begun.append(who)
            await session.execute(WRITE, {"who": who, "id": first})
            if begun.count(who) == 1:
                await both.wait()
            await session.execute(WRITE, {"who": who, "id": then})
            return who

        return await anew(db, work)

    assert await asyncio.gather(write("a", 1, 2), write("b", 2, 1)) == ["a", "b"]
    assert 2 < len(begun) <= 2 * TRIES, "PostgreSQL ended one of them, or one after the other"
    async with db.autocommit() as session:
        row = await one(session, text("SELECT min(was) AS l, max(was) AS m FROM things"))
    assert row in ({"l": "ab", "m": "ab"}, {"l": "ba", "m": "ba"}), "each was written once"
    await db.close()


@pytest.mark.parametrize(("state", "tries"), [("40P01", TRIES), ("40001", TRIES), ("55P03", 1)])
async def test_it_is_begun_so_often_and_no_more(database: str, state: str, tries: int) -> None:
    db = Database(database)
    begun = 0

    async def work(session: Connection) -> None:
        nonlocal begun
        begun += 1
        raised = f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{state}'; END $$"
        await session.execute(text(raised))

    with pytest.raises(DBAPIError) as told:
        await anew(db, work)
    assert (begun, sqlstate(told.value)) == (tries, state)
    assert ended_for_another(told.value) == (tries > 1)
    await db.close()
