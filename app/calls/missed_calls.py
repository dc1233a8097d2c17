"""Calls of two in which nobody answers: most of what time ends, and all alike.

So core decides once, on an example; the others differ by who and when alone. `LOAD` finds those
of which this holds, one statement writes them (`saving.save_missed`), and what is told of them
goes the way of all decisions.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.calls.apply import Applied, Change, apply_missed
from app.calls.rows import Stored
from app.core.call import Call, Member, MemberState, Ring, Role, Stop, Tick, decide
from app.core.event import Event
from app.core.frozen import replace
from app.core.limits import DEFAULTS, UNSAID
from app.infra.db import Connection

# By key, whatever the planner thinks of the number of calls. The clock is read once.
LOAD = text("""
    SELECT n.now, c.id, c.tenant_id, c.type, c.name, c.caller_id, c.event_seq, c.version, m.callee,
        r.uuid, r.deadline
    FROM (SELECT clock_timestamp() AS now OFFSET 0) n
    CROSS JOIN unnest(CAST(:ids AS uuid[])) AS w(id)
    CROSS JOIN LATERAL (
        SELECT * FROM calls WHERE id = w.id AND state = 'ringing' AND reason IS NULL LIMIT 1
    ) c
    CROSS JOIN LATERAL (
        SELECT max(user_id) FILTER (WHERE role = 'callee') AS callee,
            (array_agg(ring) FILTER (WHERE role = 'callee'))[1] AS ring
        FROM members WHERE session_id = c.id
        HAVING count(*) = 2 AND bool_and(suppressed IS NULL AND (
            role = 'callee' AND state = 'ringing'
            OR role = 'caller' AND state = 'joined' AND user_id = c.caller_id))
    ) m
    CROSS JOIN LATERAL (
        SELECT uuid, deadline FROM rings WHERE uuid = m.ring AND outcome IS NULL LIMIT 1
    ) r
    WHERE r.deadline <= n.now AND r.deadline < c.created_at
        + coalesce(CAST(c.limits ->> 'length' AS float8), :length) * interval '1 second'
""")

_BEGUN: Final = datetime(2000, 1, 1, tzinfo=UTC)
_RING: Final = Ring(UUID(int=1), "callee", _BEGUN, _BEGUN + timedelta(seconds=DEFAULTS.ring))
_EXAMPLE: Final = Call(
    id=UUID(int=0),
    type="",
    name="",
    caller_id="caller",
    video=False,
    limits=DEFAULTS,
    created_at=_BEGUN,
    members=MappingProxyType(
        {
            "caller": Member("caller", Role.CALLER, MemberState.JOINED, joined_at=_BEGUN),
            "callee": Member("callee", Role.CALLEE, MemberState.RINGING, _RING),
        }
    ),
)
DECIDED: Final = decide(_EXAMPLE, Tick(), _RING.deadline)
"""What becomes of each of them, by its names here, all of it at the ring's deadline."""


async def end(session: Connection, ids: Sequence[UUID]) -> tuple[Applied, list[UUID]]:
    """End those of these calls, which this transaction holds, that end so; the others are returned.

    Those want a transaction of their own: what is told of these locks feeds, which come last.
    """
    values = {"ids": list(ids), "length": UNSAID.length}
    rows = (await session.execute(LOAD, values)).all() if ids else ()
    if not rows:
        return Applied(), list(ids)
    changes = [like(*row) for _, *row in rows]
    applied = await apply_missed(session, changes, DECIDED, rows[0][0])
    ended = {change.decision.call.id for change in changes}
    return applied, [one for one in ids if one not in ended]


def like(
    session_id: UUID, tenant_id: UUID, kind: str, name: str, caller: str, event_seq: int,
    version: int, callee: str, uuid: UUID, deadline: datetime,
) -> Change:  # fmt: skip
    """What was decided, as it is of this call, so far as it is told."""
    ring = replace(
        DECIDED.settled[0], uuid=uuid, user_id=callee, deadline=deadline, settled_at=deadline
    )
    of_caller, of_callee = DECIDED.call.members["caller"], DECIDED.call.members["callee"]
    members = {
        caller: replace(of_caller, user_id=caller, left_at=deadline),
        callee: replace(of_callee, user_id=callee, ring=ring),
    }
    call = replace(
        DECIDED.call,
        id=session_id,
        type=kind,
        name=name,
        caller_id=caller,
        ended_at=deadline,
        members=members,
    )
    names = {"caller": caller, "callee": callee, str(_RING.uuid): str(uuid)}
    decision = replace(
        DECIDED,
        call=call,
        members=tuple(members.values()),
        settled=(ring,),
        stops=tuple(Stop(callee, uuid, one.callkit_reason, one.spared) for one in DECIDED.stops),
        events=tuple(_told(one, names, deadline) for one in DECIDED.events),
    )
    return Change(Stored(call, tenant_id, event_seq, version), decision)


def _told(event: Event, names: Mapping[Any, str], at: datetime) -> Event:
    data = {name: names.get(value, value) for name, value in event.data.items()}
    return Event(event.type, at, data, tuple([names[user] for user in event.to]))
