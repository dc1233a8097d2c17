"""The one door by which facts become events: their rows, and with them what webhooks are sent.

Both are written in the transaction of the fact itself, so that none is lost and none is told of
what did not happen.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.core.event import TenantEventType
from app.events import store
from app.events.store import User
from app.infra.db import Connection, Row, as_json
from app.infra.statements import answer
from app.webhooks import deliveries

CALL_EVENTS = text(f"""
    WITH {store.ADD_EVENTS}, d AS ({deliveries.ADD_OF_CALLS})
    SELECT DISTINCT webhook_id, CAST(NULL AS uuid), NULL, CAST(NULL AS bigint) FROM d
    UNION ALL
    SELECT NULL, tenant_id, user_id, seq FROM f
""")  # noqa: S608  (constants)


async def call_events(
    session: Connection,
    rows: Sequence[Row],
    listeners: Collection[User],
    same: tuple[UUID, datetime] | None = None,
) -> tuple[set[UUID], dict[User, int]]:
    """Events of calls whose rows this transaction holds locked, and who is to hear of them.

    Returns the webhooks that get something, and the number of the last event in the feed of each
    listener who has one. `same`: tenant and time of the rows that do not say. The feeds are locked,
    in order of users, until the transaction commits, so that order of numbers is order of commits:
    but for `store.tell_users` this is its last statement. All in one statement, since every command
    runs it.
    """
    if not rows:
        return set(), {}
    values = {
        "rows": as_json(rows),
        "of_tenant": same[0] if same else None,
        "happened": same[1] if same else None,
        "tenants": [tenant for tenant, _ in listeners],
        "users": [user for _, user in listeners],
    }
    webhooks: set[UUID] = set()
    feeds: dict[User, int] = {}
    _, found = await answer(session, CALL_EVENTS, values)
    for webhook, tenant, user, seq in found:
        if webhook is None:
            feeds[tenant, user] = seq
        else:
            webhooks.add(webhook)
    return webhooks, feeds


async def tenant_events(session: Connection, rows: Sequence[Row]) -> None:
    """Facts about tenants that belong to no call: (id, tenant_id, type, at, data).

    Raises ValueError for a type that no webhook could ask for.
    """
    for row in rows:
        TenantEventType(row["type"])
    if rows:
        await store.add_tenant_events(session, rows)
        await deliveries.add_of_tenants(session, rows)


async def alarm(session: Connection, row: Row) -> None:
    """An alarm about a credential, unless any worker has raised the same within the hour."""
    if not await store.was_alarmed(session, row):
        await tenant_events(session, [row])
