"""Rows of deliveries: written with their events, looked at, sent again, forgotten."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.event import BY_NAME_ONLY
from app.infra.db import Connection, Row, many


def tenant_event_id(row_id: UUID) -> str:
    """The id of a tenant's own event."""
    return f"evt_{row_id.hex}"


_NAMED = ", ".join(f"'{one}'" for one in sorted(BY_NAME_ONLY))
WANTS = f"""w.tenant_id = e.tenant_id AND w.state = 'active'
        AND (w.events ? e.type OR e.type NOT IN ({_NAMED})
            AND w.events ?| ARRAY['*', split_part(e.type, '.', 1) || '.*'])"""
"""Whether webhook `w` is sent event `e`. An event's id is the same for every try and endpoint."""

ADD_OF_CALLS = f"""
    INSERT INTO deliveries
        (webhook_id, event_id, tenant_id, type, session_id, seq, created_at, due_at)
    SELECT w.id, 'evt_' || replace(CAST(e.session_id AS text), '-', '') || '_' || e.seq,
           e.tenant_id, e.type, e.session_id, e.seq, clock_timestamp(), clock_timestamp()
    FROM e JOIN webhooks w ON {WANTS}
    RETURNING webhook_id
"""  # noqa: S608  (a constant)
"""SQL: what webhooks are to be sent of the events `e` of calls, which the same statement writes."""
ADD = text(f"""
    INSERT INTO deliveries
        (webhook_id, event_id, tenant_id, type, session_id, seq, created_at, due_at)
    SELECT w.id, e.event_id, e.tenant_id, e.type, NULL, NULL, clock_timestamp(), clock_timestamp()
    FROM unnest(CAST(:events AS text[]), CAST(:tenants AS uuid[]), CAST(:types AS text[]))
        AS e(event_id, tenant_id, type)
    JOIN webhooks w ON {WANTS}
""")  # noqa: S608  (a constant)


async def add_of_tenants(session: Connection, events: Sequence[Row]) -> None:
    """Write what webhooks are to be sent of tenants' own events: (id, tenant_id, type).

    In the transaction of the events themselves, so that none is lost.
    """
    values = {
        "events": [tenant_event_id(event["id"]) for event in events],
        "tenants": [event["tenant_id"] for event in events],
        "types": [event["type"] for event in events],
    }
    await session.execute(ADD, values)


SOON = text("""
    UPDATE deliveries SET due_at = clock_timestamp()
    WHERE (webhook_id, event_id) IN (
        SELECT webhook_id, event_id FROM deliveries
        WHERE webhook_id = ANY(CAST(:webhooks AS uuid[])) AND state = 'pending'
            AND due_at > clock_timestamp()
        ORDER BY webhook_id, event_id FOR NO KEY UPDATE SKIP LOCKED)
""")


async def bring_forward(session: Connection, webhooks: Sequence[UUID]) -> None:
    """These endpoints answer again: what waits for another try is due now."""
    await session.execute(SOON, {"webhooks": list(webhooks)})


LIST = text("""
    SELECT event_id, type, session_id, seq, state, created_at, due_at, attempts, status, error,
           finished_at
    FROM deliveries
    WHERE webhook_id = :webhook AND tenant_id = :tenant
        AND (CAST(:state AS text) IS NULL OR state = :state)
        AND (CAST(:at AS timestamptz) IS NULL
             OR (created_at, event_id) < (CAST(:at AS timestamptz), CAST(:event AS text)))
    ORDER BY created_at DESC, event_id DESC LIMIT :limit
""")
ATTEMPTS = text("""
    SELECT id, event_id, started_at, finished_at, status, error, answer FROM delivery_attempts
    WHERE webhook_id = :webhook AND tenant_id = :tenant AND id < :before
        AND (CAST(:event AS text) IS NULL OR event_id = :event)
    ORDER BY id DESC LIMIT :limit
""")
# By event, and never back along the webhook's: a page of long ago would read all since.
TRIES = text("""
    SELECT a.id, a.event_id, a.started_at, a.finished_at, a.status, a.error, a.answer
    FROM unnest(CAST(:events AS text[])) AS e(id)
    CROSS JOIN LATERAL (SELECT * FROM delivery_attempts WHERE event_id = e.id OFFSET 0) a
    WHERE a.webhook_id = :webhook AND a.tenant_id = :tenant
    ORDER BY a.id DESC LIMIT :limit
""")
RESEND = text("""
    UPDATE deliveries SET state = 'pending', due_at = clock_timestamp(), finished_at = NULL,
        created_at = clock_timestamp()
    WHERE webhook_id = :webhook AND event_id = :event AND tenant_id = :tenant AND state <> 'sending'
    RETURNING event_id
""")


async def page(session: Connection, values: Row) -> list[dict[str, Any]]:
    """Deliveries of one webhook, the newest first; `at` and `event`: those before."""
    return await many(session, LIST, values)


async def attempts(session: Connection, values: Row) -> list[dict[str, Any]]:
    """Attempts of one webhook, perhaps at one event, the newest first."""
    return await many(session, ATTEMPTS, values)


async def tries(session: Connection, values: Row) -> list[dict[str, Any]]:
    """Attempts of one webhook at these events, the newest first."""
    return await many(session, TRIES, values)


async def resend(session: Connection, tenant_id: UUID, webhook: UUID, event: str) -> bool:
    """Have one delivery made again, whatever came of it; False when there is none to be made."""
    values = {"webhook": webhook, "event": event, "tenant": tenant_id}
    return bool(await many(session, RESEND, values))


FORGET_ANSWERS = text("""
    UPDATE delivery_attempts a SET answer = NULL
    FROM events e
    WHERE e.session_id = ANY(CAST(:calls AS uuid[]))
        AND a.event_id = 'evt_' || replace(CAST(e.session_id AS text), '-', '') || '_' || e.seq
        AND strpos(a.answer, :user) > 0
""")


async def forget_answers_naming(session: Connection, user_id: str, calls: Sequence[UUID]) -> None:
    """Forget what endpoints answered to events of these calls, where it may name an erased user."""
    await session.execute(FORGET_ANSWERS, {"user": user_id, "calls": list(calls)})
