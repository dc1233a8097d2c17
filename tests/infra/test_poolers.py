"""A pooler in PostgreSQL's place: refused by every door, and named."""

import asyncio

import pytest

from app.cli.faults import fault_of
from app.doctor import examine
from app.infra.db import Database, clock
from app.infra.outage import DatabaseAway, name_of
from app.infra.schema import upgrade
from app.infra.server_urls import database_url
from app.infra.settings import Settings
from tests.infra.fronts import pooler, serving


@pytest.mark.parametrize("drops", [True, False])
async def test_a_pooler_is_no_postgresql(
    database: str, monkeypatch: pytest.MonkeyPatch, drops: bool
) -> None:
    behind = database_url(database)
    with serving(pooler(behind, drops=drops)) as port:
        url = f"postgresql://{behind.user}@127.0.0.1:{port}/{behind.database}?sslmode=disable"
        settings = Settings(database_url=url)
        door = Database(settings.sqlalchemy_url, pool=2)
        with pytest.raises(DatabaseAway) as away:
            async with door.autocommit() as session:
                await clock(session)
        await door.close()
        with pytest.raises(DatabaseAway) as migrating:
            await asyncio.to_thread(upgrade, settings.sqlalchemy_url)
        for one in (away.value, migrating.value):
            assert name_of(one) == "PoolerBetween 08P01"
            assert "PgBouncer" in fault_of(one).sentence
            assert fault_of(one).status == 1
        monkeypatch.setenv("RINGLINE_DATABASE_URL", url)
        monkeypatch.setenv("RINGLINE_REDIS_URL", "redis://localhost:99999")
        found = {check.name: check for check in await examine()}["PostgreSQL"]
        assert not found.ok
        assert ("dropped" if drops else "unsupported startup parameter") in found.found
        assert "PgBouncer" in found.mend
