"""What a new process goes through before its first ring."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from app.calls.warmup import rehearse
from app.infra.db import one
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings

ANY_ROW = """
    SELECT (SELECT count(*) FROM tenants) + (SELECT count(*) FROM devices)
         + (SELECT count(*) FROM tokens) + (SELECT count(*) FROM calls) AS rows
"""


@pytest.fixture
async def runtime(database: str, redis: str) -> AsyncIterator[Runtime]:
    opened = open_runtime(
        Settings(environment="development", database_url=database, redis_url=redis)
    )
    yield opened
    await opened.close()


async def test_a_ring_is_rehearsed_whole_and_nothing_of_it_stays(runtime: Runtime) -> None:
    """That it fails would only be a line in the log of a process that starts."""
    await rehearse(runtime)
    async with runtime.database.transaction() as session:
        assert await one(session, text(ANY_ROW), {}) == {"rows": 0}
