"""Whose rate limits refuse for long: a metric for the operator, an event for the tenant.

Each API process knows what it has refused itself; that a tenant is told once is looked up.
"""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import text

from app.core.event import TenantEventType, rfc3339
from app.core.rate_limits import NAMES
from app.infra.db import Connection, Database, many
from app.infra.ids import uuid7
from app.infra.locks import Only, only_one
from app.infra.observe import LIMITED_FOR_LONG
from app.infra.rate_limits import RateLimiter
from app.webhooks import publish

log = structlog.get_logger(__name__)

EVERY: Final = 10.0
UNTOLD = text("""
    SELECT k.tenant_id, k.name, clock_timestamp() AS now
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:names AS text[])) AS k(tenant_id, name)
    JOIN tenants t ON t.id = k.tenant_id
    WHERE NOT EXISTS (
        SELECT FROM tenant_events e
        WHERE e.tenant_id = k.tenant_id AND e.type = :type AND e.data ->> 'limit' = k.name
            AND e.at > statement_timestamp() - interval '1 hour'
    )
""")
OF_TENANT = text("""
    SELECT DISTINCT ON (data ->> 'limit') data FROM tenant_events
    WHERE tenant_id = :tenant AND type = :type AND at > statement_timestamp() - interval '1 hour'
    ORDER BY data ->> 'limit', at DESC
""")


async def tell(database: Database, limiter: RateLimiter) -> None:
    """Set the metric; tell tenants, once an hour, which of their limits refuse for long."""
    long = limiter.reached_for_long()
    names = [name for _, name in long]
    for name in NAMES:
        LIMITED_FOR_LONG.labels(name).set(names.count(name))
    if not long:
        return
    kind = TenantEventType.RATE_LIMIT_REACHED
    values = {"tenants": [tenant for tenant, _ in long], "names": names, "type": kind}
    async with database.transaction() as session:
        if not await only_one(session, Only.RATE_LIMITS_TOLD):
            return  # another process tells of the same, perhaps; the next round is soon
        events = []
        for row in await many(session, UNTOLD, values):
            tenant, name = row["tenant_id"], row["name"]
            one = long[tenant, name]
            log.warning("rate_limit_reached", limit=name, tenant=str(tenant), refused=one.refused)
            data = {
                "limit": name,
                "most": one.most,
                "refused": one.refused,
                "since": rfc3339(datetime.fromtimestamp(one.since, UTC)),
            }
            event = {"id": uuid7(), "tenant_id": tenant, "type": kind, "at": row["now"]}
            events.append(event | {"data": data})
        await publish.tenant_events(session, events)


async def lately(session: Connection, tenant_id: UUID) -> list[dict[str, Any]]:
    """What this tenant was told within the hour, of each of its limits the newest."""
    values = {"tenant": tenant_id, "type": TenantEventType.RATE_LIMIT_REACHED}
    told = [row["data"] for row in await many(session, OF_TENANT, values)]
    return [data | {"since": datetime.fromisoformat(data["since"])} for data in told]
