"""Telling users of something as a command does, in a test's own transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.events import store
from app.infra.db import Connection
from app.infra.ids import uuid7
from app.webhooks import publish


async def tell_users(
    session: Connection, told: Sequence[tuple[UUID, str, datetime, dict[str, Any]]]
) -> list[tuple[UUID, str, int]]:
    """Put (tenant, user, at, body) into the feeds of those who have one; the last numbers."""
    if not told:
        return []
    tenant_id, _, first, _ = told[0]
    event = {"session_id": uuid7(), "seq": 1, "tenant_id": tenant_id, "type": "test", "at": first}
    listeners = {(tenant, user) for tenant, user, _, _ in told}
    _, feeds = await publish.call_events(session, [event | {"data": {}}], listeners)
    news = [
        ((tenant, user), at, body) for tenant, user, at, body in told if (tenant, user) in feeds
    ]
    return await store.tell_users(session, feeds, news)
