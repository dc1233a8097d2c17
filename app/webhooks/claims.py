"""Claiming: which deliveries a worker takes on, what they say, and how claims are given back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.core.webhook_retry import LONGEST_REST
from app.events.store import bounds
from app.infra.db import Connection
from app.infra.row_values import read
from app.infra.statements import answer
from app.webhooks.claimed import Delivery, Destination, DueEvent, DueWebhook, Key, Target

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
    WHERE w.state = 'active' AND (w.resting_until IS NULL OR w.resting_until <= clock_timestamp()
            OR w.resting_until > clock_timestamp() + interval '{LONGEST_REST:.0f} s')
        AND w.id <> ALL(CAST(:full AS uuid[]))
    ORDER BY d.due_at
""")  # noqa: S608  (a constant)
CLAIM = text(f"""
    UPDATE deliveries d SET state = 'sending', claimed_by = :worker, fence = d.fence + 1,
        attempts = d.attempts + 1
    FROM (
        SELECT p.webhook_id, p.event_id, w.place
        FROM unnest(CAST(:webhooks AS uuid[]), CAST(:counts AS integer[]))
            WITH ORDINALITY AS w(id, count, place)
        CROSS JOIN LATERAL (
            SELECT p.webhook_id, p.event_id FROM deliveries p
            WHERE p.webhook_id = w.id AND {FREE}
            ORDER BY p.due_at, p.seq LIMIT w.count
            FOR NO KEY UPDATE SKIP LOCKED
        ) p
    ) c
    WHERE d.webhook_id = c.webhook_id AND d.event_id = c.event_id AND d.claimed_by IS NULL
        AND (SELECT dead_at IS NULL FROM workers WHERE id = :worker)
    RETURNING c.place, d.event_id, d.session_id, d.seq, d.fence, d.attempts,
        date_part('epoch', d.created_at) AS created, date_part('epoch', clock_timestamp()) AS now
""")  # noqa: S608  (a constant)


async def work(session: Connection, full: Sequence[UUID]) -> list[DueWebhook]:
    """Webhooks with deliveries that may be sent now, but for `full`, who waits longest first."""
    return await read(session, WORK, DueWebhook, {"full": list(full)})


async def claim(session: Connection, worker: UUID, counts: Mapping[Target, int]) -> list[Delivery]:
    """Claim deliveries that may be sent now, so many for each webhook, in order per call.

    A worker that is condemned, or has no row, claims nothing.
    """
    # by the webhook's place: an id that is read for each delivery is made, and hashed, for each
    places = [(), *counts]
    webhooks = [webhook for webhook, _ in counts]
    values = {"worker": worker, "webhooks": webhooks, "counts": list(counts.values())}
    _, rows = await answer(session, CLAIM, values)
    return [Delivery(*places[place], *rest) for place, *rest in rows]


FACTS = text("""
    SELECT k.event_id, e.type, e.at, CAST(e.data AS text) AS data,
        c.type || ':' || c.name AS cid, c.traceparent,
        CAST(NULL AS uuid) AS webhook_id, CAST(NULL AS uuid) AS tenant_id, NULL AS url,
        CAST(NULL AS uuid[]) AS secret_ids, CAST(NULL AS bytea[]) AS sealed
    FROM unnest(CAST(:events AS text[]), CAST(:calls AS uuid[]), CAST(:seqs AS integer[]))
        AS k(event_id, session_id, seq)
    JOIN events e ON e.session_id = k.session_id AND e.seq = k.seq
        AND e.session_id BETWEEN :first AND :last
    JOIN calls c ON c.id = k.session_id
    UNION ALL
    SELECT k.event_id, e.type, e.at, CAST(e.data AS text), NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM unnest(CAST(:of_tenants AS text[]), CAST(:ids AS uuid[])) AS k(event_id, id)
    JOIN tenant_events e ON e.id = k.id
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, w.id, w.tenant_id, w.url, s.ids, s.sealed
    FROM webhooks w
    CROSS JOIN LATERAL (
        SELECT array_agg(s.id ORDER BY s.id DESC) AS ids,
            array_agg(s.sealed ORDER BY s.id DESC) AS sealed
        FROM webhook_secrets s
        WHERE s.webhook_id = w.id AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
    ) s
    WHERE w.id = ANY(CAST(:webhooks AS uuid[]))
""")
"""Each row tells of an event or of a webhook. What signs is asked with each try, so that a secret
which is taken back signs no more."""

OF_EVENT: Final = len(DueEvent.__match_args__)


async def facts(
    session: Connection, claimed: Iterable[Delivery]
) -> tuple[dict[str, DueEvent], dict[UUID, Destination]]:
    """What claimed deliveries say, once for all endpoints of an event, and where they go, once a
    webhook; what is missing has gone."""
    told, webhooks = {}, set()
    for one in claimed:
        told[one.event_id] = one
        webhooks.add(one.webhook_id)
    calls = [one for one in told.values() if one.session_id is not None]
    own = [one.event_id for one in told.values() if one.session_id is None]
    values = {
        "events": [one.event_id for one in calls],
        "calls": [one.session_id for one in calls],
        "seqs": [one.seq for one in calls],
        "of_tenants": own,
        "ids": [UUID(hex=one[4:]) for one in own],
        "webhooks": list(webhooks),
        **bounds([one.session_id for one in calls if one.session_id is not None]),
    }
    _, rows = await answer(session, FACTS, values)
    events = [DueEvent(*row[:OF_EVENT]) for row in rows if row[0] is not None]
    places = [Destination(*row[OF_EVENT:]) for row in rows if row[0] is None]
    return {one.event_id: one for one in events}, {one.webhook_id: one for one in places}


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
