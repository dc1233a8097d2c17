"""A worker whose database connections go silent lives on by new ones, and nobody need come."""

import asyncio
from datetime import datetime

from sqlalchemy import text

from app.infra.db import Database
from app.infra.settings import Settings
from tests.e2e.house import eventually
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
