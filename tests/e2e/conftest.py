"""Fixtures: one house for all tests of a process, a tenant for each, and houses of one's own."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.embedded import running_valkey
from app.simulator import Simulator
from tests.conftest import TEMPLATE, DatabaseServer
from tests.e2e.house import House, Tenant, new_tenant, running_house


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """One fake Apple; tokens are random, so that tests do not meet in it."""
    with Simulator.running() as running:
        yield running


@pytest.fixture(scope="session")
def shared_database(database_server: DatabaseServer) -> Iterator[str]:
    """A migrated database that the tests of this process share; each has a tenant of its own."""
    name = f"ringline_shared_{secrets.token_hex(6)}"
    database_server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        yield database_server.url_for(name)
    finally:
        database_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_house(
    shared_database: str, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """Two API processes and one worker, for tests that break none of them."""
    folder = tmp_path_factory.mktemp("house")
    with (
        running_valkey() as valkey,
        running_house(shared_database, valkey.url, simulator, folder, apis=2) as house,
    ):
        yield house


@pytest.fixture
async def tenant(shared_house: House) -> AsyncIterator[Tenant]:
    """A tenant of the shared house."""
    async with new_tenant(shared_house) as made:
        yield made


HouseMaker = Callable[..., House]


@pytest.fixture
def make_house(
    database: str, redis: str, simulator: Simulator, tmp_path: Path
) -> Iterator[HouseMaker]:
    """Start a house of this test's own: `make_house(apis=1, workers=2, redis_url=...)`."""
    with ExitStack() as stack:

        def make(*, redis_url: str = redis, apis: int = 1, workers: int = 1, **extra: str) -> House:
            house = running_house(
                database, redis_url, simulator, tmp_path, apis=apis, workers=workers, **extra
            )
            return stack.enter_context(house)

        yield make
        simulator.end_fault()
