"""A runtime on a real database, with the simulator in the place of Apple."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.api import audit as audit_api
from app.infra.db import many
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings
from app.tenants import service as tenants
from devkit.simulator import Simulator
from tests.apps import app_of

Query = Callable[..., Awaitable[list[dict[str, Any]]]]


@pytest.fixture(scope="session")
def session_simulator() -> Iterator[Simulator]:
    with Simulator.running() as simulator:
        yield simulator


@pytest.fixture
def simulator(session_simulator: Simulator) -> Simulator:
    session_simulator.clear()
    return session_simulator


@pytest.fixture
def settings(database: str, redis: str, simulator: Simulator) -> Settings:
    return Settings(
        environment="development",
        database_url=database,
        redis_url=redis,
        apns_production_url=simulator.production_url,
        apns_sandbox_url=simulator.sandbox_url,
        apns_ca_file=simulator.ca_file,
    )


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    opened = open_runtime(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def tenant(runtime: Runtime) -> UUID:
    return (await tenants.create(runtime, "acme")).id


@pytest.fixture
def query(runtime: Runtime) -> Query:
    """Rows of any SQL, for looking behind the service."""

    async def run(sql: str, **values: Any) -> list[dict[str, Any]]:
        async with runtime.database.transaction() as session:
            return await many(session, text(sql), values)

    return run


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The public API of a process of its own, with an API key of a new tenant."""
    app = app_of(settings)
    if not any(getattr(route, "path", "") == "/v1/audit" for route in app.routes):
        app.include_router(audit_api.router)
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 50_000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://ringline", timeout=30) as client,
    ):
        made = await tenants.create(app.state.runtime, "api tenant")
        client.headers["Authorization"] = f"Bearer {made.api_key}"
        yield client
