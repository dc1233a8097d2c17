"""What the dashboard shows of webhooks: endpoints, and how their latest deliveries went."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.db import Session, many

WEBHOOKS = text("""
    SELECT w.id, w.url, w.events, w.description, w.state, w.failures, w.failing_since,
           w.resting_until, w.succeeded_at, w.disabled_why, w.created_at
    FROM webhooks w WHERE w.tenant_id = :tenant ORDER BY w.created_at
""")
DELIVERIES = text("""
    SELECT event_id, type, call_id, state, created_at, attempts, status, error, finished_at
    FROM deliveries WHERE tenant_id = :tenant AND webhook_id = :webhook
    ORDER BY created_at DESC LIMIT 50
""")


async def webhooks(session: Session, tenant_id: UUID) -> list[dict[str, Any]]:
    """A tenant's endpoints, the oldest first."""
    return await many(session, WEBHOOKS, {"tenant": tenant_id})


async def deliveries(session: Session, tenant_id: UUID, webhook_id: UUID) -> list[dict[str, Any]]:
    """The latest 50 deliveries to one endpoint."""
    return await many(session, DELIVERIES, {"tenant": tenant_id, "webhook": webhook_id})
