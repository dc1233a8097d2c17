"""The broker is a hint: rings go on without it, and time is kept without it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from devkit.embedded import running_valkey
from devkit.embedded.valkey import Valkey
from tests.e2e.house import eventually, member, new_tenant
from tests.houses import HouseMaker


@pytest.fixture
def broker() -> Iterator[Valkey]:
    """A broker of this test's own, to be stopped and frozen."""
    with running_valkey() as server:
        yield server


async def test_a_ring_requested_while_redis_is_down_rings_once(
    make_house: HouseMaker, broker: Valkey
) -> None:
    house = make_house(redis_url=broker.url)
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        broker.stop()
        begun = time.monotonic()
        await tenant.ring("bob", ring_time=20)
        assert time.monotonic() - begun < 2, "the request does not wait for the broker"
        await tenant.sim.arrived(1, token=phone.voip, timeout=10)
        broker.start()
        second = await tenant.phone("carol")
        await tenant.ring("carol", ring_time=20)
        await tenant.sim.arrived(1, token=second.voip, timeout=10)
        await asyncio.sleep(2.5)
        assert len(tenant.sim.arrivals(phone.voip)) == 1
        assert len(tenant.sim.arrivals(second.voip)) == 1


async def test_a_ring_ends_on_time_while_the_broker_is_frozen(
    make_house: HouseMaker, broker: Valkey
) -> None:
    house = make_house(redis_url=broker.url)
    async with new_tenant(house) as tenant:
        await tenant.phone("bob")
        call = await tenant.ring("bob", ring_time=5)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            frozen = time.monotonic()
            rows = await eventually(
                lambda: tenant.rows(
                    "SELECT c.reason, c.ended_at, r.deadline, clock_timestamp() AS now FROM calls c "
                    "JOIN rings r ON r.session_id = c.id WHERE c.id = :id AND c.ended_at IS NOT NULL",
                    id=call["session_id"],
                ),
                timeout=9,
            )
            assert rows[0]["reason"] == "missed"
            assert rows[0]["ended_at"] == rows[0]["deadline"]
            assert (rows[0]["now"] - rows[0]["deadline"]).total_seconds() < 4
            # and one that begins and ends within the same freeze
            phone = await tenant.phone("carol")
            second = await tenant.ring("carol", ring_time=5)
            await tenant.sim.arrived(1, token=phone.voip, timeout=10)
            await eventually(
                lambda: tenant.rows(
                    "SELECT 1 FROM calls WHERE id = :id AND ended_at IS NOT NULL",
                    id=second["session_id"],
                ),
                timeout=7,
            )
            await asyncio.sleep(max(0, 12 - (time.monotonic() - frozen)))
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        phone = await tenant.phone("dave")
        await tenant.ring("dave")
        await tenant.sim.arrived(1, token=phone.voip, timeout=10)


async def test_kicks_come_through_again_after_the_broker_lost_all_it_held(
    make_house: HouseMaker, broker: Valkey
) -> None:
    house = make_house(redis_url=broker.url, RINGLINE_DIRECT_HINTS="false")
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        await tenant.ring("bob", id="before")
        await tenant.sim.arrived(1, token=phone.voip)
        broker.stop()
        broker.start()
        with contextlib.closing(Redis.from_url(broker.url)) as client:

            async def worker_asks() -> bool:
                return any(one["cmd"].startswith("brpop") for one in client.client_list())

            async def none_waits() -> bool:
                return not list(client.scan_iter(_type="list"))

            await eventually(worker_asks)
            for n in range(6):
                call = await tenant.ring("bob", id=f"after-{n}")
                arrivals = await tenant.sim.arrived(n + 2, token=phone.voip, timeout=10)
                assert member(call, "bob")["ring"]["uuid"] == arrivals[-1].payload["ring"]["uuid"]
            published = client.info("commandstats")["cmdstat_lpush"]["calls"]
            assert published >= 4, "the API finds its broker again"
            await eventually(none_waits)  # all were taken by the worker, by Celery alone


async def test_a_ring_past_its_deadline_or_cancelled_in_the_queue_is_never_pushed(
    make_house: HouseMaker,
) -> None:
    house = make_house(workers=0)
    async with new_tenant(house) as tenant:
        late = await tenant.phone("bob")
        cancelled = await tenant.phone("carol")
        live = await tenant.phone("dave")
        await tenant.ring("bob", ring_time=5)
        call = await tenant.ring("carol", ring_time=60)
        assert (await tenant.act(call, "cancel")).status_code == 200
        await asyncio.sleep(5.1)
        await tenant.ring("dave", ring_time=60)
        house.start(workers=1)
        await tenant.sim.arrived(1, token=live.voip)
        await asyncio.sleep(1.5)
        assert not tenant.sim.arrivals(late.voip)
        assert not tenant.sim.arrivals(cancelled.voip)
        assert not tenant.sim.arrivals(cancelled.alert), "who was never rung is told no stop"
        rows = await tenant.rows("SELECT state, user_id FROM pushes WHERE tenant_id = :tenant")
        assert {row["user_id"]: row["state"] for row in rows} == {
            "bob": "dropped",
            "carol": "dropped",
            "dave": "accepted",
        }
