"""What a worker writes of the deliveries that it had claimed: how each try ended."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NotRequired, TypedDict
from uuid import UUID

from sqlalchemy import text

from app.core.delivery import DeliveryError, DeliveryState
from app.core.frozen import frozen
from app.core.webhook_retry import RESTS_FROM
from app.infra.db import Connection, as_json
from app.infra.statements import answer


class DeliveryEnd(TypedDict):
    """How a try ended, as the delivery's row and that of the attempt (`id`) shall say.

    `webhook`: its place among those of the record, from 1. Times are Unix seconds. One that says no
    state was delivered. `due_at` with state `pending`. A `bare` one leaves no attempt. Where
    `own`, status and answer are not those that are said once for all.
    """

    id: str
    webhook: int
    event_id: str
    fence: int
    started: float
    finished: float
    own: NotRequired[bool]
    status: NotRequired[int | None]
    answer: NotRequired[str | None]
    state: NotRequired[DeliveryState]
    due_at: NotRequired[datetime | None]
    error: NotRequired[DeliveryError | None]
    bare: NotRequired[bool]


@frozen
class Alike:
    """What is said once for all of a record: its webhooks, in order of places, with their tenants,
    and what most endpoints have answered."""

    tenants: Mapping[UUID, UUID]
    status: int | None
    answer: str | None


RECORD = text(f"""
    WITH alike AS MATERIALIZED (
        SELECT * FROM json_to_record(CAST(:alike AS json)) AS a(status integer, answer text)
    ), n AS MATERIALIZED (
        SELECT n.id, (CAST(:webhooks AS uuid[]))[n.webhook] AS webhook_id,
            (CAST(:tenants AS uuid[]))[n.webhook] AS tenant_id, n.event_id, n.fence,
            coalesce(n.state, 'delivered') AS state, n.due_at, n.error, n.bare,
            to_timestamp(n.started) AS started_at, to_timestamp(n.finished) AS finished_at,
            CASE WHEN n.own THEN n.status ELSE alike.status END AS status,
            CASE WHEN n.own THEN n.answer ELSE alike.answer END AS answer
        FROM json_to_recordset(CAST(:rows AS json)) AS n(
            id uuid, webhook integer, event_id text, fence integer, started double precision,
            finished double precision, own boolean, status integer, answer text, state text,
            due_at timestamptz, error text, bare boolean)
        CROSS JOIN alike
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
    SELECT n.id, n.id NOT IN (SELECT id FROM mine) FROM n LEFT JOIN written USING (id)
    WHERE written.id IS NULL
""")  # noqa: S608  (a constant)


async def record(
    session: Connection, results: Sequence[DeliveryEnd], alike: Alike
) -> dict[str, bool]:
    """Write results, set-wise, where the claim still holds; returns which were not written.

    By the attempt's id: whether the claim had been taken over, which is kept as an attempt. What
    somebody else holds locked is not waited for, and left out: the delivery's own row, or its
    webhook's if that is to be taken for well again. Then what waits for another try is due at once.
    That a webhook goes on well is noted every 5 s.
    """
    values = {
        "rows": as_json(results),
        "alike": as_json({"status": alike.status, "answer": alike.answer}),
        "webhooks": list(alike.tenants),
        "tenants": list(alike.tenants.values()),
    }
    _, found = await answer(session, RECORD, values)
    return {one.hex: taken_over for one, taken_over in found}
