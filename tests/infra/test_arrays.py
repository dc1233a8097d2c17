"""What goes to PostgreSQL as the text of an array arrives as it was."""

from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as Read
from sqlalchemy import text

from app.core.identifiers import is_user_id
from app.infra.arrays import as_array, of_users
from app.infra.db import Database, one
from app.infra.ids import uuid7
from tests.chance import dice

ARRIVES = text("""
    SELECT CAST(CAST(:ids AS text) AS uuid[]) AS ids, CAST(CAST(:users AS text) AS text[]) AS users,
        CAST(CAST(:numbers AS text) AS integer[]) AS numbers
""")


async def test_ids_and_numbers_arrive_as_they_were(database: str) -> None:
    draw = dice()
    fit = [chr(point) for point in range(0x7F) if is_user_id(chr(point) + "a")]
    some = ["NULL", "null", "{}", "{a}", "'", "!", "a'b", "~", "-1"]
    users = some + ["".join(draw.choices(fit, k=draw.randint(2, 128))) for _ in range(300)]
    assert all(map(is_user_id, users))
    made = [uuid7() for _ in users]
    ids = [one if n % 2 else Read(one.bytes) for n, one in enumerate(made)]
    tenant, numbers = uuid7(), list(range(-2, 300))
    db = Database(database)
    async with db.autocommit() as session:
        for whose in (made, [tenant] * len(users)):
            tenants, named = of_users(list(zip(whose, users, strict=True)))
            values = {"ids": tenants, "users": named, "numbers": as_array(numbers)}
            found = await one(session, ARRIVES, values)
            assert found == {"ids": whose, "users": users, "numbers": numbers}
        values = {"ids": as_array(ids), "users": as_array([]), "numbers": as_array([])}
        found = await one(session, ARRIVES, values)
        assert found == {"ids": made, "users": [], "numbers": []}
    await db.close()
    assert isinstance(made[0], UUID)
