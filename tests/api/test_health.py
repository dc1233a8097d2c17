"""What load balancers ask: ready is who can serve a ring to its end, and it costs little to say."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import event, text
from structlog.testing import capture_logs

from app.infra.db import Database
from app.infra.settings import Settings
from app.push.worker_store import LIVE_WORKERS
from tests.apps import app_of
from tests.conftest import DatabaseServer
from tests.e2e.house import eventually
from tests.houses import HouseMaker
from tests.infra.silence import proxy_before


@asynccontextmanager
async def api(database: str, redis: str, **more: object) -> AsyncIterator[httpx.AsyncClient]:
    """An API in this process; its app is `client.headers`-free and at `client.app`."""
    settings = Settings(
        environment="development",
        database_url=database.replace("postgresql+asyncpg", "postgresql"),
        redis_url=redis,
        **more,  # type: ignore[arg-type]
    )
    app = app_of(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client,
    ):
        client.app = app  # type: ignore[attr-defined]
        yield client


@pytest.fixture
async def worker(database: str) -> AsyncIterator[Database]:
    """A worker's row that lives for long, and the database."""
    made = Database(database, pool=2)
    async with made.autocommit() as session:
        await session.execute(
            text(
                "INSERT INTO workers (id, host, pid, started_at, alive_until) VALUES"
                " (:id, 'here', 1, clock_timestamp(), clock_timestamp() + interval '1 hour')"
            ),
            {"id": uuid4()},
        )
    yield made
    await made.close()


async def code(client: httpx.AsyncClient) -> str:
    answer = await client.get("/readyz")
    body = answer.json()
    assert answer.status_code == (200 if body.get("status") == "ready" else 503)
    return str(body["code"] if answer.status_code == 503 else "ready")


async def test_ready_needs_a_living_worker(database: str, redis: str) -> None:
    async with api(database, redis) as client:
        assert await code(client) == "no_worker"


async def test_a_database_that_takes_no_writes_is_said_to_be_so(
    database: str, redis: str, worker: Database, database_server: DatabaseServer
) -> None:
    name = database.rpartition("/")[2].partition("?")[0]
    async with api(database, redis) as client:  # it writes its key's mark, while it may
        assert await code(client) == "ready"
    database_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with api(database, redis) as client:
        assert await code(client) == "database_read_only"


@pytest.mark.parametrize(
    ("revision", "expected"),
    [("0101", "database_not_migrated"), ("9999", "ready"), (None, "database_not_migrated")],
)
async def test_behind_is_unready_and_ahead_is_ready(
    database: str, redis: str, worker: Database, revision: str | None, expected: str
) -> None:
    async with worker.autocommit() as session:
        await session.execute(text("DELETE FROM alembic_version"))
        if revision is not None:
            await session.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": revision})
    async with api(database, redis) as client:
        assert await code(client) == expected


@pytest.mark.parametrize(("revision", "status"), [("0101", 503), (None, 503), ("9999", 500)])
async def test_a_request_before_the_migration_is_no_fault_of_ours(
    database: str, redis: str, worker: Database, revision: str | None, status: int
) -> None:
    """As while a backup is restored under processes that run: one line a minute, and no traceback."""
    async with api(database, redis) as client:
        async with worker.autocommit() as session:
            await session.execute(text("ALTER TABLE api_keys RENAME TO api_keys_to_come"))
            await session.execute(text("DELETE FROM alembic_version"))
            if revision is not None:
                await session.execute(
                    text("INSERT INTO alembic_version VALUES (:r)"), {"r": revision}
                )
        with capture_logs() as told:
            for _ in range(3):
                headers = {"Authorization": f"Bearer rl_sk_{'a' * 43}"}
                answer = await client.get("/v1/calls/default:one", headers=headers)
                assert answer.status_code == status
        named = [line["event"] for line in told if line["event"] != "request"]
        if status == 500:
            assert named == ["database_error"] * 3
        else:
            assert answer.json()["code"] == "database_not_migrated"
            assert answer.headers["Retry-After"]
            assert named.count("database_error") == 0
            assert named.count("not_migrated") <= 1


async def test_many_who_ask_cost_one_look(database: str, redis: str, worker: Database) -> None:
    async with api(database, redis) as client:
        statements: list[str] = []
        database_of = client.app.state.runtime.database  # type: ignore[attr-defined]
        engine = database_of.vital.engine.sync_engine
        event.listen(
            engine, "before_cursor_execute", lambda *given: statements.append(str(given[2]))
        )
        assert await asyncio.gather(*(code(client) for _ in range(50))) == ["ready"] * 50
        assert statements.count(LIVE_WORKERS.text) == 1


async def test_to_have_more_to_do_than_connections_is_to_be_ready(
    database: str, redis: str, worker: Database
) -> None:
    """Else balancers take one process after another out of service, which is all of them soon."""
    async with api(database, redis, database_pool=2) as client, AsyncExitStack() as held:
        used: Database = client.app.state.runtime.database  # type: ignore[attr-defined]
        for _ in range(2):
            await held.enter_async_context(used.autocommit())
        assert await code(client) == "ready"


async def test_a_silent_database_makes_unready_within_a_bound_and_metrics_go_on(
    database: str, redis: str, worker: Database
) -> None:
    with proxy_before(database) as proxy:
        async with api(proxy.url, redis) as client:
            assert await code(client) == "ready"
            for _ in range(3):  # new ones are silent, too
                proxy.go_silent()
            begun = time.monotonic()
            assert (await client.get("/metrics")).status_code == 200
            assert time.monotonic() - begun < 4
            await asyncio.sleep(1.1)

            async def unready() -> bool:
                proxy.go_silent()
                return await code(client) == "database_unavailable"

            await eventually(unready)


async def test_metrics_name_nobody_without_the_token(
    database: str, redis: str, worker: Database
) -> None:
    async with api(database, redis) as client:
        assert (await client.get("/metrics")).status_code == 200
    async with api(database, redis, metrics_token="a token for Prometheus") as client:
        assert (await client.get("/metrics")).status_code == 401
        wrong = {"Authorization": "Bearer another"}
        assert (await client.get("/metrics", headers=wrong)).status_code == 401
        right = {"Authorization": "Bearer a token for Prometheus"}
        answer = await client.get("/metrics", headers=right)
        assert answer.status_code == 200
        assert "ringline_rings_total" in answer.text


async def test_a_process_that_stops_is_unready_first_and_serves_on(make_house: HouseMaker) -> None:
    house = make_house(RINGLINE_STOP_DELAY="2")
    url = house.apis[0].url
    async with httpx.AsyncClient() as client:

        async def ready() -> bool:
            return (await client.get(f"{url}/readyz")).status_code == 200

        await eventually(ready)
        house.apis[0].send(signal.SIGTERM)

        async def stopping() -> bool:
            answer = await client.get(f"{url}/readyz")
            return answer.status_code == 503 and answer.json()["code"] == "stopping"

        await eventually(stopping)
        async with httpx.AsyncClient() as other:  # a new connection is still taken
            answer = await other.get(f"{url}/healthz")
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
    house.apis[0].stop()
