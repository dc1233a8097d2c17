"""Workers die and freeze: the ring is rung by another, and a late answer changes nothing."""

import asyncio
import time

from tests.e2e.house import Tenant, Worker, eventually, member, new_tenant
from tests.houses import HouseMaker


async def _worker_of(tenant: Tenant, workers: list[Worker], sql: str) -> Worker:
    rows = await eventually(lambda: tenant.rows(sql), timeout=5)
    return next(one for one in workers if one.pid == rows[0]["pid"])


SENDING = """
    SELECT w.pid FROM pushes p JOIN workers w ON w.id = p.claimed_by
    WHERE p.tenant_id = :tenant AND p.state = 'sending'
"""


async def test_a_worker_killed_between_claim_and_send_is_replaced_within_3_s(
    make_house: HouseMaker,
) -> None:
    house = make_house(workers=2)
    async with new_tenant(house) as tenant:
        # the barrier: whoever claims the push meets a handshake that does not end
        barrier = tenant.sim.connection_fault(hold=True)
        phone = await tenant.phone("bob")
        call = await tenant.ring("bob", ring_time=30)
        victim = await _worker_of(tenant, house.workers, SENDING)
        (push,) = await tenant.rows("SELECT id, fence FROM pushes WHERE tenant_id = :tenant")
        assert not tenant.sim.arrivals(phone.voip)
        victim.kill()
        died = time.time()
        tenant.sim.end_fault(barrier)
        (arrival,) = await tenant.sim.arrived(1, token=phone.voip, timeout=5)
        assert arrival.received_ns / 1e9 - died < 3
        assert arrival.apns_id == str(push["id"])
        assert arrival.payload["ring"]["uuid"] == member(call, "bob")["ring"]["uuid"]
        (after,) = await eventually(
            lambda: tenant.rows(
                "SELECT fence FROM pushes WHERE tenant_id = :tenant AND state = 'accepted'"
            )
        )
        assert after["fence"] == push["fence"] + 1


async def test_a_worker_killed_after_sending_may_repeat_once_with_the_same_id(
    make_house: HouseMaker,
) -> None:
    house = make_house(workers=2)
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        tenant.sim.fault(token=phone.voip, silence=True, times=1)
        await tenant.ring("bob", ring_time=30)
        (first,) = await tenant.sim.arrived(1, token=phone.voip, timeout=5)
        victim = await _worker_of(tenant, house.workers, SENDING)
        victim.kill()
        arrivals = await tenant.sim.arrived(2, token=phone.voip, timeout=4)
        await asyncio.sleep(1.5)
        assert {one.apns_id for one in arrivals} == {first.apns_id}
        assert len(tenant.sim.arrivals(phone.voip)) == 2


async def test_what_a_frozen_worker_says_late_is_kept_and_changes_nothing(
    make_house: HouseMaker,
) -> None:
    house = make_house(workers=2)
    house.may_log.add("round_failed")  # frozen in a transaction, it finds its connection ended
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        # the first to send gets no answer until it is frozen, then a 410 that would retire the token
        held = tenant.sim.fault(
            token=phone.voip, hold=True, times=1, status=410, reason="Unregistered",
            timestamp=int((time.time() + 600) * 1000),
        )  # fmt: skip
        await tenant.ring("bob", ring_time=30)
        await tenant.sim.arrived(1, token=phone.voip, timeout=5)
        frozen = await _worker_of(tenant, house.workers, SENDING)
        frozen.freeze()
        try:
            tenant.sim.release(held)
            await tenant.sim.arrived(2, token=phone.voip, timeout=4)
            (before,) = await eventually(
                lambda: tenant.rows(
                    "SELECT * FROM pushes WHERE tenant_id = :tenant AND state = 'accepted'"
                )
            )
            await asyncio.sleep(2)
        finally:
            frozen.thaw()
        attempts = await eventually(lambda: _attempts(tenant, 2), timeout=5)
        (after,) = await tenant.rows("SELECT * FROM pushes WHERE tenant_id = :tenant")
        assert after == before
        assert [(one["fence"], one["status"]) for one in attempts] == [(1, 410), (2, 200)]
        (token,) = await tenant.rows(
            "SELECT retired_at FROM tokens WHERE tenant_id = :tenant AND kind = 'voip'"
        )
        assert token["retired_at"] is None
        assert len(tenant.sim.arrivals(phone.voip)) == 2


async def _attempts(tenant: Tenant, count: int) -> list[dict[str, object]]:
    rows = await tenant.rows(
        "SELECT a.* FROM attempts a JOIN pushes p ON p.id = a.push_id "
        "WHERE p.tenant_id = :tenant ORDER BY a.fence"
    )
    return rows if len(rows) >= count else []
