"""What a device says of a ring: that it is on its screen, or that it cannot be."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.calls import actors, service
from app.calls.apply import may_have_batches
from app.calls.commands import Asked, carry_out
from app.calls.rows import Stored
from app.calls.schemas import ReportIn
from app.core.call import Decision, Report
from app.infra.db import Connection
from app.infra.errors import Invalid
from app.infra.runtime import Runtime
from app.push import store as pushes
from app.tenants.caller import Caller


async def report(runtime: Runtime, caller: Caller, reference: str, said: ReportIn) -> None:
    """Note it on the device's push, if it had one, and tell of it once; its others go on.

    With a call token it is for the token's ring and device, also when that ring is over; else for
    the open ring of the user that is named. Of a ring that is kept from its user nothing is told.
    Raises NotFound, Forbidden for a member token, Invalid when no device is named.
    """
    actors.refuse_kinds(caller, "member")
    who = await actors.actor(runtime, caller, reference, said.user_id, said.device_id)
    if who.device is None:
        raise Invalid("missing_field", "device_id: say which device it is")
    user, device, delivered = who.user_id, who.device, said.status == "delivered"
    session_id = await service.find(runtime, who.tenant_id, who.reference)
    ring = who.ring or await _open_ring(runtime, caller, session_id, user)
    if ring is None or said.ring not in {None, ring}:
        return  # it is over: a report that comes late does no harm
    row = caller.device_row

    async def note(session: Connection, stored: Stored, _d: Decision, now: datetime) -> Any:
        large = session_id if may_have_batches(stored.call) else None
        first = await pushes.note_report(
            session, ring, row or device, now, delivered=delivered, large=large
        )
        without_push = row is None and delivered  # a page, say: the call itself knows its devices
        return None if first or without_push else "said before"

    command = Report(user, device, ring, delivered)
    await carry_out(runtime, who.tenant_id, session_id, Asked(command, note))


async def _open_ring(runtime: Runtime, caller: Caller, session_id: UUID, user: str) -> UUID | None:
    seen = await service.read(runtime, caller.tenant_id, str(session_id))
    member = actors.member_of(caller, seen, user)
    return member.ring.uuid if member.ring is not None and member.is_rung else None
