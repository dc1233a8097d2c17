"""The fixtures of tests/conftest.py: each test has a database and a Redis to itself."""

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy import make_url


@pytest.mark.parametrize("_", ["one", "another"])
async def test_a_database_is_private_and_commits_are_real(database: str, _: str) -> None:
    plain = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    writer, reader = await asyncpg.connect(plain), await asyncpg.connect(plain)
    try:
        await writer.execute(
            "CREATE TABLE marks (id int)"
        )  # would fail if another test had done so
        await writer.execute("INSERT INTO marks VALUES (1)")
        assert await reader.fetchval("SELECT count(*) FROM marks") == 1
    finally:
        await writer.close()
        await reader.close()


@pytest.mark.parametrize("_", ["one", "another"])
async def test_redis_is_empty_at_the_start(redis: str, _: str) -> None:
    async with Redis.from_url(redis) as client:
        assert await client.dbsize() == 0
        await client.set("mark", "1")
