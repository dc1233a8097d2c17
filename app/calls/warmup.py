"""A ring and an answer in a transaction that is rolled back, before the first real one.

The first request to a new process would otherwise pay for preparing a dozen statements: about
50 ms, which a phone's owner hears.
"""

from datetime import timedelta
from uuid import UUID

from app.calls import store
from app.calls.apply import Change, apply
from app.calls.ringing import resolve, ring_new
from app.calls.schemas import CallerIn, RingIn
from app.core.call import Accept, End, decide
from app.devices import store as devices
from app.infra.db import Connection, clock
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.push import tokens as push_tokens
from app.tenants import store as tenants
from app.tenants.schemas import TenantSettings

CALLER, CALLEE = "rehearsal-caller", "rehearsal-callee"


async def rehearse(runtime: Runtime) -> None:
    """Go once through the statements of a ring, an accept and an end; nothing of it stays."""
    tenant_id = uuid7()
    async with runtime.database.rehearsal() as session:
        await tenants.add_tenant(session, tenant_id, f"rehearsal {tenant_id}")
        await _register(session, tenant_id)
        request = RingIn(caller=CallerIn(id=CALLER), callees=[CALLEE])
        one = resolve(tenant_id, TenantSettings(), request, device="server", key="rehearsal")
        await ring_new(session, [one])
        for command in (Accept(CALLEE, "rehearsal"), End()):
            await store.id_by_name(session, tenant_id, one.request.type, one.name)
            await store.lock(session, tenant_id, [one.session_id])
            now, calls = await store.load(session, [one.session_id])
            stored = calls[one.session_id]
            await apply(session, [Change(stored, decide(stored.call, command, now))], now)


async def _register(session: Connection, tenant_id: UUID) -> None:
    await devices.see_users(session, [(tenant_id, CALLEE)])
    now = await clock(session)
    device = {"id": uuid7(), "tenant_id": tenant_id, "user_id": CALLEE, "device_id": "rehearsal"}
    row = await devices.save_device(session, device | {"name": None, "platform": None, "now": now})
    places = {"app_id": "rehearsal", "environment": "sandbox", "token": "00" * 32}
    await push_tokens.save_tokens(
        session,
        tenant_id=tenant_id,
        user_id=CALLEE,
        device=row["id"],
        tokens=[places | {"kind": "voip"}, places | {"kind": "alert"}],
        ids=[uuid7(), uuid7()],
        now=now,
        expires=now + timedelta(hours=1),
    )
