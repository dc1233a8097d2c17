"""What a phone learns with the call token of its push: one read, one small answer."""

from typing import Any

from sqlalchemy import text

from app.calls import store
from app.calls.reference import names
from app.calls.refusals import not_found
from app.calls.rows import COUNTS, SUMMARY, OwnCall, own_call_from
from app.calls.schemas import call_summary, member_out, own_call_out, ring_out
from app.core.call import CallKit, Outcome, view
from app.core.event import rfc3339
from app.infra.runtime import Runtime
from app.push.targets import of_ring
from app.tenants.caller import Caller

OF_RING = of_ring("p", "r.uuid", "r.session_id")
STATE = text(f"""
    SELECT c.due_at <= clock_timestamp() AS overdue, {store.GONE_AT} AS gone_at,
           (SELECT max(p.declined_at) FROM targets p
            WHERE {OF_RING} AND p.device_row = :device) AS declined_at, {SUMMARY}
    FROM rings r
    JOIN calls c ON c.id = r.session_id
    JOIN members m ON m.session_id = r.session_id AND m.user_id = r.user_id
    {store.DEVICE_OF_CALL_TOKEN}
    {COUNTS}
    WHERE r.uuid = :ring AND r.tenant_id = :tenant AND (d.id IS NOT NULL OR x.id IS NOT NULL)
""")  # noqa: S608  (constants)


async def read_state(runtime: Runtime, caller: Caller, reference: str) -> dict[str, Any]:
    """The call as the holder of a call token may see it: itself, its ring, and how many others.

    The ring is the token's own, also when a later one has been made to reach the member.
    To a device that is no more the user's, or has declined for itself, it is over, whatever becomes
    of it elsewhere. Raises NotFound when the token is about another call.
    """
    values = {"tenant": caller.tenant_id, "ring": caller.ring, "device": caller.device_row}
    async with runtime.database.autocommit() as session:
        found = (await session.execute(STATE, values)).first()
    if found is None:
        raise not_found()
    overdue, gone_at, declined_at, *row = found
    own = own_call_from(row)
    if not names(reference, own.stored.call):
        raise not_found()
    if overdue:
        out = await _state_in_time(runtime, caller, own)
    else:
        out = own_call_out(own)
        out |= {"ring": out["members"][0]["ring"]}
    over = gone_at or declined_at
    if over is None or out["ring"]["state"] != "ringing":
        return out
    outcome = Outcome.DECLINED if gone_at is None else Outcome.CANCELLED
    settled = {
        "state": outcome.value,
        "settled_at": rfc3339(over),
        "callkit_reason": CallKit.REMOTE_ENDED.value,
    }
    return out | {"ring": out["ring"] | settled}


async def _state_in_time(runtime: Runtime, caller: Caller, known: OwnCall) -> dict[str, Any]:
    """The same for a call that time has changed and the sweep has not seen yet."""
    async with runtime.database.snapshot() as session:
        now, calls = await store.load(session, [known.stored.call.id])
    stored = calls.get(known.stored.call.id)
    if stored is None:
        raise not_found()
    call = view(stored.call, now)
    own = call.members[known.member.user_id]
    same = own.ring is not None and own.ring.uuid == caller.ring
    ring = ring_out(own.ring if same else known.member.ring, call)
    return call_summary(call, own.user_id) | {
        "members": [member_out(own, call) | {"ring": ring}],
        "ring": ring,
    }
