"""What a worker writes of the pushes that it had claimed: how each try ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from app.core.push import PUSH_STATES, Environment, PushState
from app.infra.db import Connection, as_json
from app.infra.statements import answer, planned_once
from app.push.tokens import every, rank, ringing


class PushEnd(TypedDict):
    """How a try at a claimed push ended, as its row shall say. `silent`: it may have arrived.

    `try_id`: of a try of which its row will say all; it gets one of its own if that cannot be.
    """

    id: UUID
    worker: UUID
    fence: int
    state: PushState
    environment: Environment
    healed: bool
    silent: bool
    due_at: datetime | None
    status: int | None
    reason: str | None
    sent_at: datetime | None
    answered_at: datetime | None
    next_id: UUID | None
    try_id: UUID | None


class PushTry(TypedDict):
    """The row of a try that was made."""

    id: UUID
    push_id: UUID
    session_id: UUID
    worker_id: UUID
    fence: int
    environment: Environment
    started_at: datetime
    finished_at: datetime
    status: int | None
    reason: str | None
    unique_id: str | None


# What is held is joined to the results first, by itself: joined with the rows, each result was
# compared with each row, seven tenths of what it cost to record a hundred.
RECORD = planned_once(f"""
    WITH held AS (
        SELECT id FROM pushes WHERE id = ANY(CAST(:ids AS uuid[]))
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), n AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(
            id uuid, worker uuid, fence integer, state text, due_at timestamptz, status integer,
            reason text, environment text, healed boolean, silent boolean, sent_at timestamptz,
            answered_at timestamptz, next_id uuid, try_id uuid)
    ), mine AS MATERIALIZED (
        SELECT * FROM n JOIN held USING (id)
    ), written AS (
        UPDATE pushes p SET state = n.state, is_open = n.state = 'pending', fence = n.fence,
            due_at = coalesce(n.due_at, p.due_at),
            claimed_by = CASE WHEN n.state = 'pending' THEN NULL ELSE n.worker END,
            inherited = p.inherited OR n.silent,
            status = n.status, reason = n.reason, environment = n.environment, healed = n.healed,
            sent_at = coalesce(p.sent_at, n.sent_at), answered_at = n.answered_at
        FROM mine n
        WHERE p.id = n.id AND (
            p.state = 'sending' AND p.claimed_by = n.worker AND p.fence = n.fence
            OR p.state = 'pending' AND p.claimed_by IS NULL AND p.fence = n.fence - 1
        )
        RETURNING p.id, p.state
    ), tried AS (
        INSERT INTO attempts (id, push_id, session_id, worker_id, fence, environment, started_at,
                              finished_at, status, reason, unique_id)
        SELECT * FROM json_to_recordset(CAST(:attempts AS json)) AS r(
            id uuid, push_id uuid, session_id uuid, worker_id uuid, fence integer, environment text,
            started_at timestamptz, finished_at timestamptz, status integer, reason text,
            unique_id text)
        UNION ALL
        SELECT n.try_id, n.id, p.session_id, n.worker, n.fence, n.environment, n.sent_at,
            n.answered_at, n.status, n.reason, NULL
        FROM mine n LEFT JOIN written w USING (id)
        CROSS JOIN LATERAL (SELECT session_id FROM pushes p WHERE p.id = n.id LIMIT 1) p
        WHERE w.id IS NULL AND n.try_id IS NOT NULL
        ON CONFLICT (id) DO NOTHING
    ), next AS (
        INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, purpose, created_at, deadline,
                            token_id, device_row, kind, app_id, environment, token,
                            token_registered_at, token_version, state, due_at)
        SELECT r.id, p.ring, p.session_id, p.tenant_id, p.user_id, r.purpose, c.now, r.deadline,
            t.id, t.device_row, t.kind, t.app_id, t.environment, t.token, t.registered_at,
            t.version, 'pending', r.due_at
        FROM n JOIN written w ON w.id = n.id AND w.state = 'refused'
        CROSS JOIN LATERAL (SELECT * FROM pushes p WHERE p.id = n.id LIMIT 1) p
        CROSS JOIN LATERAL (
            SELECT t.*, {every("t")} AS every FROM tokens t
            WHERE t.device_row = p.device_row AND t.tenant_id = p.tenant_id
                AND t.user_id = p.user_id AND {ringing("t")} AND {rank("t")} > {rank("p")}
                AND NOT EXISTS (SELECT FROM pushes o WHERE o.ring = p.ring AND o.token_id = t.id)
            ORDER BY {rank("t")}, t.id LIMIT 1
        ) t
        CROSS JOIN LATERAL (SELECT clock_timestamp() AS now OFFSET 0) c
        CROSS JOIN LATERAL (
            SELECT n.next_id AS id, 'ring' AS purpose, c.now AS due_at, p.deadline
            UNION ALL
            SELECT CAST(encode(overlay(uuid_send(n.next_id) PLACING int4send(a.number) FROM 13),
                    'hex') AS uuid), 'again ' || a.number + 1, a.due_at,
                least(a.due_at + make_interval(secs => t.every), p.deadline)
            FROM (SELECT number, c.now + number * make_interval(secs => t.every) AS due_at
                FROM generate_series(1, CAST(ceil(
                    extract(epoch FROM p.deadline - c.now) / t.every) AS integer)) number) a
            WHERE a.due_at < p.deadline
        ) r
        WHERE n.next_id IS NOT NULL AND NOT p.inherited AND p.deadline > clock_timestamp()
        ON CONFLICT (ring, token_id, purpose) DO NOTHING
    )
    SELECT n.id, written.state
    FROM n LEFT JOIN held USING (id) LEFT JOIN written USING (id)
    WHERE held.id IS NOT NULL OR NOT EXISTS (SELECT FROM pushes p WHERE p.id = n.id)
""")  # noqa: S608  (constants)


# As RECORD, of those of which nothing else is to be said: a third of what it costs beside its rows.
TAKEN = planned_once("""
    WITH held AS (
        SELECT id FROM pushes WHERE id = ANY(CAST(:ids AS uuid[]))
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), n AS (
        SELECT CAST(r ->> 0 AS uuid) AS id, CAST(r ->> 1 AS integer) AS fence,
            CAST(r ->> 2 AS integer) AS status, to_timestamp(CAST(r ->> 3 AS float8)) AS sent_at,
            to_timestamp(CAST(r ->> 4 AS float8)) AS answered_at
        FROM jsonb_array_elements(CAST(:rows AS jsonb)) r
    ), mine AS MATERIALIZED (
        SELECT * FROM n JOIN held USING (id)
    )
    UPDATE pushes p SET state = 'accepted', is_open = false, fence = n.fence,
        claimed_by = :worker, status = n.status, reason = NULL,
        sent_at = coalesce(p.sent_at, n.sent_at), answered_at = n.answered_at
    FROM mine n
    WHERE p.id = n.id AND (
        p.state = 'sending' AND p.claimed_by = :worker AND p.fence = n.fence
        OR p.state = 'pending' AND p.claimed_by IS NULL AND p.fence = n.fence - 1
    )
    RETURNING p.id
""")

TakenPush = tuple[UUID, int, int | None, float, float]
"""A push and its fence, the status, and when it was sent and answered (Unix seconds)."""


async def record_taken(session: Connection, worker: UUID, pushes: Sequence[TakenPush]) -> set[UUID]:
    """Write that these, which `worker` had claimed, were accepted at their first try, by the
    address that they were claimed with.

    Returns those that are written. What becomes of the others, locked rows, claims that were taken
    over and what was written before, `record` says.
    """
    values = {"ids": [push[0] for push in pushes], "rows": as_json(pushes), "worker": worker}
    _, rows = await answer(session, TAKEN, values)
    return {row[0] for row in rows}


async def record(
    session: Connection, results: Sequence[PushEnd], attempts: Sequence[PushTry]
) -> dict[UUID, PushState | None]:
    """Write results, set-wise, where the claim still holds; the states that pushes now have.

    None where the claim has been taken over, or the same was written before. A row that another
    transaction has locked is not waited for, and left out of what is returned. A claim that a crash
    of the database took back (it is committed asynchronously) is taken back with its result.

    A ring that is refused for good goes to the next address of its phone (`next_id`), unless it may
    have rung by this one: in this very statement, so that nothing is lost or doubled in between. If
    that rings by notifications, they are written too, as `alerts.repeats` has them.

    `attempts`: what was tried. It is written also of a claim that has been taken over; what the
    push's own row now says has no row of its own.
    """
    values = {
        "ids": [result["id"] for result in results],
        "rows": as_json(results),
        "attempts": as_json(attempts),
    }
    _, rows = await answer(session, RECORD, values)
    return {push: None if state is None else PUSH_STATES[state] for push, state in rows}
