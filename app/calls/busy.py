"""Who is in another call, and who is being called by the very user that they call.

It is looked at only where the policy of the call's type is not to ring. Before a one-to-one call
both of its users are held, in order of id and before any call: else the transactions of two who
call each other at the same moment do not see each other.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.calls import queries, store
from app.calls.lost import User
from app.calls.ring_request import RingRequest
from app.core.call import LIVE, view
from app.core.frozen import frozen
from app.devices import store as devices
from app.infra.db import Connection, clock, many
from app.infra.statements import planned_once

IN_CALLS = planned_once("""
    SELECT w.tenant_id, w.user_id, c.id, c.due_at <= clock_timestamp() AS overdue
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
    JOIN members m ON m.tenant_id = w.tenant_id AND m.user_id = w.user_id
        AND m.session_id > :since AND m.state IN ('joined', 'away')
    JOIN calls c ON c.id = m.session_id AND c.ended_at IS NULL
""")
MEETING = planned_once("""
    SELECT w.n, c.id FROM unnest(CAST(:tenants AS uuid[]), CAST(:callers AS text[]),
        CAST(:callees AS text[]), CAST(:types AS text[]), CAST(:places AS integer[]))
        AS w(tenant_id, caller, callee, type, n)
    CROSS JOIN LATERAL (
        SELECT c.id FROM members m JOIN calls c ON c.id = m.session_id
        WHERE m.tenant_id = w.tenant_id AND m.user_id = w.caller AND m.session_id > :since
            AND m.role = 'callee' AND m.state IN ('ringing', 'unreachable')
            AND c.state = 'ringing' AND c.caller_id = w.callee AND c.type = w.type
            AND c.due_at > clock_timestamp()
            AND (SELECT count(*) FROM members o WHERE o.session_id = c.id) = 2
        ORDER BY c.id LIMIT 1
    ) c
""")


@frozen
class Standing:
    """What stands in the way of requests. `now`: when it was so.

    `busy`: callees who are in a call; `meets`: by the place of a request, the call in which its
    callee is calling its caller; `later`: places of requests that meet another of these.
    """

    now: datetime
    busy: frozenset[User]
    meets: Mapping[int, UUID]
    later: frozenset[int]


async def standing(session: Connection, orders: Sequence[RingRequest], now: datetime) -> Standing:
    """Hold the users of one-to-one calls whose type has a policy, and see what stands."""
    watched = {n: one for n, one in enumerate(orders) if one.watched}
    if not watched:
        return Standing(now, frozenset(), {}, frozenset())
    pairs = {n: one for n, one in watched.items() if len(one.request.callee_ids) == 1}
    held = {(one.tenant_id, user) for one in pairs.values() for user in _both(one)}
    if held:
        await devices.lock_users(session, sorted(held))
        now = await clock(session)  # there may have been a wait
    meets = await _meeting(session, pairs) if pairs else {}
    users = {(one.tenant_id, user) for one in watched.values() for user in one.request.callee_ids}
    return Standing(now, await in_calls(session, users), meets, _mirrored(pairs))


def _both(one: RingRequest) -> tuple[str, str]:
    return one.request.caller.id, one.request.callee_ids[0]


def _mirrored(pairs: Mapping[int, RingRequest]) -> frozenset[int]:
    """Those that come after their mirror image: they look again when that one is committed."""
    seen: set[tuple[UUID, str, str, str]] = set()
    later = set()
    for n, one in pairs.items():
        caller, callee = _both(one)
        if (one.tenant_id, one.request.type, callee, caller) in seen:
            later.add(n)
        seen.add((one.tenant_id, one.request.type, caller, callee))
    return frozenset(later)


async def _meeting(session: Connection, pairs: Mapping[int, RingRequest]) -> dict[int, UUID]:
    values: dict[str, Any] = {
        "places": list(pairs),
        "tenants": [one.tenant_id for one in pairs.values()],
        "callers": [one.request.caller.id for one in pairs.values()],
        "callees": [one.request.callee_ids[0] for one in pairs.values()],
        "types": [one.request.type for one in pairs.values()],
        "since": queries.oldest(),
    }
    return {row["n"]: row["id"] for row in await many(session, MEETING, values)}


async def in_calls(
    session: Connection, users: Collection[User], besides: UUID | None = None
) -> frozenset[User]:
    """Those of these users who have joined a call that lives, other than `besides`."""
    ordered = sorted(users)
    values: dict[str, Any] = {
        "tenants": [one[0] for one in ordered],
        "users": [one[1] for one in ordered],
        "since": queries.oldest(),
    }
    rows = [row for row in await many(session, IN_CALLS, values) if row["id"] != besides]
    found = {(row["tenant_id"], row["user_id"]) for row in rows if not row["overdue"]}
    late = {row["id"] for row in rows if row["overdue"]}
    if late:  # time may have ended them, or taken the user out
        found |= await _still_in(session, sorted(late), users)
    return frozenset(found)


async def _still_in(session: Connection, ids: Sequence[UUID], users: Iterable[User]) -> set[User]:
    now, calls = await store.load(session, ids, leave_out=True)
    wanted = set(users)
    return {
        (stored.tenant_id, member.user_id)
        for stored in calls.values()
        for member in view(stored.call, now).members.values()
        if member.state in LIVE and (stored.tenant_id, member.user_id) in wanted
    }
