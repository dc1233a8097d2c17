"""What is measured can be read: the API's numbers and a worker's own."""

import socket

import httpx

from tests.e2e.house import new_tenant
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
            api = (await client.get(f"{house.apis[0].url}/metrics")).text
        assert 'ringline_pushes_total{outcome="accepted",purpose="ring",reason=""} 1.0' in worker
        assert 'reason="BadDeviceToken"' in worker
        assert "ringline_ring_to_accepted_seconds_count 1.0" in worker
        assert "ringline_apns_connections" in worker
        assert "ringline_apns_streams" in worker
        assert "ringline_breakers_open 0.0" in worker
        assert 'ringline_rings_total{outcome="taken"} 2.0' in api
        for text in (worker, api):
            for secret in (phone.voip, tenant.key, tenant.secret):
                assert secret not in text
