"""Real servers for every test: PostgreSQL and Valkey, started once per pytest process.

Each pytest-xdist worker has servers of its own: they start in half a second, nothing has to be
shared or locked, and a killed worker takes its servers along. With `RINGLINE_TEST_DATABASE_URL` or
`RINGLINE_TEST_REDIS_URL` set, those servers are used, by all workers, each with its own databases.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Coroutine, Iterator

import asyncpg
import pytest
import redis as redis_client
from sqlalchemy import make_url

from app.embedded import running_postgres, running_valkey

TEMPLATE = f"ringline_template_{secrets.token_hex(4)}"


class DatabaseServer:
    """Makes and drops databases on the server that `url` names; `url` is SQLAlchemy's."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.url = url
        self._runner = runner
        self._admin: asyncpg.Connection | None = None

    def url_for(self, database: str) -> str:
        return make_url(self.url).set(database=database).render_as_string(hide_password=False)

    def run(self, sql: str) -> None:
        self.wait_for(self._execute(sql))

    def wait_for(self, work: Coroutine[object, object, object]) -> None:
        self._runner.run(work)

    def close(self) -> None:
        if self._admin is not None:
            self.wait_for(self._admin.close())

    async def _execute(self, sql: str) -> None:
        if self._admin is None or self._admin.is_closed():
            plain = make_url(self.url).set(drivername="postgresql")
            self._admin = await asyncpg.connect(plain.render_as_string(hide_password=False))
        await self._admin.execute(sql)


def migrate(url: str) -> None:
    """Bring an empty database up to date, by the migrations themselves."""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy's URL of the server's maintenance database."""
    given = os.environ.get("RINGLINE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with running_postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def database_server(postgres_url: str) -> Iterator[DatabaseServer]:
    """The server, with a migrated template database on it."""
    # Its own loop, never the thread's current one, which is pytest-asyncio's.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        server = DatabaseServer(postgres_url, runner)
        server.run(f"CREATE DATABASE {TEMPLATE}")
        try:
            migrate(server.url_for(TEMPLATE))
            yield server
        finally:
            server.run(f"DROP DATABASE {TEMPLATE} WITH (FORCE)")
            server.close()


@pytest.fixture
def database(database_server: DatabaseServer) -> Iterator[str]:
    """SQLAlchemy's URL of a migrated database that is this test's alone; dropped afterwards."""
    name = f"ringline_test_{secrets.token_hex(6)}"
    database_server.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        yield database_server.url_for(name)
    finally:
        database_server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_url(worker_number: int) -> Iterator[str]:
    """redis-py's URL of a database that is this pytest process's alone."""
    given = os.environ.get("RINGLINE_TEST_REDIS_URL")
    if given:
        base, question, query = given.partition("?")
        yield f"{base}{question or '?'}{query}{'&' if query else ''}db={worker_number}"
        return
    with running_valkey() as server:
        yield server.url


@pytest.fixture
def redis(redis_url: str) -> str:
    """redis-py's URL of an empty database; what the test leaves is removed by the next one."""
    with contextlib.closing(redis_client.Redis.from_url(redis_url)) as client:
        client.flushdb()
    return redis_url


@pytest.fixture(scope="session")
def worker_number() -> int:
    """0, or which pytest-xdist worker this is: gw3 is 3."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
