"""How far a decline reaches: all the member's devices, or the one that declines."""

from datetime import datetime
from typing import Any

from app.calls import service
from app.calls.actors import Actor
from app.calls.apply import may_have_batches
from app.calls.commands import Asked, carry_out
from app.calls.refusals import is_unseen, not_found
from app.calls.rows import Stored
from app.calls.service import Seen
from app.core.call import Decision, Report, Ring
from app.infra.db import Connection
from app.infra.errors import Invalid
from app.infra.runtime import Runtime
from app.push import store as pushes
from app.tenants import service as tenants
from app.tenants.caller import Caller


async def reach_of(runtime: Runtime, caller: Caller, actor: Actor, said: str | None) -> str:
    """`user` or `device`: as said, else as the tenant has it, where a device is known."""
    if said is not None or actor.device is None:
        return said or "user"
    if caller.kind in {"server", "user"}:
        return caller.settings.decline_reach
    return (await tenants.settings_of(runtime, caller.tenant_id)).decline_reach


async def on_this_device(runtime: Runtime, actor: Actor) -> Seen | None:
    """Note that the actor's device has declined; None when no other rings: the member declines.

    Two devices that decline at once are both noted before either asks for others. Raises NotFound,
    and Invalid when no device is named.
    """
    if actor.device is None:
        raise Invalid("missing_field", "device_id: say which device declines")
    user, device = actor.user_id, actor.device
    session_id = await service.find(runtime, actor.tenant_id, actor.reference)
    seen = await service.read(runtime, actor.tenant_id, str(session_id))
    member = seen.call.members.get(user)
    if is_unseen(member, hidden=actor.hidden, ring=actor.ring):
        raise not_found()
    ring = member.ring if member is not None and member.is_rung else None
    if ring is None or actor.ring not in {None, ring.uuid}:
        return None  # there is nothing to decline: the command says so, or that it is no member

    async def note(session: Connection, stored: Stored, _d: Decision, now: datetime) -> Any:
        large = session_id if may_have_batches(stored.call) else None
        first = await pushes.note_declined(session, ring.uuid, device, now, large=large)
        return None if first else "said before"

    command = Report(user, device, ring.uuid, declined=True)
    await carry_out(runtime, actor.tenant_id, session_id, Asked(command, note))
    if not await _others(runtime, ring, device):
        return None
    return await service.read(runtime, actor.tenant_id, str(session_id))


async def _others(runtime: Runtime, ring: Ring, device: str) -> bool:
    async with runtime.database.autocommit() as session:
        return await pushes.others_ring(session, ring.uuid, device)
