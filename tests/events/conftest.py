"""The house of the end-to-end tests, and one without a worker: its webhooks wait for the test."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from app.embedded import running_valkey
from app.events.courier import Courier
from app.events.outbound import Outbound
from app.ids import uuid7
from app.simulator import Simulator
from tests.conftest import TEMPLATE, DatabaseServer
from tests.e2e.conftest import (  # noqa: F401
    make_house,
    shared_database,
    shared_house,
    simulator,
    tenant,
)
from tests.e2e.house import House, Tenant, new_tenant, running_house


@pytest.fixture(scope="session")
def quiet_house(
    database_server: DatabaseServer,
    simulator: Simulator,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """One API process and no worker; private addresses are allowed."""
    name = f"ringline_quiet_{secrets.token_hex(6)}"
    database_server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    folder = tmp_path_factory.mktemp("quiet")
    allow = {"RINGLINE_WEBHOOK_ALLOW_PRIVATE": "true"}
    try:
        with (
            running_valkey() as valkey,
            running_house(
                database_server.url_for(name), valkey.url, simulator, folder, workers=0, **allow
            ) as house,
        ):
            yield house
    finally:
        database_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def backend(quiet_house: House) -> AsyncIterator[Tenant]:
    """A tenant of the quiet house; its webhooks go with it."""
    async with new_tenant(quiet_house) as made:
        yield made
        await made.execute("DELETE FROM webhooks WHERE tenant_id = :t", t=made.id)


async def new_courier(tenant: Tenant, outbound: Outbound | None = None) -> Courier:  # noqa: F811
    """A courier in this process, its worker alive for a minute."""
    worker = uuid7()
    await tenant.execute(
        "INSERT INTO workers (id, host, pid, started_at, alive_until) VALUES"
        " (:w, 'test', 1, clock_timestamp(), clock_timestamp() + interval '1 minute')",
        w=worker,
    )
    return Courier(tenant.runtime, worker, outbound or Outbound(allow_private=True))


@pytest.fixture
async def courier(backend: Tenant) -> AsyncIterator[Courier]:
    """A courier that may go to private addresses."""
    made = await new_courier(backend)
    yield made
    await made.stop(1)
