"""The doors of a process are closed when it ends, whatever becomes of one of them."""

import asyncio

import pytest
from sqlalchemy import text

from app.infra.runtime import open_runtime
from app.infra.settings import Settings
from tests.infra.test_connections import gone, pid_of


async def test_a_door_that_does_not_close_keeps_no_other_open(
    database: str, redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        database_url=database.replace("postgresql+asyncpg", "postgresql"), redis_url=redis
    )
    runtime = open_runtime(settings)
    async with runtime.database.autocommit() as session:
        pid = await pid_of(session)
        await session.execute(text("SELECT 1"))
    close = runtime.redis.aclose

    async def fail() -> None:
        await close()
        raise TimeoutError("a fault of the test")

    monkeypatch.setattr(runtime.redis, "aclose", fail)
    with pytest.raises(TimeoutError, match="a fault"):
        await runtime.close()
    await asyncio.sleep(0)
    await gone(database, [pid])
