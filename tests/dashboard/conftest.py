"""The dashboard in this process, for tests of HTTP; and in real processes, for a real browser."""

import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher

from app.dashboard import admins, store
from app.infra.ids import uuid7
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings
from app.tenants import service as tenants
from devkit.embedded import running_valkey
from devkit.simulator import Simulator
from tests.apps import app_of
from tests.conftest import DatabaseServer
from tests.e2e.house import House, listening, running_house, url_of

PASSWORD = "three calm words"
QUICK_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
BUNDLE = "com.example.app"


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with Simulator.running() as running:
        yield running


@pytest.fixture
def settings(database: str, redis: str, simulator: Simulator) -> Settings:
    return Settings(
        environment="development",
        database_url=database,
        redis_url=redis,
        apns_production_url=simulator.production_url,
        apns_sandbox_url=simulator.sandbox_url,
        apns_ca_file=simulator.ca_file,
        webhook_allow_private=True,
    )


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    opened = open_runtime(settings)
    yield opened
    await opened.close()


@dataclass
class Site:
    """The application of one test, and browsers of a simple kind."""

    app: object
    runtime: Runtime
    stack: contextlib.AsyncExitStack
    made: dict[str, str] = field(default_factory=dict)

    async def visitor(self, source: str = "192.0.2.1") -> httpx.AsyncClient:
        """A browser that nobody has signed in with."""
        transport = httpx.ASGITransport(app=self.app, client=(source, 1))  # type: ignore[arg-type]
        client = httpx.AsyncClient(transport=transport, base_url="http://ringline.test")
        return await self.stack.enter_async_context(client)

    async def admin(self, role: str = "owner") -> httpx.AsyncClient:
        """A browser in which an administrator of this role has signed in."""
        email = await admin_with_password(self.runtime, role)
        client = await self.visitor()
        assert (await sign_in(client, email, PASSWORD)).status_code == 303
        self.made[role] = email
        return client


@pytest.fixture
async def site(settings: Settings, runtime: Runtime) -> AsyncIterator[Site]:
    app = app_of(settings)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield Site(app, runtime, stack)


@pytest.fixture
async def tenant(runtime: Runtime) -> UUID:
    return (await tenants.create(runtime, "acme")).id


async def admin_with_password(runtime: Runtime, role: str) -> str:
    """An administrator who has chosen PASSWORD; the address.

    Its hash says of itself how it was made: with little work, so that tests need not wait for it.
    """
    email = f"{role}-{secrets.token_hex(3)}@example.com"
    row = {"id": uuid7(), "email": email, "role": role, "password": QUICK_HASH}
    async with runtime.database.transaction() as session:
        assert await store.add_admin(session, row | {"one_time_for": 60})
        await store.set_password(session, row["id"], QUICK_HASH, one_time_for=None)
    return email


async def sign_in(client: httpx.AsyncClient, email: str, password: str) -> httpx.Response:
    """Sign in as the form does."""
    page = await client.get("/dashboard/sign-in")
    mark = re.search(r'name="form" value="([0-9a-f]+)"', page.text)
    assert mark, page.text
    data = {"form": mark.group(1), "email": email, "password": password, "next": ""}
    return await client.post("/dashboard/sign-in", data=data)


def token_of(client: httpx.AsyncClient) -> str:
    """What a genuine form of this client's session brings."""
    return admins.csrf_of(client.cookies["ringline_admin"])


async def post(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form of this session."""
    return await client.post(path, data={"csrf": token_of(client), **fields})


# --- a real browser ------------------------------------------------------------------------------


@pytest.fixture(scope="package")
def dashboard_house(
    database_server: DatabaseServer,
    simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """An API process and a worker over a database with nothing in it but tables."""
    folder: Path = tmp_path_factory.mktemp("dashboard")
    listener = listening()
    public = url_of(listener).replace("127.0.0.1", "localhost")  # what a passkey can be bound to
    with (
        database_server.database("dashboard") as url,
        running_valkey() as valkey,
        running_house(
            url, valkey.url, simulator, folder,
            listener=listener, RINGLINE_WEBHOOK_ALLOW_PRIVATE="true",
            RINGLINE_PUBLIC_URL=public,
        ) as house,
    ):  # fmt: skip
        yield house
