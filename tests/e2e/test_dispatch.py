"""What a worker does with a push between claim and record, when things happen in between."""

import asyncio
import contextlib
from typing import Any

from sqlalchemy import text

from app.calls import ringing
from app.calls.ringer import Ringer
from tests.e2e.house import Tenant, eventually
from tests.e2e.test_races import order


async def pushes(tenant: Tenant, state: str = "%") -> list[dict[str, Any]]:
    return await tenant.rows(
        "SELECT * FROM pushes WHERE tenant_id = :tenant AND state LIKE :state", state=state
    )


async def test_a_ring_cancelled_while_apple_cannot_be_reached_is_never_pushed(
    tenant: Tenant,
) -> None:
    phone = await tenant.phone("bob")
    tenant.sim.close_connections()
    barrier = tenant.sim.connection_fault(hold=True)
    try:
        call = await tenant.ring("bob")
        await eventually(lambda: pushes(tenant, "sending"))
        await asyncio.sleep(0.3)
        await tenant.act(call, "cancel")
        await eventually(lambda: pushes(tenant, "dropped"))
    finally:
        tenant.sim.end_fault(barrier)
    await asyncio.sleep(1)
    assert not tenant.sim.arrivals(phone.voip)


async def test_the_retry_of_a_settled_ring_is_never_sent(tenant: Tenant) -> None:
    first, second = await tenant.phone("bob"), await tenant.phone("bob", alert=False)
    tenant.sim.fault(
        token=second.voip, status=503, reason="ServiceUnavailable", retry_after=1, times=1
    )
    call = await tenant.ring("bob")
    await tenant.sim.arrived(1, token=second.voip)
    await eventually(lambda: pushes(tenant, "pending"))
    await tenant.act(call, "accept", "bob", first.device_id)
    await asyncio.sleep(2)
    assert len(tenant.sim.arrivals(second.voip)) == 1
    assert {row["state"] for row in await pushes(tenant)} == {"accepted", "dropped"}


async def test_a_retry_uses_the_same_id_and_uuid(tenant: Tenant) -> None:
    phone = await tenant.phone("bob")
    tenant.sim.fault(token=phone.voip, status=503, reason="ServiceUnavailable", times=2)
    await tenant.ring("bob")
    arrivals = await tenant.sim.arrived(3, token=phone.voip)
    assert [one.status for one in arrivals] == [503, 503, 200]
    assert len({one.apns_id for one in arrivals}) == 1
    assert len({one.payload["ring"]["uuid"] for one in arrivals}) == 1
    (row,) = await eventually(lambda: pushes(tenant, "accepted"))
    assert (row["attempts"], row["status"], row["reason"]) == (3, 200, None)


async def test_a_claim_whose_commit_went_unanswered_is_found_again(tenant: Tenant) -> None:
    """The database says that a live worker has the push; the worker does not know of it."""
    phone = await tenant.phone("bob")
    async with tenant.runtime.database.transaction() as session:
        await ringing.ring_new(session, [order(tenant.id, "bob")])
        await session.execute(
            text(
                "UPDATE pushes SET state = 'sending', fence = 1, claimed_by = "
                "(SELECT id FROM workers ORDER BY alive_until DESC LIMIT 1) WHERE tenant_id = :id"
            ),
            {"id": tenant.id},
        )
    await tenant.sim.arrived(1, token=phone.voip)
    await asyncio.sleep(2.5)
    assert len(tenant.sim.arrivals(phone.voip)) == 1


LOCK = text("LOCK TABLE credentials IN ACCESS EXCLUSIVE MODE")
WAITING = "wait_event_type = 'Lock' AND datname = current_database()"


async def test_a_connection_lost_between_claim_and_send_costs_no_ring(tenant: Tenant) -> None:
    tenant.house.may_log |= {"claims_given_back", "round_failed"}
    phone = await tenant.phone("bob")
    database = tenant.runtime.database

    async def waits(query: str) -> None:
        sql = f"SELECT 1 FROM pg_stat_activity WHERE {WAITING} AND query LIKE '{query}'"
        await eventually(lambda: tenant.rows(sql))

    # a claim reads the table too: it waits for the first lock, and what follows it for the second
    async with contextlib.AsyncExitStack() as second:
        async with database.transaction() as session:
            await session.execute(LOCK)
            answers = await Ringer(tenant.runtime).all([order(tenant.id, "bob")])
            assert isinstance(answers[0], dict)
            await waits("%UPDATE pushes%")
            other = await second.enter_async_context(database.transaction())
            locked = asyncio.create_task(other.execute(LOCK))
            await waits("LOCK TABLE%")
        await locked
        await eventually(lambda: pushes(tenant, "sending"))
        killed = await eventually(
            lambda: tenant.rows(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WAITING} "
                "AND query LIKE '%FROM credentials c%' AND query NOT LIKE '%UPDATE pushes%'"
            )
        )
        assert killed
        await eventually(lambda: pushes(tenant, "pending"))
    await tenant.sim.arrived(1, token=phone.voip)
    await asyncio.sleep(0.5)
    assert len(tenant.sim.arrivals(phone.voip)) == 1


async def test_a_phone_that_may_have_been_rung_by_an_unanswered_push_is_stopped(
    tenant: Tenant,
) -> None:
    phone = await tenant.phone("bob")
    # taken by Apple, answered with trouble: the phone may ring
    tenant.sim.fault(
        token=phone.voip, status=503, reason="ServiceUnavailable", retry_after=20, delivered=True
    )
    call = await tenant.ring("bob")
    await tenant.sim.arrived(1, token=phone.voip)
    await eventually(lambda: pushes(tenant, "pending"))
    await tenant.act(call, "cancel")
    await tenant.sim.arrived(1, token=phone.alert)
