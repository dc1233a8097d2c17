"""Calls: ringing, answering, reading, and the sweep that keeps time."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from app.audit.log import Actor as AuditActor
from app.audit.log import record
from app.calls import late_devices as late
from app.calls import queries as live
from app.calls import ringing, store
from app.calls.apply import Applied, Change, apply, ring_pushes, tokens_of
from app.calls.large_calls import tell_large_calls
from app.calls.notify_after_commit import tell
from app.calls.presence import keep_present, live_calls
from app.calls.ringing import Answer, Order
from app.calls.schemas import call_out, call_reference
from app.calls.store import Stored
from app.core.call import (
    Call,
    Cancel,
    Command,
    Decision,
    Decline,
    Leave,
    MemberState,
    Refused,
    Tick,
    decide,
    view,
)
from app.core.frozen import frozen
from app.infra import bisection
from app.infra.bisection import Aside
from app.infra.db import Session, insert_all
from app.infra.errors import AppError, Conflict, Forbidden, Gone, Invalid, NotFound
from app.infra.observe import RINGS
from app.infra.runtime import Runtime

__all__ = [
    "Seen",
    "act",
    "keep_present",
    "live_calls",
    "not_found",
    "read",
    "ring",
    "ring_late_devices",
    "sweep",
    "take_out",
    "tell",
    "tell_large_calls",
]

SWEEP_BATCH = 200
DUE_ASIDE: Final = Aside[UUID]("calls")
LATE_ASIDE: Final = Aside[UUID]("late devices")


Audited = tuple[AuditActor, str]
"""Who acts, and the act, as the audit log names it."""


@frozen
class Seen:
    """A call as it reads now: as stored, and as time has left it."""

    stored: Stored
    call: Call

    def out(self) -> dict[str, Any]:
        """As clients read it."""
        return call_out(self.stored, self.call)


async def ring(runtime: Runtime, orders: Sequence[Order]) -> list[Answer]:
    """Ring for many requests with one commit, then tell the workers."""
    answers, told = await ringing.ring(runtime, orders)
    for applied in told:
        tell(runtime, applied)
    refused = sum(isinstance(answer, Exception) for answer in answers)
    RINGS.labels("refused").inc(refused)
    RINGS.labels("taken").inc(len(answers) - refused)
    return answers


async def read(runtime: Runtime, tenant_id: UUID, reference: str) -> Seen:
    """A call by `type:id` (the live one, else the latest) or by the id of its session.

    Raises NotFound, also for another tenant's call.
    """
    async with runtime.database.snapshot() as session:
        call_id = await _find(session, tenant_id, reference)
        now, calls = await store.load(session, [call_id])
    stored = calls.get(call_id)
    if stored is None or stored.tenant_id != tenant_id:
        raise not_found()
    return Seen(stored, view(stored.call, now))


async def act(
    runtime: Runtime,
    tenant_id: UUID,
    reference: str,
    command: Command,
    *,
    hidden: bool = False,
    audited: Audited | None = None,
) -> Seen:
    """Carry out a command on a call. `hidden`: tell a stranger that there is no such call.

    `audited`: the actor and the act to be written to the audit log if anything changes.

    Raises NotFound, Forbidden, Conflict (409: somebody else has it) or Gone (410: it is over).
    """
    async with runtime.database.transaction() as session:
        call_id = await _find(session, tenant_id, reference)
        if not await store.lock(session, tenant_id, [call_id]):
            raise not_found()
        now, calls = await store.load(session, [call_id])
        stored = calls[call_id]
        decision = decide(stored.call, command, now)
        applied = Applied()
        if decision.changed:
            # written even when the command is refused: time may have passed
            applied = await apply(session, [Change(stored, decision)], now)
            if audited is not None and decision.refusal is None:
                await record(session, audited[0], tenant_id, audited[1], f"call:{call_id}")
    tell(runtime, applied)
    if decision.refusal is not None:
        raise _refusal(decision, command, hidden=hidden)
    return Seen(stored, decision.call)


async def _find(session: Session, tenant_id: UUID, reference: str) -> UUID:
    named = call_reference(reference)
    if named is None:
        raise NotFound("call_not_found", "a call is named `type:id`, or by the id of its session")
    if isinstance(named, UUID):
        return named
    call_id = await store.id_by_name(session, tenant_id, *named)
    if call_id is None:
        raise not_found()
    return call_id


def not_found() -> AppError:
    """The answer for a call that is not there, or not this caller's to know of."""
    return NotFound("call_not_found", "there is no such call")


def _refusal(decision: Decision, command: Command, *, hidden: bool) -> AppError:
    call, why = decision.call, decision.refusal
    member = call.members.get(getattr(command, "user_id", None) or "")
    ring = member.ring if member else None
    callkit = int(ring.callkit) if ring and ring.callkit else None
    match why:
        case Refused.NOT_A_MEMBER:
            return (
                not_found()
                if hidden
                else NotFound("not_a_member", "user_id: this user is no member of the call")
            )
        case Refused.ANSWERED_ELSEWHERE:
            return Conflict(
                "answered_elsewhere", "another device of this user has the call", callkit_reason=4
            )
        case Refused.RING_SETTLED:
            reason = ring.outcome.value if ring and ring.outcome else "settled"
            return Gone(
                "ring_settled",
                f"this ring is over: {reason}",
                reason=reason,
                callkit_reason=callkit,
            )
        case Refused.CALL_ENDED:
            reason = call.reason.value if call.reason else "ended"
            return Gone(
                "call_ended", f"this call is over: {reason}", reason=reason, callkit_reason=callkit
            )
        case Refused.CALL_ACTIVE:
            return Conflict("call_active", "somebody has joined: `leave` or `end` it instead")
        case Refused.NOT_THE_CALLER:
            return Forbidden("not_the_caller", "only the caller or the server can cancel a call")
        case Refused.TOO_MANY_MEMBERS:
            return Invalid("too_many_members", "the call would hold more members than it may")
    return Conflict("not_joined", "this user has not joined the call")


async def sweep(runtime: Runtime) -> int:
    """Write what time has done to calls: missed rings, silent members, calls too long or alone.

    Answers how many calls it looked at. One that cannot be decided keeps no other waiting.
    """

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.each() as session:
            return await store.due(session, limit, aside)

    async def write(ids: Sequence[UUID]) -> None:
        async with runtime.database.transaction() as session:
            applied = await _let_time_pass(session, await live.lock_free(session, ids))
        tell(runtime, applied)

    return await bisection.sweep(find, write, DUE_ASIDE, SWEEP_BATCH)


async def _let_time_pass(session: Session, ids: Sequence[UUID]) -> Applied:
    if not ids:
        return Applied()
    now, calls = await store.load(session, sorted(ids))
    changes = [Change(stored, decide(stored.call, Tick(), now)) for stored in calls.values()]
    early = [change.stored for change in changes if not change.decision.changed]
    if early:  # not due after all: say when it is, or the sweep would come back for ever
        await store.save_calls(session, early)
    return await apply(session, changes, now)


async def ring_late_devices(runtime: Runtime, user: tuple[UUID, str] | None = None) -> int:
    """Ring devices that registered while their user is ringing; answers how many calls had any.

    A registration and a ring that pass each other see neither the other's rows: the sweep's run of
    this query is the guarantee, a registration only runs it early for its own user.
    """

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.reading() as session:
            return await late.calls_with_late_devices(session, limit, aside, user)

    async def write(ids: Sequence[UUID]) -> None:
        async with runtime.database.transaction() as session:
            rings = await _ring_late(session, await live.lock_free(session, ids), user)
        tell(runtime, Applied(rings=rings))

    return await bisection.sweep(find, write, LATE_ASIDE, SWEEP_BATCH)


async def _ring_late(
    session: Session, ids: Sequence[UUID], user: tuple[UUID, str] | None
) -> list[UUID]:
    if not ids:
        return []
    now, calls = await store.load(session, ids)
    rings = [
        (stored.tenant_id, stored.call.id, member.ring)
        for stored in calls.values()
        for member in view(stored.call, now).members.values()
        if member.state is MemberState.RINGING and member.ring is not None
        if user is None or user == (stored.tenant_id, member.user_id)
    ]
    tokens = await tokens_of(session, rings)
    await insert_all(session, [ring_pushes(rings, now, tokens)])
    return [ring.uuid for _, _, ring in rings]


async def take_out(session: Session, user_id: str, calls: Sequence[UUID]) -> Applied:
    """Take a user who is being erased out of calls that are held: decline, cancel or leave."""
    if not calls:
        return Applied()
    now, found = await store.load(session, calls)
    changes = []
    for stored in found.values():
        command = _farewell(view(stored.call, now), user_id)
        changes.append(Change(stored, decide(stored.call, command, now)))
    return await apply(session, changes, now)


def _farewell(call: Call, user_id: str) -> Command:
    member = call.members[user_id]
    if member.state is MemberState.RINGING:
        return Decline(user_id)
    return Cancel() if call.caller_id == user_id and call.active_at is None else Leave(user_id)
