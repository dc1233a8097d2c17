"""Workers die and freeze with a group's pushes in their hands, which lie in one row."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from devkit.simulator.google.accounts import Account
from tests.chance import dice, often
from tests.e2e.android import account, give_account
from tests.e2e.house import House, Phone, Tenant, Worker, eventually, new_tenant
from tests.e2e.test_android import both
from tests.houses import HouseMaker

__all__ = ["account"]

GROUP = 12
HELD = 6
HOLDER = """
    SELECT w.pid FROM push_batches b JOIN workers w ON w.id = b.claimed_by
    WHERE b.tenant_id = :tenant AND b.done_at IS NULL
"""
HOLDER_OF_ONE = """
    SELECT w.pid FROM pushes p JOIN workers w ON w.id = p.claimed_by
    WHERE p.tenant_id = :tenant AND p.state = 'sending'
"""
ALIVE = "SELECT pid FROM workers WHERE dead_at IS NULL"
TAKEN = "SELECT count(*) AS n FROM places WHERE tenant_id = :tenant AND state = 'accepted'"
LEFT = "SELECT count(*) AS n FROM pushes WHERE tenant_id = :tenant"
TRIES = """
    SELECT count(*) AS n FROM attempts a JOIN targets p ON p.id = a.push_id
    WHERE p.tenant_id = :tenant
"""
OPEN = """
    SELECT 1 FROM targets WHERE tenant_id = :tenant AND is_open
    UNION ALL SELECT 1 FROM push_batches WHERE tenant_id = :tenant AND done_at IS NULL
"""
UNHEARD = """
    SELECT 1 FROM attempts a JOIN targets p ON p.id = a.push_id
    WHERE p.tenant_id = :tenant AND a.status IS NULL
"""
WAITS = 4
"""Seconds until the refused one is tried again: longer than an answer may take."""
RANG = "SELECT kind, state FROM targets WHERE tenant_id = :tenant AND user_id = :user ORDER BY id"
STATES = "SELECT DISTINCT state FROM targets WHERE tenant_id = :tenant"


@pytest.mark.long(19)
async def test_a_group_is_rung_once_or_repeated_once_wherever_its_worker_dies(
    make_house: HouseMaker, account: Account
) -> None:
    """Before the first is handed over; when some are taken, one is refused, and others have no
    answer yet; at any moment; and between the addresses of one phone."""
    house, chance = make_house(workers=2), dice()
    await dies_before_it_hands_over(house)
    await eventually(lambda: dies_between_answers(house))
    for _ in range(often(1, 15)):
        await dies_at_any_moment(house, chance)
    await dies_between_addresses(house, account)


async def test_a_thawed_worker_changes_nothing_of_a_group_that_another_has_taken_over(
    make_house: HouseMaker,
) -> None:
    house = make_house(workers=2)
    await eventually(lambda: thaws(house))


async def thaws(house: House) -> bool:
    """Whether it was frozen while it waited for answers: a busy machine may take too long."""
    async with new_tenant(house) as tenant:
        phones = await group(tenant)
        faults, frozen = await half_answered(tenant, phones)
        frozen.freeze()
        try:
            if await tenant.rows(UNHEARD):
                return False
            for fault in faults:
                tenant.sim.release(fault)
            await eventually(lambda: all_ended(tenant))
            before = await tenant.rows(
                "SELECT * FROM targets WHERE tenant_id = :tenant ORDER BY id"
            )
        finally:
            frozen.thaw()
        await eventually(lambda: counts(tenant, TRIES, 2 * HELD + 2))
        assert before == await tenant.rows(
            "SELECT * FROM targets WHERE tenant_id = :tenant ORDER BY id"
        )
        await counted(tenant, phones, [2] * (HELD + 1) + [1] * (GROUP - HELD - 1))
        return True


async def dies_before_it_hands_over(house: House) -> None:
    async with new_tenant(house) as tenant:
        await tenant.season_workers()
        # whoever claims meets a handshake that does not end
        barrier = tenant.sim.connection_fault(hold=True)
        phones = await group(tenant)
        await ring(tenant, phones)
        victim = await holder(tenant)
        await replace(house, victim)
        assert sends(tenant, phones) == [0] * GROUP
        tenant.sim.end_fault(barrier)
        await counted(tenant, phones, [1] * GROUP)


async def dies_between_answers(house: House) -> bool:
    """Whether it died while it waited for answers, as above."""
    async with new_tenant(house) as tenant:
        phones = await group(tenant)
        _, victim = await half_answered(tenant, phones)
        await replace(house, victim)
        if await tenant.rows(UNHEARD):
            return False
        await counted(tenant, phones, [2] * (HELD + 1) + [1] * (GROUP - HELD - 1))
        return True


async def dies_at_any_moment(house: House, chance: random.Random) -> None:
    async with new_tenant(house) as tenant:
        await tenant.season_workers()
        phones = await group(tenant)
        alive = {row["pid"] for row in await tenant.rows(ALIVE)}
        await ring(tenant, phones)
        await asyncio.sleep(chance.uniform(0, 0.05))
        victim = chance.choice([one for one in house.workers if one.pid in alive])
        await replace(house, victim)
        await counted(tenant, phones, None)


async def dies_between_addresses(house: House, account: Account) -> None:
    """When the refusal of a phone's better address is on its way, and when its next is asked."""
    async with new_tenant(house) as tenant:
        await tenant.season_workers()
        await give_account(tenant, account)
        for step in range(2):
            phone, fcm = await both(tenant, f"two{step}")
            tokens = phone.voip, fcm
            barrier = tenant.sim.fault(token=tokens[step], hold=True, times=1)
            tenant.sim.gone(phone.voip)
            await ring(tenant, [phone])
            await tenant.sim.arrived(1, token=tokens[step])
            await replace(house, await holder(tenant, HOLDER_OF_ONE))
            tenant.sim.end_fault(barrier)
            await tenant.sim.arrived(1, token=fcm)
            await eventually(lambda: all_ended(tenant))
            found = await tenant.rows(RANG, user=phone.user)
            assert [(row["kind"], row["state"]) for row in found] == [
                ("voip", "refused"), ("fcm", "accepted")
            ]  # fmt: skip
            assert len(tenant.sim.arrivals(phone.voip)) == 2 - step
            assert len(tenant.sim.arrivals(fcm)) == 1 + step


async def half_answered(tenant: Tenant, phones: Sequence[Phone]) -> tuple[list[int], Worker]:
    """Ring them: the first are held, one is refused once, and the others are written as taken."""
    await tenant.season_workers()
    held, busy = phones[:HELD], phones[HELD]
    faults = [tenant.sim.fault(token=one.voip, hold=True, times=1) for one in held]
    tenant.sim.fault(
        token=busy.voip, status=503, reason="ServiceUnavailable", retry_after=WAITS, times=1
    )
    await ring(tenant, phones)
    for phone in held:
        await tenant.sim.arrived(1, token=phone.voip)
    victim = await holder(tenant)
    await eventually(lambda: counts(tenant, TAKEN, GROUP - HELD - 1), every=0.01)
    await eventually(lambda: counts(tenant, LEFT, 1), every=0.01)
    return faults, victim


async def group(tenant: Tenant) -> list[Phone]:
    return await tenant.phones(*(f"u{n}" for n in range(GROUP)))


async def ring(tenant: Tenant, phones: Sequence[Phone]) -> None:
    await tenant.ring(*(phone.user for phone in phones), ring_time=60)


async def holder(tenant: Tenant, sql: str = HOLDER) -> Worker:
    rows = await eventually(lambda: tenant.rows(sql), every=0.01)
    return next(one for one in tenant.house.workers if one.pid == rows[0]["pid"])


async def replace(house: House, victim: Worker) -> None:
    victim.kill()
    await asyncio.to_thread(house.start, workers=1)


async def counted(tenant: Tenant, phones: Sequence[Phone], expected: list[int] | None) -> None:
    """None is lost, none stuck; each has had so many hand-overs, of one id: at most two."""
    await eventually(lambda: all_ended(tenant))
    assert await tenant.rows(STATES) == [{"state": "accepted"}]
    found = sends(tenant, phones)
    assert min(found) >= 1
    assert max(found) <= 2
    assert expected in (None, found)
    for phone in phones:
        assert len({one.apns_id for one in tenant.sim.arrivals(phone.voip)}) == 1


def sends(tenant: Tenant, phones: Sequence[Phone]) -> list[int]:
    return [len(tenant.sim.arrivals(phone.voip)) for phone in phones]


async def all_ended(tenant: Tenant) -> bool:
    return not await tenant.rows(OPEN)


async def counts(tenant: Tenant, sql: str, wanted: int) -> bool:
    (row,) = await tenant.rows(sql)
    return bool(row["n"] >= wanted)
