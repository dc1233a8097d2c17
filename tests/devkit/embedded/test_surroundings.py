"""A demo takes no setting of a server of yours, and no database that is not its own."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from app.credentials import key_check
from app.infra.db import Database
from app.infra.settings import Settings
from app.infra.vault import keyring
from devkit.embedded import EmbeddedError
from devkit.embedded.surroundings import SERVERS, refuse_anothers, told_of, without_settings

OURS, ANOTHERS = "the key of this demo, long enough", "the key of a server of yours, 12345"


@contextmanager
def environment(**set_to: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in set_to}
    os.environ.update(set_to)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def given() -> set[str]:
    return {name for name in os.environ if name.upper().startswith("RINGLINE_")}


def test_settings_are_out_of_the_environment_and_come_back() -> None:
    servers = dict.fromkeys(SERVERS, "somewhere")
    others = {
        "ringline_broker_url": "amqp://x",
        "RINGLINE_SECRET_KEY": "s",
        "RINGLINE_LOG_LEVEL": "debug",
    }
    with environment(**servers, **others):
        before = dict(os.environ)
        with without_settings(own_servers=False) as aside:
            assert given() & {*servers, *others} == {"RINGLINE_LOG_LEVEL"}
            assert {*aside} >= {*servers, "ringline_broker_url", "RINGLINE_SECRET_KEY"}
            # nor does a process of its own, which reads what is left
            assert Settings(environment="development").broker_url is None
        assert dict(os.environ) == before
        with without_settings(own_servers=True) as aside:
            assert given() >= {*servers}
            assert not {*aside} & {*servers}
    assert told_of(["A", "B", "C", "D", "E"]).startswith("A, B, C and 2 more of your environment: ")


def test_own_servers_want_one_to_be_named() -> None:
    with (
        without_settings(own_servers=False),
        pytest.raises(EmbeddedError, match="neither RINGLINE_DATABASE_URL nor RINGLINE_REDIS_URL"),
        without_settings(own_servers=True),
    ):
        pass


def of(url: str, key: str) -> Settings:
    plain = url.replace("postgresql+asyncpg", "postgresql")
    return Settings(database_url=plain, secret_key=key)  # type: ignore[arg-type]


def test_an_empty_database_is_taken(empty_database: str) -> None:
    refuse_anothers(of(empty_database, OURS))


async def seal(url: str, key: str) -> None:
    database = Database(url, pool=2)
    try:
        await key_check.check(database, keyring(of(url, key)))
    finally:
        await database.close()


def test_a_database_of_another_server_is_refused_and_its_own_is_taken(database: str) -> None:
    asyncio.run(seal(database, ANOTHERS))
    with pytest.raises(EmbeddedError, match="nothing was changed"):
        refuse_anothers(of(database, OURS))
    refuse_anothers(of(database, ANOTHERS))


def test_a_database_with_tables_of_another_program_is_refused(empty_database: str) -> None:
    async def a_table() -> None:
        other = Database(empty_database, pool=2)
        async with other.autocommit() as session:
            await session.execute(text("CREATE TABLE accounts (id int)"))
        await other.close()

    asyncio.run(a_table())
    with pytest.raises(EmbeddedError, match="not this demo's"):
        refuse_anothers(of(empty_database, OURS))
