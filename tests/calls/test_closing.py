"""A tenant that is deleted rings no more: what it had begun ends, and nothing new begins."""

from uuid import UUID

from sqlalchemy import text

from app.calls import closing, ringing
from app.infra.db import Connection
from app.infra.errors import Conflict
from app.infra.ids import uuid7
from app.tenants import store
from tests.calls.test_slices import crowd, first_slice, request  # noqa: F401  (a fixture)
from tests.e2e.house import Tenant, eventually

WAITING = (
    "SELECT state FROM targets WHERE session_id = :c AND purpose = 'ring' AND state = 'pending'"
)


async def delete(tenant: Tenant) -> None:
    (row,) = await tenant.rows("SELECT name FROM tenants WHERE id = :tenant")
    await closing.delete(tenant.runtime, tenant.id, row["name"])


async def stopped(session: Connection, tenant: UUID) -> bool:
    asked = text(f"SELECT {store.STOPPED} AS stopped")
    found = await session.execute(asked, {"tenants": f"{{{tenant}}}"})
    return bool(found.scalar_one())


async def test_a_call_that_owes_rings_ends_and_what_waits_to_ring_is_dropped(
    crowd: Tenant,  # noqa: F811
) -> None:
    call = await first_slice(crowd)
    assert await crowd.rows(WAITING, c=call["session_id"])
    await delete(crowd)
    (row,) = await crowd.rows("SELECT state, owed FROM calls WHERE tenant_id = :tenant")
    assert row == {"state": "ended", "owed": None}
    assert not await crowd.rows(WAITING, c=call["session_id"])


async def test_nothing_new_begins_while_its_rows_go_and_when_all_are_gone(
    crowd: Tenant,  # noqa: F811
) -> None:
    async with crowd.runtime.database.transaction() as session:
        assert not await stopped(session, crowd.id)
    await delete(crowd)
    async with crowd.runtime.database.transaction() as session:
        answers, _ = await ringing.ring_new(session, [await request(crowd)])
        assert isinstance(answers[0], Conflict)
        assert answers[0].code == "ringing_stopped"
        assert await stopped(session, uuid7()), "of a tenant that is no more"


async def test_the_sweep_ends_what_who_died_at_it_has_left(tenant: Tenant) -> None:
    """The commit alone: whoever has made it ends no call, and tells no phone."""
    phone = await tenant.phone("bob")
    call = await tenant.ring("bob")
    (rung,) = await tenant.sim.arrived(1, token=phone.voip)
    async with tenant.runtime.database.transaction() as session:
        await store.close(session, tenant.id)
    (stop,) = await tenant.sim.arrived(1, token=phone.alert)
    assert stop.payload["ring"]["uuid"] == rung.payload["ring"]["uuid"]
    (row,) = await tenant.rows("SELECT state FROM calls WHERE id = :c", c=UUID(call["session_id"]))
    assert row["state"] == "ended"

    async def sealed_gone() -> bool:
        return not await tenant.rows("SELECT id FROM credentials WHERE tenant_id = :tenant")

    await eventually(sealed_gone)
