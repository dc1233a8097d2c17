"""Calls: ringing, answering, reading, and the sweep that keeps time."""

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.calls import late_devices as late
from app.calls import missed_calls, saving, slices, store
from app.calls import queries as live
from app.calls.apply import Applied, Change, apply, may_have_batches
from app.calls.commands import Asked, Audited, carry_out
from app.calls.large_calls import tell_large_calls
from app.calls.notify_after_commit import notify_after_commit
from app.calls.presence import keep_present, live_calls
from app.calls.reference import call_reference
from app.calls.reference import find as find_in
from app.calls.refusals import is_unseen, not_found, refusal
from app.calls.ring_pushes import ring_pushes, tokens_of
from app.calls.rows import Stored
from app.calls.schemas import call_out
from app.core.call import (
    Call,
    Cancel,
    Command,
    Decision,
    Decline,
    Leave,
    Reachable,
    Ring,
    Tick,
    decide,
    view,
)
from app.core.frozen import frozen
from app.infra import bisection
from app.infra.bisection import Aside
from app.infra.db import Connection, insert_all
from app.infra.errors import Unavailable
from app.infra.push_hints import HintOf, PushHint
from app.infra.runtime import Runtime
from app.push import batches

__all__ = [
    "Audited",
    "Seen",
    "act",
    "find",
    "keep_present",
    "live_calls",
    "not_found",
    "read",
    "ring_late_devices",
    "sweep",
    "take_out",
    "tell_large_calls",
]

SWEEP_BATCH = 200
DUE_BATCH = 500
"""Due calls in one transaction, of those that end alike; of others, which may be large, a fifth."""

LANES = 3
"""Batches of due calls at a time: PostgreSQL writes one while another is decided."""
DUE_ASIDE: Final = Aside[UUID]("calls")
LATE_ASIDE: Final = Aside[UUID]("late devices")


@frozen
class Seen:
    """A call as it reads now: as stored, and as time has left it.

    `ring`: that which a command was about, not always the latest of its member.
    """

    stored: Stored
    call: Call
    ring: Ring | None = None

    def out(self) -> dict[str, Any]:
        """As clients read it."""
        return call_out(self.call)


async def read(runtime: Runtime, tenant_id: UUID, reference: str) -> Seen:
    """A call by `type:id` (the live one, else the latest) or by the id of its session.

    Raises NotFound, also for another tenant's call.
    """
    seen = await _read(runtime, tenant_id, reference)
    if seen.stored.owed is not None:  # members are being written: it reads as the whole call
        with contextlib.suppress(Unavailable):
            await carry_out(runtime, tenant_id, seen.call.id, Asked(Tick()))
        seen = await _read(runtime, tenant_id, str(seen.call.id))
    return seen


async def _read(runtime: Runtime, tenant_id: UUID, reference: str) -> Seen:
    async with runtime.database.snapshot() as session:
        session_id = await find_in(session, tenant_id, reference)
        now, calls = await store.load(session, [session_id])
    stored = calls.get(session_id)
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
    """Carry out a command on a call. `hidden`: tell a stranger that there is no such call, and a
    user to whom it is unseen.

    `audited`: the actor and the act to be written to the audit log if anything changes.

    Raises NotFound, Forbidden, Conflict (409: somebody else has it), Gone (410: it is over), or
    Unavailable (503: somebody holds the call).
    """
    session_id = await find(runtime, tenant_id, reference)
    user: str = getattr(command, "user_id", None) or ""
    meant: UUID | None = getattr(command, "ring", None)

    async def admit(_s: Connection, before: Stored, _d: Decision, _now: datetime) -> Any:
        unseen = is_unseen(before.call.members.get(user), hidden=hidden, ring=meant)
        return not_found() if unseen else None

    asked = Asked(command, admit if hidden else None, audited)
    done = await carry_out(runtime, tenant_id, session_id, asked)
    if done.instead is not None:
        raise done.instead
    call = done.decision.call
    member = call.members.get(user)
    ring = member.ring if member is not None else None
    if meant is not None and (ring is None or ring.uuid != meant):
        async with runtime.database.autocommit() as session:
            ring = await store.ring(session, tenant_id, meant)
    if done.decision.refusal is not None:
        device: str | None = getattr(command, "device", None)
        raise refusal(done.decision, ring, member, device, hidden=hidden)
    return Seen(done.stored, call, ring)


async def find(runtime: Runtime, tenant_id: UUID, reference: str) -> UUID:
    """The id of the session that a reference means. Raises NotFound."""
    named = call_reference(reference)
    if isinstance(named, UUID):
        return named
    async with runtime.database.autocommit() as session:
        return await find_in(session, tenant_id, reference)


async def sweep(runtime: Runtime) -> int:
    """Write what time has done to calls: missed rings, silent members, calls too long or alone.

    Returns how many calls it looked at. One that cannot be decided keeps no other waiting.
    """

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.autocommit() as session:
            return await store.due(session, limit, aside)

    async def write(ids: Sequence[UUID]) -> None:
        async with runtime.database.transaction() as session:
            held = await live.lock_free(session, ids)
            applied, others = await missed_calls.end(session, held)
        notify_after_commit(runtime, applied)
        for start in range(0, len(others), DUE_BATCH // 5):
            some = others[start : start + DUE_BATCH // 5]
            async with runtime.database.transaction() as session:
                applied = await let_time_pass(session, await live.lock_free(session, some))
            notify_after_commit(runtime, applied)

    return await bisection.sweep(find, write, DUE_ASIDE, DUE_BATCH, lanes=LANES)


async def let_time_pass(session: Connection, ids: Sequence[UUID]) -> Applied:
    """Decide what time has done to these calls, which this transaction holds, and write it."""
    if not ids:
        return Applied()
    now, calls = await store.load(session, sorted(ids))
    owing = [stored for stored in calls.values() if stored.owed is not None]
    changes = [
        Change(stored, decide(stored.call, Tick(), now))
        for stored in calls.values()
        if stored.owed is None
    ]
    early = [change.stored for change in changes if not change.decision.changed]
    if early:  # not due after all: say when it is, or the sweep would come back for ever
        await saving.save_calls(session, early)
    if owing:
        return await slices.ring_owed(session, owing, now, others=changes)
    return await apply(session, changes, now)


async def ring_late_devices(runtime: Runtime, user: tuple[UUID, str] | None = None) -> int:
    """Ring devices that registered while their user is ringing; returns how many calls had any.

    A registration and a ring that pass each other see neither the other's rows: the sweep's run of
    this query is the guarantee, a registration only runs it early for its own user.
    """

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.autocommit() as session:
            return await late.calls_with_late_devices(session, limit, aside, user)

    async def write(ids: Sequence[UUID]) -> None:
        async with runtime.database.transaction() as session:
            applied = await _ring_late(session, await live.lock_free(session, ids), user)
        notify_after_commit(runtime, applied)

    return await bisection.sweep(find, write, LATE_ASIDE, SWEEP_BATCH)


async def _ring_late(
    session: Connection, ids: Sequence[UUID], user: tuple[UUID, str] | None
) -> Applied:
    if not ids:
        return Applied()
    now, calls = await store.load(session, ids)
    owing = [calls.pop(one.call.id) for one in list(calls.values()) if one.owed is not None]
    rings = [
        (stored.tenant_id, stored.call.id, member.ring)
        for stored in calls.values()
        for member in view(stored.call, now).members.values()
        if member.is_rung and member.ring is not None and not member.is_hidden
        if user is None or user == (stored.tenant_id, member.user_id)
    ]
    tokens = await tokens_of(session, rings)
    large = [one.call.id for one in calls.values() if may_have_batches(one.call)]
    known = await batches.written(session, large) if large else ()
    await insert_all(session, ring_pushes(rings, now, tokens, late=True, known=known))
    reached = {(token["tenant_id"], token["user_id"]) for token in tokens}
    come = frozenset(ring.uuid for tenant, _, ring in rings if (tenant, ring.user_id) in reached)
    changes = [
        Change(stored, decide(stored.call, Reachable(come), now)) for stored in calls.values()
    ]
    if owing:  # who is owed is rung with all devices; others that came late are found once more
        applied = await slices.ring_owed(session, owing, now, others=changes)
    else:
        applied = await apply(session, changes, now)
    applied.hints += [PushHint(HintOf.RING, ring.uuid) for _, _, ring in rings]
    return applied


async def take_out(session: Connection, user_id: str, calls: Sequence[UUID]) -> Applied:
    """Take a user who is being erased out of calls that are held: decline, cancel or leave.

    Where the user is no more, somebody else who goes on with the erasure was there before.
    """
    if not calls:
        return Applied()
    now, found = await store.load(session, calls)
    changes = []
    for stored in found.values():
        if user_id not in stored.call.members:
            continue
        command = _farewell(view(stored.call, now), user_id)
        changes.append(Change(stored, decide(stored.call, command, now)))
    return await apply(session, changes, now)


def _farewell(call: Call, user_id: str) -> Command:
    member = call.members[user_id]
    if member.is_rung:
        return Decline(user_id)
    return Cancel() if call.caller_id == user_id and call.active_at is None else Leave(user_id)
