"""What live streams need of calls: those of their users, and that an open stream is presence."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.calls import queries as live
from app.calls import store
from app.calls.apply import Applied, Change, apply
from app.calls.notify_after_commit import notify_after_commit
from app.calls.schemas import call_out
from app.core.call import CallState, Present, decide, view
from app.infra.db import Connection
from app.infra.runtime import Runtime
from app.push import store as pushes

BATCH = 50


async def live_calls(
    session: Connection, users: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], list[dict[str, Any]]]:
    """The live calls of each (tenant, user) as clients read them, with the number of events and
    which of the user's own devices have declined for themselves alone (`declined_on`)."""
    found = await live.of_users(session, users)
    if not found:
        return {}
    now, calls = await store.load(session, sorted({one for _, _, one in found}), leave_out=True)
    out: dict[UUID, dict[str, Any]] = {}
    hidden: set[tuple[UUID, str]] = set()
    rings: dict[tuple[UUID, str], UUID] = {}
    for session_id, stored in calls.items():
        call = view(stored.call, now)
        if call.state is not CallState.ENDED:
            out[session_id] = call_out(call) | {"seq": stored.event_seq}
            hidden |= {(session_id, one.user_id) for one in call.members.values() if one.is_hidden}
            rings |= {
                (session_id, one.user_id): one.ring.uuid
                for one in call.members.values()
                if one.ring is not None and one.is_rung
            }
    own = {key: rings[key] for _, user_id, one in found if (key := (one, user_id)) in rings}
    declined = await pushes.declined_on(session, list(own.values())) if own else {}
    by_user: dict[tuple[UUID, str], list[dict[str, Any]]] = {}
    for tenant_id, user_id, session_id in found:
        key = session_id, user_id
        if session_id in out and key not in hidden:
            mine = {"declined_on": declined.get(own[key], []) if key in own else []}
            by_user.setdefault((tenant_id, user_id), []).append(out[session_id] | mine)
    return by_user


async def keep_present(runtime: Runtime, devices: Sequence[tuple[UUID, str, str]]) -> int:
    """Count an open stream of each (tenant, user, device) as a heartbeat; returns how many calls.

    Set-wise, and only for members of whom no sign has come for a third of the time that they may
    be silent. A call that somebody holds is left for the next time.
    """
    async with runtime.database.autocommit() as session:
        silent = await live.of_silent(session, devices)
    for start in range(0, len(silent), BATCH):
        async with runtime.database.transaction() as session:
            applied = await _show_life(session, silent[start : start + BATCH], devices)
        notify_after_commit(runtime, applied)
    return len(silent)


async def _show_life(
    session: Connection, ids: Sequence[UUID], devices: Sequence[tuple[UUID, str, str]]
) -> Applied:
    locked = await live.lock_free(session, ids)
    if not locked:
        return Applied()
    now, calls = await store.load(session, locked, leave_out=True)
    changes = []
    for stored in calls.values():
        present = frozenset(
            (user, device)
            for tenant, user, device in devices
            if tenant == stored.tenant_id and user in stored.call.members
        )
        changes.append(Change(stored, decide(stored.call, Present(present), now)))
    return await apply(session, changes, now)
