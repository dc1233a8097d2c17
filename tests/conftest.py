"""Real servers for every test: PostgreSQL and Valkey, started once per pytest process.

Each pytest-xdist worker has servers of its own: they start in a fifth of a second, nothing has to
be shared or locked, and a killed worker takes its servers along. With `RINGLINE_TEST_DATABASE_URL`
or `RINGLINE_TEST_REDIS_URL` set, those servers are used, by all workers, each with databases of its
own. A test that freezes or kills a server starts one for itself, with `devkit.embedded`.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import pytest
import redis as redis_client
import structlog
from sqlalchemy import NullPool, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from devkit.embedded import running_postgres, running_valkey
from tests import prepared, slow
from tests.chance import VARIABLE, run_seed
from tests.order import longest_first

pytest_addoption = slow.pytest_addoption
pytest_ignore_collect = slow.pytest_ignore_collect

# Who starts the tests in the background (`make test &`, nohup) has all that they start ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Here, as each test module that is imported asks what is usual. Neither a test nor what it draws has a
# time: both would go by the clock, and the machine may be busy.
hypothesis.settings.register_profile(
    "ringline",
    print_blob=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ringline")

# Before a process has said how it logs, structlog draws tracebacks with all locals: seconds each.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: three for each core, since tests wait for phones and deadlines half of the time.

    With two of them on two cores a third of the cores was idle in tests/e2e, which took 120 s, and 101
    with three.
    """
    return (os.cpu_count() or 1) * 3


GIVEN = os.environ.get("RINGLINE_TEST_DATABASE_URL")
COPY = "" if GIVEN else " STRATEGY FILE_COPY"
"""On a server that waits for no disk: half the CPU of a copy through its log, and a database so copied
has the file that its first session would have to make."""


def pytest_configure(config: pytest.Config) -> None:
    """One seed for all processes of this run, and houses and a browser for those that run tests.

    Who only hands them out would import all of Ringline for nothing, while the others wait: 2 s.
    """
    run_seed()
    hands_out = config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")
    if not hands_out:
        from tests import browser, houses, left_open

        for one in (houses, browser, left_open):  # a conftest may have imported them
            config.pluginmanager.register(one, one.__name__)
    else:
        config.pluginmanager.register(prepared, prepared.__name__)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, each begins with one of those that take longest."""
    if hasattr(config, "workerinput"):
        items[:] = longest_first(items, config.workerinput["workercount"])


def pytest_collection(session: pytest.Session) -> None:
    """Nothing that is collected goes again: not to be walked while it grows."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Set aside what stays to the end, modules and tests: to walk it costs 0.4 s each time.

    And look through what is new as seldom as our processes do (app/infra/process.py).
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def pytest_report_header(config: pytest.Config) -> list[str]:
    said = [f"seed: {run_seed()} ({VARIABLE}={run_seed()} draws the same again)"]
    if config.getoption(slow.OPTION) == "without":
        said.append("without the slow ones, which `make test-slow` runs (tests/slow.py)")
    return said


class DatabaseServer:
    """Makes and drops databases on the server of `url` (SQLAlchemy's, for asyncpg).

    All on one thread with a loop of its own, so that any test or fixture may ask, from inside a
    running loop too, and pytest-asyncio's loops are left alone.
    """

    def __init__(self, url: str) -> None:
        self.template = f"ringline_template_{secrets.token_hex(4)}"
        self._url = make_url(url).set(drivername="postgresql+asyncpg")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database-server")
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._admin: AsyncConnection | None = None

    def url_for(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    @contextlib.contextmanager
    def database(self, what: str, *, migrated: bool = True) -> Iterator[str]:
        """SQLAlchemy's URL of a new database, which goes afterwards."""
        name = f"ringline_{what}_{secrets.token_hex(6)}"
        self.execute(
            f"CREATE DATABASE {name}" + (f" TEMPLATE {self.template}{COPY}" if migrated else "")
        )
        try:
            yield self.url_for(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, sql: str) -> None:
        self.on_thread(lambda: self._runner.run(self._execute(sql)))

    def on_thread(self, work: Callable[[], None]) -> None:
        self._thread.submit(work).result()

    def close(self) -> None:
        if self._admin is not None:
            admin = self._admin
            self.on_thread(lambda: self._runner.run(admin.close()))
        self.on_thread(self._runner.close)
        self._thread.shutdown()

    async def _execute(self, sql: str) -> None:
        if self._admin is None:
            engine = create_async_engine(
                self._url, isolation_level="AUTOCOMMIT", poolclass=NullPool
            )
            self._admin = await engine.connect()
        await self._admin.execute(text(sql))


def migrate(url: str) -> None:
    """Bring an empty database up to date, by the migrations themselves."""
    from app.infra.schema import upgrade

    upgrade(url)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy's URL of the server's maintenance database."""
    if GIVEN:
        yield GIVEN
        return
    with running_postgres() as server:
        yield server.url


@pytest.fixture(scope="session")
def database_server(postgres_url: str) -> Iterator[DatabaseServer]:
    """The server, with a migrated template database on it."""
    server = DatabaseServer(postgres_url)
    try:
        server.execute(f"CREATE DATABASE {server.template}")
        try:
            server.on_thread(lambda: migrate(server.url_for(server.template)))
            yield server
        finally:
            server.execute(f"DROP DATABASE {server.template} WITH (FORCE)")
    finally:
        server.close()


@pytest.fixture
def database(database_server: DatabaseServer) -> Iterator[str]:
    """SQLAlchemy's URL of a migrated database that is this test's alone; dropped afterwards."""
    with database_server.database("test") as url:
        yield url


@pytest.fixture
def empty_database(database_server: DatabaseServer) -> Iterator[str]:
    """Like `database`, but with nothing in it: for tests of the migrations themselves."""
    with database_server.database("empty", migrated=False) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(worker_number: int) -> Iterator[str]:
    """redis-py's URL of a database that is this pytest process's alone."""
    given = os.environ.get("RINGLINE_TEST_REDIS_URL")
    if given:
        base, _, query = given.partition("?")
        yield f"{base}?{query}{'&' if query else ''}db={worker_number}"
        return
    with running_valkey() as server:
        yield server.url


@pytest.fixture
def redis(redis_url: str) -> str:
    """redis-py's URL of an empty database; what a test leaves is removed before the next one."""
    with contextlib.closing(redis_client.Redis.from_url(redis_url)) as client:
        client.flushdb()
    return redis_url


@pytest.fixture(scope="session")
def worker_number() -> int:
    """0, or which pytest-xdist worker this is: gw3 is 3."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
