"""What is measured can be read: the API's numbers and a worker's own."""

import socket

import httpx
from sqlalchemy import text

from app.infra.db import Database
from tests.e2e.house import eventually, new_tenant
from tests.e2e.test_reactions import ended
from tests.houses import HouseMaker


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_worker_serves_its_metrics_and_no_secret(make_house: HouseMaker) -> None:
    port = free_port()
    house = make_house(apis=1, workers=1, RINGLINE_WORKER_METRICS=f"127.0.0.1:{port}")
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        await ended(tenant, await tenant.ring("bob"))
        house.sim.forget(phone.voip)
        await ended(tenant, await tenant.ring("bob"))
        async with httpx.AsyncClient() as client:
            worker = (await client.get(f"http://127.0.0.1:{port}/metrics")).text

            async def of_api() -> str:
                text = (await client.get(f"{house.apis[0].url}/metrics")).text
                return text if 'ringline_workers{state="alive"} 1.0' in text else ""

            api = await eventually(of_api)
        assert 'ringline_pushes_total{outcome="accepted",purpose="ring",reason=""} 1.0' in worker
        assert 'reason="BadDeviceToken"' in worker
        assert "ringline_ring_to_accepted_seconds_count 1.0" in worker
        assert "ringline_push_connections" in worker
        assert "ringline_push_streams" in worker
        assert "ringline_breakers_open 0.0" in worker
        assert 'ringline_rings_total{outcome="taken"} 2.0' in api
        assert 'ringline_call_events_total{type="call.started"} 2.0' in api
        assert 'ringline_oldest_due_seconds{outbox="pushes"}' in api
        assert "ringline_database_wait_seconds_count" in api
        assert 'ringline_http_responses_total{status="202"} 2.0' in api
        assert "ringline_workers{" not in worker
        for text in (worker, api):
            for secret in (phone.voip, tenant.key, tenant.secret):
                assert secret not in text


async def test_a_worker_says_whether_it_lives_and_claims(make_house: HouseMaker) -> None:
    port = free_port()
    house = make_house(apis=0, workers=1, RINGLINE_WORKER_METRICS=f"127.0.0.1:{port}")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def says(path: str, status: int, word: str) -> bool:
            answer = await client.get(path)
            return (answer.status_code, answer.json()) == (status, {"status": word})

        await eventually(lambda: says("/readyz", 200, "ready"))
        assert await says("/healthz", 200, "ok")
        assert (await client.get("/elsewhere")).status_code == 404
        database = Database(house.database_url)
        async with database.transaction() as session:  # its lease cannot be renewed
            await session.execute(text("LOCK TABLE workers"))
            await eventually(lambda: says("/readyz", 503, "no_lease"))
            assert await says("/healthz", 200, "ok")  # no reason to be started again
        await database.close()
        await eventually(lambda: says("/readyz", 200, "ready"))
        house.may_log.add("task_failed")
