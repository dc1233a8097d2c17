"""The rows that say what happened in a call: its events, rings, pushes, and every try at a push."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection, Row, many, one

CALL = text("""
    SELECT id, type, name, state, reason, caller_id, caller_name, caller_avatar_url, caller_handle,
           title, video, created_at, active_at, ended_at
    FROM calls WHERE id = :call AND tenant_id = :tenant
""")
EVENTS = text("""
    SELECT seq, type, at, data FROM events WHERE session_id = :call
    ORDER BY seq LIMIT CAST(:limit AS bigint)
""")
RINGS = text("""
    SELECT uuid, user_id, created_at, deadline, outcome, settled_at, device
    FROM rings WHERE session_id = :call ORDER BY created_at, uuid LIMIT CAST(:limit AS bigint)
""")
PUSHES = text("""
    SELECT p.id, p.ring, p.user_id, p.device_row, p.purpose, p.kind, p.environment,
           right(p.token, 4) AS ending, p.created_at, p.deadline, p.state, p.status, p.reason,
           p.attempts, p.sent_at, p.answered_at, p.delivered_at, p.unavailable_at, p.declined_at,
           d.device_id, d.name AS device_name, d.report, t.retired_at, t.retired_reason
    FROM pushes p LEFT JOIN devices d ON d.id = p.device_row LEFT JOIN tokens t ON t.id = p.token_id
    WHERE p.ring IN (SELECT uuid FROM rings WHERE session_id = :call)
    ORDER BY p.created_at, p.id LIMIT CAST(:limit AS bigint)
""")
ATTEMPTS = text("""
    SELECT push_id, environment, started_at, finished_at, status, reason FROM attempts
    WHERE push_id = ANY(CAST(:pushes AS uuid[])) ORDER BY started_at, id
""")


@dataclass(frozen=True, slots=True)
class History:
    """Rows of one call, each kind in its order. Events and attempts are forgotten before the rest.

    Of a token there are its last four digits only.
    """

    call: Row
    rings: Sequence[Row]
    pushes: Sequence[Row]
    attempts: Sequence[Row]
    events: Sequence[Row]


async def of_call(
    session: Connection, tenant_id: UUID, session_id: UUID, *, limit: int | None = None
) -> History | None:
    """What is known of a call, the first `limit` rows of a kind; None when the tenant has none."""
    call = await one(session, CALL, {"call": session_id, "tenant": tenant_id})
    if call is None:
        return None
    values = {"call": session_id, "limit": limit}
    pushes = await many(session, PUSHES, values)
    return History(
        call=call,
        rings=await many(session, RINGS, values),
        pushes=pushes,
        attempts=await many(session, ATTEMPTS, {"pushes": [push["id"] for push in pushes]}),
        events=await many(session, EVENTS, values),
    )
