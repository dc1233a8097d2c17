"""What a worker writes of the deliveries that it had claimed: how each try ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import NotRequired, TypedDict
from uuid import UUID

from sqlalchemy import text

from app.core.delivery import DeliveryError, DeliveryState
from app.core.webhook_retry import RESTS_FROM
from app.infra.db import Connection, as_json
from app.infra.statements import answer


class DeliveryEnd(TypedDict):
    """How a try ended, as the delivery's row and that of the attempt (`id`) shall say.

    `due_at` with state `pending`. A `bare` one leaves no attempt.
    """

    id: UUID
    tenant_id: UUID
    webhook_id: UUID
    event_id: str
    fence: int
    state: DeliveryState
    status: int | None
    started_at: datetime
    finished_at: datetime
    answer: str | None
    due_at: NotRequired[datetime | None]
    error: NotRequired[DeliveryError | None]
    bare: NotRequired[bool]


RECORD = text(f"""
    WITH n AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS n(
            id uuid, tenant_id uuid, webhook_id uuid, event_id text, fence integer, state text,
            due_at timestamptz, status integer, error text, started_at timestamptz,
            finished_at timestamptz, answer text, bare boolean)
    ), mine AS (
        SELECT n.id FROM deliveries d JOIN n USING (webhook_id, event_id)
        WHERE d.fence = n.fence AND d.state = 'sending'
    ), unlike AS (
        SELECT id, failures FROM webhooks
        WHERE id IN (SELECT webhook_id FROM n WHERE state = 'delivered')
            AND (failures > 0 OR succeeded_at IS NULL
                 OR succeeded_at < clock_timestamp() - interval '5 seconds')
    ), own AS (
        SELECT id, failures FROM webhooks WHERE id IN (SELECT id FROM unlike)
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), held AS (
        SELECT n.id, d.webhook_id, d.event_id FROM deliveries d JOIN n USING (webhook_id, event_id)
        WHERE d.fence = n.fence AND d.state = 'sending' AND d.webhook_id NOT IN (
            SELECT id FROM unlike WHERE failures > 0 AND id NOT IN (SELECT id FROM own))
        ORDER BY d.webhook_id, d.event_id FOR NO KEY UPDATE OF d SKIP LOCKED
    ), written AS (
        UPDATE deliveries d SET state = n.state, due_at = coalesce(n.due_at, d.due_at),
            status = n.status, error = n.error, claimed_by = NULL,
            finished_at = CASE WHEN n.state <> 'pending' THEN clock_timestamp() END
        FROM n JOIN held h USING (id)
        WHERE d.webhook_id = h.webhook_id AND d.event_id = h.event_id
        RETURNING n.id, n.webhook_id, n.state
    ), tried AS (
        INSERT INTO delivery_attempts (id, tenant_id, webhook_id, event_id, started_at, finished_at,
                                       status, error, answer)
        SELECT id, tenant_id, webhook_id, event_id, started_at, finished_at, status, error, answer
        FROM n WHERE bare IS NOT TRUE
        ON CONFLICT (id) DO NOTHING
    ), well AS (
        UPDATE webhooks w SET failures = 0, failing_since = NULL, resting_until = NULL,
            succeeded_at = clock_timestamp()
        FROM own
        WHERE w.id = own.id AND w.id IN (SELECT webhook_id FROM written WHERE state = 'delivered')
        RETURNING w.id, own.failures
    ), soon AS (
        UPDATE deliveries SET due_at = clock_timestamp()
        WHERE (webhook_id, event_id) IN (
            SELECT webhook_id, event_id FROM deliveries
            WHERE webhook_id IN (SELECT id FROM well WHERE failures >= {RESTS_FROM})
                AND state = 'pending' AND due_at > clock_timestamp()
            ORDER BY webhook_id, event_id FOR NO KEY UPDATE SKIP LOCKED)
    )
    SELECT n.id, written.state FROM n LEFT JOIN written USING (id)
    WHERE written.id IS NOT NULL OR n.id NOT IN (SELECT id FROM mine)
""")  # noqa: S608  (a constant)


async def record(
    session: Connection, results: Sequence[DeliveryEnd]
) -> dict[UUID, DeliveryState | None]:
    """Write results, set-wise, where the claim still holds; by attempt the state there is now.

    None where the claim had been taken over. What somebody else holds locked is not waited for, and
    left out: the delivery's own row, or its webhook's if that is to be taken for well again. Then
    what waits for another try is due at once. That a webhook goes on well is noted every 5 s.
    """
    _, found = await answer(session, RECORD, {"rows": as_json(results)})
    return {one: None if state is None else DeliveryState(state) for one, state in found}
