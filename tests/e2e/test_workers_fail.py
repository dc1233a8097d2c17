"""Workers die and freeze: the ring is rung by another, and a late answer changes nothing."""

import asyncio
import time

from tests.e2e.house import House, Phone, Tenant, Worker, eventually, member, new_tenant
from tests.houses import HouseMaker


async def _worker_of(tenant: Tenant, workers: list[Worker], sql: str) -> Worker:
    rows = await eventually(lambda: tenant.rows(sql))
    return next(one for one in workers if one.pid == rows[0]["pid"])


SENDING = """
    SELECT w.pid FROM targets p JOIN workers w ON w.id = p.claimed_by
    WHERE p.tenant_id = :tenant AND p.state = 'sending'
"""


async def test_a_worker_killed_between_claim_and_send_is_replaced_within_3_s(
    make_house: HouseMaker,
) -> None:
    """Each time on a machine that has time for it; in one of three rounds on one that has not."""
    house, took = make_house(workers=2), list[float]()
    for _ in range(3):
        took.append(await replaced_after(house))
        if took[-1] < 3:
            return
        await asyncio.to_thread(house.start, workers=1)
    raise AssertionError(f"rung by another after {took} s")


async def replaced_after(house: House) -> float:
    """Kill the worker that has a ring in its hands; seconds until another has rung it."""
    async with new_tenant(house) as tenant:
        await tenant.season_workers()
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
        (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
        assert arrival.apns_id == str(push["id"])
        assert arrival.payload["ring"]["uuid"] == member(call, "bob")["ring"]["uuid"]
        (after,) = await eventually(
            lambda: tenant.rows(
                "SELECT fence FROM pushes WHERE tenant_id = :tenant AND state = 'accepted'"
            )
        )
        assert after["fence"] == push["fence"] + 1
        return arrival.received_ns / 1e9 - died


async def test_a_worker_killed_after_sending_may_repeat_once_with_the_same_id(
    make_house: HouseMaker,
) -> None:
    house = make_house(workers=2)
    async with new_tenant(house) as tenant:
        await tenant.season_workers()
        phone = await tenant.phone("bob")
        tenant.sim.fault(token=phone.voip, silence=True, times=1)
        await tenant.ring("bob", ring_time=30)
        (first,) = await tenant.sim.arrived(1, token=phone.voip)
        victim = await _worker_of(tenant, house.workers, SENDING)
        victim.kill()
        arrivals = await tenant.sim.arrived(2, token=phone.voip)
        await asyncio.sleep(1.5)
        assert {one.apns_id for one in arrivals} == {first.apns_id}
        assert len(tenant.sim.arrivals(phone.voip)) == 2


async def test_what_a_frozen_worker_says_late_is_kept_and_changes_nothing(
    make_house: HouseMaker,
) -> None:
    house = make_house(workers=2)
    async with new_tenant(house) as tenant:
        await tenant.season_workers()
        phone = await tenant.phone("bob")
        # the first to send gets no answer until it is frozen, then a 410 that would retire the token
        held = tenant.sim.fault(
            token=phone.voip, hold=True, times=1, status=410, reason="Unregistered",
            timestamp=int((time.time() + 600) * 1000),
        )  # fmt: skip
        await tenant.ring("bob", ring_time=30)
        await tenant.sim.arrived(1, token=phone.voip)
        frozen = await _worker_of(tenant, house.workers, SENDING)
        frozen.freeze()
        try:
            tenant.sim.release(held)
            await tenant.sim.arrived(2, token=phone.voip)
            (before,) = await eventually(
                lambda: tenant.rows(
                    "SELECT * FROM pushes WHERE tenant_id = :tenant AND state = 'accepted'"
                )
            )
            await asyncio.sleep(2)
        finally:
            frozen.thaw()
        attempts = await eventually(lambda: _attempts(tenant, 2))
        (after,) = await tenant.rows("SELECT * FROM pushes WHERE tenant_id = :tenant")
        assert after == before
        assert [(one["fence"], one["status"]) for one in attempts] == [(1, 410), (2, 200)]
        (token,) = await tenant.rows(
            "SELECT retired_at FROM tokens WHERE tenant_id = :tenant AND kind = 'voip'"
        )
        assert token["retired_at"] is None
        assert len(tenant.sim.arrivals(phone.voip)) == 2


async def test_a_thawed_worker_hands_over_nothing_that_is_not_its_own_any_more(
    make_house: HouseMaker,
) -> None:
    """One stream a connection, twenty pushes, the holder frozen for longer than its lease; half of
    them in rows, half in a batch.

    Who was rung by the other is not rung a second time, but for what was in the air; who was
    cancelled meanwhile is not rung at all.
    """
    house = make_house(workers=2, RINGLINE_APNS_CONNECTIONS="4")
    house.sim.set_conduct(max_concurrent_streams=1)
    slow = house.sim.fault(delay=0.2)
    try:
        async with new_tenant(house) as tenant:
            await tenant.season_workers()
            kept = [await tenant.phone("bob", alert=False) for _ in range(10)]
            cancelled = [await tenant.phone(f"c{n}", alert=False) for n in range(10)]
            house.sim.close_connections()
            await tenant.ring("bob", ring_time=30)
            call = await tenant.ring(*(one.user for one in cancelled), ring_time=30)
            await eventually(lambda: _arrived(tenant, kept + cancelled, 4), every=0.01)
            frozen = await _worker_of(tenant, house.workers, SENDING)
            frozen.freeze()
            held = await tenant.rows(
                "SELECT p.token FROM targets p JOIN workers w ON w.id = p.claimed_by "
                "WHERE p.state = 'sending' AND w.pid = :pid", pid=frozen.pid
            )  # fmt: skip
            assert held
            assert (await tenant.act(call, "cancel")).status_code == 200
            settled = time.time()
            await eventually(lambda: _all_ended(tenant))
            frozen.thaw()
            await eventually(lambda: _alive(tenant, frozen))
            phone = await tenant.phone("dave")  # and it goes on working
            await tenant.ring("dave")
            await house.sim.arrived(1, token=phone.voip)
            sends = [len(house.sim.arrivals(one.voip)) for one in kept]
            assert min(sends) >= 1
            assert sum(sends) <= 10 + 4, "one repeat of what was in the air, at most"
            late = [
                arrival
                for one in cancelled
                for arrival in house.sim.arrivals(one.voip)
                if arrival.received_ns / 1e9 > settled + 0.3
            ]
            assert late == []
    finally:
        house.sim.end_fault(slow)
        house.sim.set_conduct(max_concurrent_streams=1000)


async def _arrived(tenant: Tenant, phones: list[Phone], count: int) -> bool:
    return sum(len(tenant.sim.arrivals(one.voip)) for one in phones) >= count


async def _all_ended(tenant: Tenant) -> bool:
    return not await tenant.rows(
        "SELECT 1 FROM targets WHERE tenant_id = :tenant AND state IN ('pending', 'sending')"
    )


async def _alive(tenant: Tenant, worker: Worker) -> bool:
    return bool(
        await tenant.rows(
            "SELECT 1 FROM workers WHERE pid = :pid AND dead_at IS NULL "
            "AND alive_until > clock_timestamp()", pid=worker.pid,
        )
    )  # fmt: skip


async def _attempts(tenant: Tenant, count: int) -> list[dict[str, object]]:
    rows = await tenant.rows(
        "SELECT a.* FROM attempts a JOIN pushes p ON p.id = a.push_id "
        "WHERE p.tenant_id = :tenant ORDER BY a.fence"
    )
    return rows if len(rows) >= count else []


TWO_HOURS_AHEAD = (
    "UPDATE leases SET until = until + interval '2 hours'",
    """UPDATE workers SET alive_until = alive_until + interval '2 hours',
        unbroken_since = unbroken_since + interval '2 hours'""",
)


async def test_a_clock_of_the_database_that_is_set_back_stops_nothing(
    make_house: HouseMaker,
) -> None:
    """What was written by a clock two hours ahead: rings end in time, and the dead are condemned."""
    house = make_house(workers=2)
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        house.workers[0].kill()
        for rows in TWO_HOURS_AHEAD:
            await tenant.execute(rows)
        call = await tenant.ring("bob", ring_time=5)
        await tenant.sim.arrived(1, token=phone.voip)
        states = "SELECT state, reason FROM calls WHERE id = :call"

        async def over() -> bool:
            (row,) = await tenant.rows(states, call=call["session_id"])
            return (row["state"], row["reason"]) == ("ended", "missed")

        await eventually(over, timeout=20)
        dead = "SELECT FROM workers WHERE pid = :pid AND dead_at IS NOT NULL"
        await eventually(lambda: tenant.rows(dead, pid=house.workers[0].pid), timeout=20)
