"""Rows that are written together: what all of them say alike is said once."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, DateTime, MetaData, Table, Text, Uuid, text

from app.infra.db import Database, Insert, insert_all, insert_with, many

THINGS = Table(
    "things", MetaData(), Column("id", Uuid(), primary_key=True), Column("whose", Uuid()),
    Column("call", Uuid()), Column("at", DateTime(timezone=True)), Column("word", Text),
)  # fmt: skip
MADE = text("""
    CREATE TEMPORARY TABLE things (
        id uuid PRIMARY KEY, whose uuid NOT NULL, call uuid, at timestamptz NOT NULL, word text)
""")
ALL = text("SELECT id, whose, at, word FROM things ORDER BY id")
ME, OTHER = UUID(int=7), UUID(int=8)
NOW, THEN = datetime(2026, 1, 1, 0, 0, 0, 123_456, UTC), datetime(2025, 1, 1, tzinfo=UTC)
SAME = {"whose": ME, "at": NOW}


def thing(number: int, **more: Any) -> dict[str, Any]:
    return {"id": UUID(int=number), **more}


@pytest.mark.parametrize("together", [False, True], ids=["one table", "two"])
async def test_what_a_row_does_not_say_is_as_all_have_it(database: str, together: bool) -> None:
    rows = [thing(1), thing(2, word="b", at=THEN), thing(3, whose=OTHER), thing(4, word="d")]
    inserts = [Insert(THINGS, rows, columns=("id", "word"), same=SAME)]
    if together:
        more = [thing(9, whose=OTHER, at=THEN, word="z")]
        inserts.append(Insert(THINGS, more, "ON CONFLICT DO NOTHING"))
    db = Database(database)
    async with db.transaction() as session:
        await session.execute(MADE)
        await insert_all(session, inserts)
        found = [tuple(row.values()) for row in await many(session, ALL)]
    await db.close()
    assert found[:4] == [
        (UUID(int=1), ME, NOW, None),
        (UUID(int=2), ME, THEN, "b"),
        (UUID(int=3), OTHER, NOW, None),
        (UUID(int=4), ME, NOW, "d"),
    ]
    assert found[4:] == ([(UUID(int=9), OTHER, THEN, "z")] if together else [])


async def test_what_belongs_to_rows_that_were_taken_may_say_little_too(database: str) -> None:
    columns = ("id", "call", "word")
    first = Insert(
        THINGS, [thing(1), thing(2)], "ON CONFLICT (id) DO NOTHING", columns=columns, same=SAME
    )
    theirs = [thing(10 + n, call=UUID(int=n)) for n in (1, 2)]
    db = Database(database)
    async with db.transaction() as session:
        await session.execute(MADE)
        await insert_all(session, [Insert(THINGS, [thing(2, whose=OTHER, at=THEN)])])
        belong = Insert(THINGS, theirs, columns=columns, same={"whose": OTHER, "at": THEN})
        taken = await insert_with(session, first, [belong], by="call")
        found = [tuple(row.values()) for row in await many(session, ALL)]
    await db.close()
    assert taken == {UUID(int=1)}
    assert found == [
        (UUID(int=1), ME, NOW, None), (UUID(int=2), OTHER, THEN, None),
        (UUID(int=11), OTHER, THEN, None),
    ]  # fmt: skip
