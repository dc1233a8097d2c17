"""The rows that say what happened in a call: its events, rings, pushes, and every try at a push."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.calls.rows import CALL, columns, stored_from
from app.core.call import Call
from app.infra.db import Connection, Row, many
from app.push.partitions import tries_of
from app.push.targets import of_calls

OF_TENANT = text(f"""
    SELECT {columns("c", CALL)} FROM calls c WHERE id = :call AND tenant_id = :tenant
""")  # noqa: S608  (constants)
EVENTS = text("""
    SELECT seq, type, at, data FROM events WHERE session_id = :call
    ORDER BY seq LIMIT CAST(:limit AS bigint)
""")
RINGS = text("""
    SELECT r.uuid, r.user_id, r.created_at, r.deadline, r.outcome, r.settled_at, r.device,
           m.suppressed
    FROM rings r LEFT JOIN members m ON m.session_id = r.session_id AND m.ring = r.uuid
    WHERE r.session_id = :call ORDER BY r.created_at, r.uuid LIMIT CAST(:limit AS bigint)
""")
PUSHES = text(f"""
    SELECT p.id, p.ring, p.user_id, p.device_row, p.purpose, p.kind, p.environment,
           right(p.token, 4) AS ending, p.created_at, p.deadline, p.state, p.status, p.reason,
           p.attempts, p.sent_at, p.answered_at, p.delivered_at, p.unavailable_at, p.declined_at,
           d.device_id, d.name AS device_name, d.report, t.retired_at, t.retired_reason
    FROM (SELECT * FROM targets p WHERE {of_calls("p", "ARRAY[CAST(:call AS uuid)]")}) p
    LEFT JOIN devices d ON d.id = p.device_row LEFT JOIN tokens t ON t.id = p.token_id
    ORDER BY p.created_at, p.due_at, p.id LIMIT CAST(:limit AS bigint)
""")  # noqa: S608  (constants)
ATTEMPTS = text("""
    SELECT push_id, environment, started_at, finished_at, status, reason FROM attempts
    WHERE push_id = ANY(CAST(:pushes AS uuid[]))
        AND id BETWEEN CAST(:first AS uuid) AND CAST(:last AS uuid)
    ORDER BY started_at, id
""")


@dataclass(frozen=True, slots=True)
class History:
    """A call without its members, and its rows, each kind in its order.

    Events and attempts are forgotten before the rest. Of a token there are its last four digits
    only.
    """

    call: Call
    rings: Sequence[Row]
    pushes: Sequence[Row]
    attempts: Sequence[Row]
    events: Sequence[Row]
    traceparent: str | None = None
    whole: bool = True
    """Whether these are all rows that there are."""


async def of_call(
    session: Connection, tenant_id: UUID, session_id: UUID, *, limit: int | None = None
) -> History | None:
    """What is known of a call, the first `limit` rows of a kind; None when the tenant has none.

    Where there are as many of a kind as that, there may be more: it is not `whole`.
    """
    row = (await session.execute(OF_TENANT, {"call": session_id, "tenant": tenant_id})).first()
    if row is None:
        return None
    values = {"call": session_id, "limit": limit}
    pushes = await many(session, PUSHES, values)
    times = [(push["id"], push["created_at"], push["deadline"]) for push in pushes]
    stored = stored_from(row, {})
    rings, events = await many(session, RINGS, values), await many(session, EVENTS, values)
    return History(
        call=stored.call,
        rings=rings,
        pushes=pushes,
        attempts=await many(session, ATTEMPTS, tries_of(times)),
        events=events,
        traceparent=stored.traceparent,
        whole=limit is None or max(len(rings), len(pushes), len(events)) < limit,
    )
