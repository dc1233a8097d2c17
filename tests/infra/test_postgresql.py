"""A server or a database that will not do is told of before anything is made in it."""

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from app import doctor
from app.cli.faults import fault_of
from app.infra.db import Database
from app.infra.postgresql import unfit
from app.infra.schema import upgrade
from app.infra.settings import Settings
from migrations.running import Unfit
from tests.conftest import DatabaseServer

GOOD = {"number": 150_000, "version": "15.0", "encoding": "UTF8", "read_only": False}


def test_an_older_server_is_told() -> None:
    assert unfit(GOOD) is None
    assert "needs 15 or later" in str(unfit(GOOD | {"number": 140_012, "version": "14.12"}))


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def of_bytes(request: pytest.FixtureRequest, database_server: DatabaseServer) -> Iterator[str]:
    """SQLAlchemy's URL of an empty database of another encoding."""
    name = f"ringline_encoded_{secrets.token_hex(6)}"
    database_server.execute(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' "
        "LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    yield database_server.url_for(name)
    database_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_database_of_another_encoding_is_not_begun(of_bytes: str) -> None:
    """Many a name cannot be written in it: each such ring was a failure of ours."""
    with pytest.raises(Unfit) as told:
        await asyncio.to_thread(upgrade, of_bytes)
    assert "--encoding=UTF8" in fault_of(told.value).sentence
    known = Settings(database_url=of_bytes.replace("+asyncpg", ""))
    found = (await doctor._database(known))[0]
    assert not found.ok
    assert "--encoding=UTF8" in found.mend


async def test_one_that_has_our_tables_is_migrated_all_the_same(of_bytes: str) -> None:
    """What was begun there by a release that did not look goes on."""
    opened = Database(of_bytes, pool=1)
    async with opened.autocommit() as session:
        await session.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
    await opened.close()
    await asyncio.to_thread(upgrade, of_bytes)
