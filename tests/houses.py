"""Fixtures: one house for all tests of a process, a tenant for each, and houses of one's own."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.infra.ids import uuid7
from app.infra.safe_http import SafeHttp
from app.webhooks.dispatcher import WebhookDispatcher
from devkit.embedded import running_valkey
from devkit.simulator import Simulator
from tests.conftest import DatabaseServer
from tests.e2e.house import House, Tenant, new_tenant, running_house

STANDING = frozenset({"shared_house", "quiet_house", "outbox_house"})
"""Houses that stand for all tests of a process."""
NEAR = 60
"""Where none of so many next tests needs one it is closed: to stand there costs it a thirtieth of a
core, and to be opened again the CPU of 25 seconds of that."""

TOGETHER = 8
"""Tenants that are made when a test wants one of a standing house and none is ready."""

open_houses: dict[str, pytest.FixtureDef[House]] = {}


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[House]) -> Generator[None, object, object]:
    result = yield
    if fixturedef.argname in STANDING:
        open_houses[fixturedef.argname] = fixturedef
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """After each test, close the houses that nobody needs soon; who needs one later opens it again."""
    result = yield
    if nextitem is not None and open_houses:
        order = item.session.items
        for name in not_needed(order, order.index(nextitem)) & open_houses.keys():
            open_houses.pop(name).finish(item._request)  # type: ignore[attr-defined]
    return result


def not_needed(order: Sequence[pytest.Item], start: int) -> frozenset[str]:
    """The standing houses that no test uses from this one on, within `NEAR`."""
    soon = order[start : start + NEAR]
    return STANDING.difference(*(one.fixturenames for one in soon))  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """One fake Apple; tokens are random, so that tests do not meet in it."""
    with Simulator.running() as running:
        yield running


@pytest.fixture(scope="session")
def shared_database(database_server: DatabaseServer) -> Iterator[str]:
    """A migrated database that the tests of this process share; each has a tenant of its own."""
    with database_server.database("shared") as url:
        yield url


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
        house.at_once = TOGETHER
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


@pytest.fixture(scope="session")
def quiet_house(
    database_server: DatabaseServer,
    simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """One API process and no worker; private addresses are allowed."""
    folder = tmp_path_factory.mktemp("quiet")
    allow = {"RINGLINE_WEBHOOK_ALLOW_PRIVATE": "true"}
    with (
        database_server.database("quiet") as url,
        running_valkey() as valkey,
        running_house(url, valkey.url, simulator, folder, workers=0, **allow) as house,
    ):
        house.at_once = TOGETHER
        yield house


@pytest.fixture
async def backend(quiet_house: House) -> AsyncIterator[Tenant]:
    """A tenant of the quiet house; its webhooks go with it."""
    async with new_tenant(quiet_house) as made:
        yield made
        await made.execute("DELETE FROM webhooks WHERE tenant_id = :t", t=made.id)


async def new_webhook_dispatcher(
    tenant: Tenant, outbound: SafeHttp | None = None
) -> WebhookDispatcher:
    """A dispatcher in this process, its worker alive for a minute."""
    worker = uuid7()
    await tenant.execute(
        "INSERT INTO workers (id, host, pid, started_at, alive_until) VALUES"
        " (:w, 'test', 1, clock_timestamp(), clock_timestamp() + interval '1 minute')",
        w=worker,
    )
    return WebhookDispatcher(tenant.runtime, worker, outbound or SafeHttp(allow_private=True))


@pytest.fixture
async def webhook_dispatcher(backend: Tenant) -> AsyncIterator[WebhookDispatcher]:
    """A dispatcher that may go to private addresses."""
    made = await new_webhook_dispatcher(backend)
    yield made
    await made.stop(1)
