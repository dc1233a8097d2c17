"""A ring and an answer in a transaction that is rolled back, before the first real one.

The first request to a new process would otherwise pay for preparing a dozen statements: about
50 ms, which a phone's owner hears.
"""

from uuid import UUID

from app.calls import slices, store
from app.calls.apply import Change, apply
from app.calls.at_once import ring_at_once
from app.calls.ringing import resolve, ring_new
from app.calls.schemas import CallerIn, RingIn
from app.core.call import Accept, End, decide
from app.devices import service as devices
from app.devices.schemas import DeviceIn
from app.infra.db import Connection
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.push import worker_store
from app.push.batches import BATCHED_FROM
from app.tenants import store as tenants
from app.tenants.schemas import TenantSettings

CALLER, CALLEE = "rehearsal-caller", "rehearsal-callee"
GROUP = [CALLEE, *(f"{CALLEE}-{n}" for n in range(1, BATCHED_FROM))]


async def rehearse(runtime: Runtime) -> None:
    """Go once through the statements of a ring, an accept and an end, of one, of a group whose
    pushes lie in batches, and by slices; nothing of it stays."""
    tenant_id = uuid7()
    async with runtime.database.rehearsal() as session:
        await tenants.add_tenant(session, tenant_id, f"rehearsal {tenant_id}")
        await _register(session, tenant_id)
        await worker_store.enter_worker(  # one that takes batches: else none is written
            session, uuid7(), host="rehearsal", pid=0, only=None, lease=60
        )
        for callees in ([CALLEE], GROUP):
            await _ring(session, tenant_id, callees)
        await _ring_by_slices(session, tenant_id)
        await _ring_at_once(session, tenant_id)


async def _ring(session: Connection, tenant_id: UUID, callees: list[str]) -> None:
    request = RingIn(caller=CallerIn(id=CALLER), callees=callees)
    key = f"rehearsal {len(callees)}"
    one = resolve(tenant_id, TenantSettings(), request, device="server", key=key)
    await ring_new(session, [one])
    for command in (Accept(CALLEE, "rehearsal"), End()):
        await store.id_by_name(session, tenant_id, one.request.type, one.name)
        await store.lock(session, tenant_id, [one.session_id])
        now, stored = await store.load_for(session, one.session_id, None)
        await apply(session, [Change(stored, decide(stored.call, command, now))], now)


async def _ring_at_once(session: Connection, tenant_id: UUID) -> None:
    request = RingIn(caller=CallerIn(id=CALLER), callees=[CALLEE])
    one = resolve(tenant_id, TenantSettings(), request, device="server", key=None)
    await ring_at_once(session, [one])


async def _ring_by_slices(session: Connection, tenant_id: UUID) -> None:
    request = RingIn(caller=CallerIn(id=CALLER), callees=[f"{CALLEE}-first", *GROUP])
    one = resolve(tenant_id, TenantSettings(), request, device="server", key="rehearsal slices")
    await ring_new(session, [slices.first_slice(one, 1)])
    now, stored = await store.load_for(session, one.session_id, None)
    await slices.ring_owed(session, [stored], now)


async def _register(session: Connection, tenant_id: UUID) -> None:
    place = {"app_id": "rehearsal", "environment": "sandbox", "token": "00" * 32}
    tokens = [place | {"kind": "voip"}, place | {"kind": "alert"}]
    device = DeviceIn.model_validate({"device_id": "rehearsal", "tokens": tokens})
    await devices.register(session, tenant_id, TenantSettings(), CALLEE, device)
