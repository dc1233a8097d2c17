"""How far deliveries are behind: a metric for the operator, an alarm for the tenant.

What is behind is due and not begun: the workers are too few, or the endpoint too slow. An endpoint
that fails is left alone meanwhile, so the two are told apart.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text

from app.core.delivery import WebhookState
from app.core.event import TenantEventType, event_filters, rfc3339
from app.infra.bisection import Aside, rows_alone
from app.infra.db import Connection, Database, Row, many, one
from app.infra.ids import uuid7
from app.infra.observe import OLDEST_DELIVERY
from app.webhooks import publish
from app.webhooks.endpoints import Endpoint

log = structlog.get_logger(__name__)

BEHIND: Final = timedelta(seconds=60)
"""The age of the oldest due delivery from which on a webhook is behind."""

ASIDE: Final = Aside[UUID]("webhooks behind")

WAITING = """
    SELECT w.id, w.tenant_id, w.url, w.failures, w.failing_since, d.due_at, clock_timestamp() AS now
    FROM webhooks w
    CROSS JOIN LATERAL (
        SELECT d.due_at FROM deliveries d
        WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.due_at <= clock_timestamp()
        ORDER BY d.due_at LIMIT 1
    ) d
    WHERE w.state = 'active'
"""
OF_ALL = text(WAITING)
OF_TENANT = text(f"{WAITING} AND w.tenant_id = :tenant")
UNSERVED = text("""
    SELECT EXISTS (SELECT FROM webhooks WHERE state = 'active') AND NOT EXISTS (
        SELECT FROM workers WHERE alive_until > clock_timestamp() AND dead_at IS NULL
            AND "only" IS DISTINCT FROM 'pushes')
""")
NOW_BEHIND = text(f"""
    SELECT t.name, w.now - w.due_at AS age FROM ({WAITING}) w JOIN tenants t ON t.id = w.tenant_id
    WHERE w.failures = 0 AND w.now - w.due_at >= CAST(:behind AS interval)
""")  # noqa: S608  (a constant)
HOLD = text("SELECT id FROM webhooks WHERE id = :id FOR NO KEY UPDATE SKIP LOCKED")
ALARMED = text("""
    SELECT id FROM tenant_events
    WHERE tenant_id = :tenant AND type = :type AND data ->> 'webhook_id' = :webhook
        AND at > CAST(:now AS timestamptz) - interval '1 hour'
    LIMIT 1
""")


async def measure(database: Database) -> None:
    """Set the metric; tell tenants, once an hour, whose webhooks are behind."""
    async with database.autocommit() as session:
        rows = await many(session, OF_ALL)
    oldest = {"well": 0.0, "failing": 0.0}
    for row in rows:
        kind = "failing" if row["failures"] else "well"
        oldest[kind] = max(oldest[kind], (row["now"] - row["due_at"]).total_seconds())
    for kind, seconds in oldest.items():
        OLDEST_DELIVERY.labels(kind).set(seconds)
    behind = {row["id"]: row for row in rows if row["now"] - row["due_at"] >= BEHIND}

    async def tell(webhooks: Sequence[UUID]) -> None:
        for webhook in webhooks:
            async with database.transaction() as session:
                await _alarm(session, behind[webhook])

    await rows_alone(list(behind), tell, ASIDE)


async def _alarm(session: Connection, row: Row) -> None:
    """One worker tells, and none waits for another's lock."""
    if await one(session, HOLD, {"id": row["id"]}) is None:
        return
    kind, webhook = TenantEventType.WEBHOOK_BEHIND, str(row["id"])
    values = {"tenant": row["tenant_id"], "type": kind, "webhook": webhook, "now": row["now"]}
    if await one(session, ALARMED, values) is not None:
        return
    log.warning("webhook_behind", webhook=webhook, tenant=str(row["tenant_id"]))
    since = row["failing_since"]
    data = {
        "webhook_id": webhook,
        "url": row["url"],
        "oldest_due_at": rfc3339(row["due_at"]),
        "failing_since": rfc3339(since) if since else None,
    }
    event = {"id": uuid7(), "tenant_id": row["tenant_id"], "type": kind, "at": row["now"]}
    await publish.tenant_events(session, [event | {"data": data}])


async def ages(session: Connection, tenant_id: UUID) -> dict[UUID, timedelta]:
    """How long the oldest due delivery of each of a tenant's webhooks has waited; 0 is left out."""
    rows = await many(session, OF_TENANT, {"tenant": tenant_id})
    return {row["id"]: row["now"] - row["due_at"] for row in rows}


async def behind(session: Connection) -> list[tuple[str, timedelta]]:
    """The tenant's name and the age of the oldest due delivery, of each webhook that is behind.

    Not of those whose endpoint fails: they are left alone meanwhile.
    """
    rows = await many(session, NOW_BEHIND, {"behind": BEHIND})
    return [(row["name"], row["age"]) for row in rows]


async def is_unserved(session: Connection) -> bool:
    """Whether there are webhooks to send to, and no living worker does."""
    return bool((await session.execute(UNSERVED)).scalar_one())


def condition(endpoint: Endpoint, age: timedelta | None) -> str:
    """How a webhook stands: off, never (no such event), failing, behind, working, or unused."""
    if endpoint.state is not WebhookState.ACTIVE:
        return "off"
    if not set(endpoint.events) & set(event_filters()):
        return "never"
    if endpoint.failures:
        return "failing"
    if age is not None and age >= BEHIND:
        return "behind"
    return "working" if endpoint.succeeded_at else "unused"
