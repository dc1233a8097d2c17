"""Rows of deliveries: written with their events, claimed and recorded by workers."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.event import BY_NAME_ONLY
from app.infra.db import Connection, Row, as_json, insert_rows, many, read
from app.webhooks.claimed import (
    Delivery,
    DeliveryEnd,
    DeliveryFacts,
    DeliveryTry,
    DueWebhook,
    Key,
)
from app.webhooks.models import DeliveryAttempt


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


FREE = """p.state = 'pending' AND p.due_at <= clock_timestamp()
                AND NOT EXISTS (
                    SELECT FROM deliveries e
                    WHERE e.webhook_id = p.webhook_id AND e.session_id = p.session_id
                        AND e.seq < p.seq
                        AND e.state IN ('pending', 'sending')
                    OFFSET 0)"""
"""Whether delivery `p` may be sent now: of one call only the first that is not delivered yet.

OFFSET 0 keeps it a look-up by all three columns. As a join it was planned, while the table was
small, to read all that is open, and all that was but is not vacuumed, for each that is due: 3 s
of CPU for 350 behind a frozen transaction, which is the statement's time.
"""

WORK = text(f"""
    SELECT w.id AS webhook, w.tenant_id, w.failures, CASE WHEN w.failures > 0 THEN (
        SELECT count(*) FROM deliveries s WHERE s.webhook_id = w.id AND s.state = 'sending'
    ) ELSE 0 END AS under_way
    FROM webhooks w
    CROSS JOIN LATERAL (
        SELECT p.due_at FROM deliveries p
        WHERE p.webhook_id = w.id AND {FREE}
        ORDER BY p.due_at LIMIT 1
    ) d
    WHERE w.state = 'active' AND (w.resting_until IS NULL OR w.resting_until <= clock_timestamp())
        AND w.id <> ALL(CAST(:full AS uuid[]))
    ORDER BY d.due_at
""")  # noqa: S608  (a constant)
CLAIM = text(f"""
    UPDATE deliveries d SET state = 'sending', claimed_by = :worker, fence = d.fence + 1,
        attempts = d.attempts + 1
    FROM (
        SELECT p.webhook_id, p.event_id
        FROM unnest(CAST(:webhooks AS uuid[]), CAST(:counts AS integer[])) AS w(id, count)
        CROSS JOIN LATERAL (
            SELECT p.webhook_id, p.event_id FROM deliveries p
            WHERE p.webhook_id = w.id AND {FREE}
            ORDER BY p.due_at, p.seq LIMIT w.count
            FOR NO KEY UPDATE SKIP LOCKED
        ) p
    ) c
    WHERE d.webhook_id = c.webhook_id AND d.event_id = c.event_id AND d.claimed_by IS NULL
        AND (SELECT dead_at IS NULL FROM workers WHERE id = :worker)
    RETURNING d.webhook_id, d.event_id, d.tenant_id, d.session_id, d.seq, d.fence, d.attempts,
        d.created_at, clock_timestamp() AS now
""")  # noqa: S608  (a constant)


async def work(session: Connection, full: Sequence[UUID]) -> list[DueWebhook]:
    """Webhooks with deliveries that may be sent now, but for `full`, who waits longest first."""
    return await read(session, WORK, DueWebhook, {"full": list(full)})


async def claim(session: Connection, worker: UUID, counts: Mapping[UUID, int]) -> list[Delivery]:
    """Claim deliveries that may be sent now, so many for each webhook, in order per call.

    A worker that is condemned, or has no row, claims nothing.
    """
    values = {"worker": worker, "webhooks": list(counts), "counts": list(counts.values())}
    return await read(session, CLAIM, Delivery, values)


FACTS = text("""
    SELECT d.webhook_id, d.event_id, w.url, e.type, e.at, e.data, c.type || ':' || c.name AS cid
    FROM unnest(CAST(:webhooks AS uuid[]), CAST(:events AS text[])) AS k(webhook_id, event_id)
    JOIN deliveries d USING (webhook_id, event_id)
    JOIN webhooks w ON w.id = d.webhook_id
    JOIN events e ON e.session_id = d.session_id AND e.seq = d.seq
    JOIN calls c ON c.id = d.session_id
    UNION ALL
    SELECT d.webhook_id, d.event_id, w.url, e.type, e.at, e.data, NULL
    FROM unnest(CAST(:webhooks AS uuid[]), CAST(:events AS text[]), CAST(:ids AS uuid[]))
        AS k(webhook_id, event_id, id)
    JOIN deliveries d USING (webhook_id, event_id)
    JOIN webhooks w ON w.id = d.webhook_id
    JOIN tenant_events e ON e.id = k.id
    WHERE d.session_id IS NULL
""")


async def facts(session: Connection, claimed: Sequence[Delivery]) -> dict[Key, DeliveryFacts]:
    """Where claimed deliveries go and what they say; what is missing is not kept any more."""
    values = {
        "webhooks": [one.webhook_id for one in claimed],
        "events": [one.event_id for one in claimed],
        "ids": [UUID(hex=one.event_id[4:]) if one.session_id is None else None for one in claimed],
    }
    found = await read(session, FACTS, DeliveryFacts, values)
    return {(one.webhook_id, one.event_id): one for one in found}


RECORD = text("""
    WITH n AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS n(
            webhook_id uuid, event_id text, fence integer, state text, due_at timestamptz,
            status integer, error text)
    ), mine AS (
        SELECT d.webhook_id, d.event_id FROM deliveries d JOIN n USING (webhook_id, event_id)
        WHERE d.fence = n.fence AND d.state = 'sending'
    ), held AS (
        SELECT d.webhook_id, d.event_id FROM deliveries d JOIN n USING (webhook_id, event_id)
        WHERE d.fence = n.fence AND d.state = 'sending'
        ORDER BY d.webhook_id, d.event_id FOR NO KEY UPDATE OF d SKIP LOCKED
    ), written AS (
        UPDATE deliveries d SET state = n.state, due_at = coalesce(n.due_at, d.due_at),
            status = n.status, error = n.error, claimed_by = NULL,
            finished_at = CASE WHEN n.state <> 'pending' THEN clock_timestamp() END
        FROM n JOIN held h USING (webhook_id, event_id)
        WHERE d.webhook_id = n.webhook_id AND d.event_id = n.event_id
        RETURNING d.webhook_id, d.event_id
    )
    SELECT webhook_id, event_id, true AS written FROM written
    UNION ALL
    SELECT webhook_id, event_id, false FROM mine m
    WHERE NOT EXISTS (
        SELECT FROM held h WHERE h.webhook_id = m.webhook_id AND h.event_id = m.event_id)
""")


async def record(session: Connection, results: Sequence[DeliveryEnd]) -> tuple[set[Key], set[Key]]:
    """Write results where the claim still holds.

    Returns those that were written, and those whose row somebody else holds locked: they go with
    the next. The rest had been taken over.
    """
    written: set[Key] = set()
    locked: set[Key] = set()
    for webhook, event, mine in await session.execute(RECORD, {"rows": as_json(results)}):
        (written if mine else locked).add((webhook, event))
    return written, locked


async def add_attempts(session: Connection, rows: Sequence[DeliveryTry]) -> None:
    """Write what was tried; an attempt that is there already stays as it is."""
    await insert_rows(
        session, DeliveryAttempt.__table__, rows, suffix="ON CONFLICT (id) DO NOTHING"
    )


ORPHANS = text("""
    UPDATE deliveries SET state = 'pending', claimed_by = NULL, due_at = clock_timestamp()
    WHERE (webhook_id, event_id) IN (
        SELECT d.webhook_id, d.event_id FROM deliveries d
        LEFT JOIN workers w ON w.id = d.claimed_by
        WHERE d.state = 'sending' AND (w.id IS NULL OR w.dead_at IS NOT NULL)
        ORDER BY d.webhook_id, d.event_id LIMIT 1000 FOR NO KEY UPDATE OF d SKIP LOCKED
    ) AND state = 'sending'
""")
FREE_BUT = text("""
    UPDATE deliveries SET state = 'pending', claimed_by = NULL, due_at = clock_timestamp()
    WHERE (webhook_id, event_id) IN (
        SELECT d.webhook_id, d.event_id FROM deliveries d
        WHERE d.state = 'sending' AND d.claimed_by = :worker
            AND NOT EXISTS (
                SELECT FROM unnest(CAST(:webhooks AS uuid[]), CAST(:events AS text[]))
                    AS k(webhook_id, event_id)
                WHERE k.webhook_id = d.webhook_id AND k.event_id = d.event_id)
        FOR NO KEY UPDATE OF d SKIP LOCKED
    ) AND state = 'sending' AND claimed_by = :worker
""")
SOON = text("""
    UPDATE deliveries SET due_at = clock_timestamp()
    WHERE (webhook_id, event_id) IN (
        SELECT webhook_id, event_id FROM deliveries
        WHERE webhook_id = ANY(CAST(:webhooks AS uuid[])) AND state = 'pending'
            AND due_at > clock_timestamp()
        ORDER BY webhook_id, event_id FOR NO KEY UPDATE SKIP LOCKED)
""")


async def free_orphans(session: Connection) -> None:
    """What workers had claimed that are condemned, or have gone, waits again.

    One that is merely late may be sending still: who condemns it says so by a write of its own.
    """
    await session.execute(ORPHANS)


async def free_but(session: Connection, worker: UUID, kept: Sequence[Key]) -> None:
    """What a worker has claimed and does not hold waits again: `kept` is what it holds.

    A claim may be committed and its answer lost with the connection; then nobody has it.
    """
    webhooks, events = [one[0] for one in kept], [one[1] for one in kept]
    await session.execute(FREE_BUT, {"worker": worker, "webhooks": webhooks, "events": events})


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
