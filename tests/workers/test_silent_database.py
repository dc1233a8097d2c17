"""A worker whose database connections go silent lives on by new ones, and nobody need come."""

import asyncio
from datetime import datetime

from sqlalchemy import text

from app.infra.db import Database
from app.infra.runtime import open_runtime
from app.infra.settings import Settings
from tests.e2e.house import eventually, listening
from tests.infra.silence import proxy_before
from workers.loop import Loop
from workers.sweep import sweep


async def test_the_lease_is_renewed_within_ten_seconds(database: str, redis: str) -> None:
    direct = Database(database, pool=1)

    async def alive_until() -> datetime | None:
        async with direct.autocommit() as session:
            found = await session.execute(text("SELECT max(alive_until) FROM workers"))
            until: datetime | None = found.scalar_one()
        return until

    with proxy_before(database) as proxy:
        settings = Settings(
            environment="development",
            database_url=proxy.url.replace("postgresql+asyncpg", "postgresql"),
            redis_url=redis,
        )
        loop = Loop(settings, sweep)
        await asyncio.to_thread(loop.start)
        before = await eventually(alive_until)
        assert proxy.go_silent() >= 1
        silent_since = await eventually(alive_until)

        async def renewed() -> bool:
            now = await alive_until()
            # a renewal that was under way when it went silent may still have come through
            return now is not None and (now - silent_since).total_seconds() > 0.6

        await eventually(renewed)
        assert before is not None
        await asyncio.to_thread(loop.stop)
    await direct.close()


async def test_a_database_that_says_nothing_is_no_reason_not_to_start(redis: str) -> None:
    """As one that is busy: the key is not looked at, and the worker goes on trying for the rest."""
    with listening() as silent:
        host, port = silent.getsockname()
        settings = Settings(
            environment="development",
            database_url=f"postgresql://ringline@{host}:{port}/ringline",
            redis_url=redis,
        )
        runtime = open_runtime(settings)
        await Loop(settings, sweep)._check_key(runtime)
        await runtime.close()
