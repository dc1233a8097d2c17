"""Rows of webhooks and of the secrets that sign what they are sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from sqlalchemy import text

from app.core.delivery import DisabledReason, WebhookState
from app.core.frozen import frozen
from app.infra.db import Connection, Row, dump_json, insert_rows, many, one
from app.infra.row_values import RowValue, read
from app.infra.unreadable import texts
from app.webhooks.claimed import FailingWebhook
from app.webhooks.models import Webhook, WebhookSecret


@frozen
class Endpoint(RowValue):
    """A webhook, as its owner sets it and as it does; the model says what the columns mean."""

    KIND: ClassVar[str] = "webhook"

    id: UUID
    tenant_id: UUID
    url: str
    events: list[str]
    description: str
    state: WebhookState
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None
    failures: int
    failing_since: datetime | None
    resting_until: datetime | None
    succeeded_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """A value of this row."""
        values = dict(zip(cls.__match_args__, row, strict=True))
        state, reason = WebhookState(values["state"]), values["disabled_reason"]
        why = None if reason is None else DisabledReason(reason)
        texts(values["events"])
        return cls(**values | {"state": state, "disabled_reason": why})


COLUMNS = """id, tenant_id, url, events, description, state, disabled_at, disabled_reason, failures,
    failing_since, resting_until, succeeded_at, created_at"""
ALL = f"SELECT {COLUMNS} FROM webhooks WHERE tenant_id = :tenant"  # noqa: S608  (a constant)
GET = text(f"{ALL} AND id = :id")
HOLD = text(f"{ALL} AND id = :id FOR NO KEY UPDATE")
LIST = text(f"{ALL} ORDER BY id")
SAVE = text("""
    UPDATE webhooks SET url = :url, events = CAST(:events AS jsonb), description = :description
    WHERE id = :id
""")
ENABLE = text("""
    UPDATE webhooks SET state = 'active', disabled_at = NULL, disabled_reason = NULL, failures = 0,
        failing_since = NULL, resting_until = NULL
    WHERE id = :id
""")
REMOVE = text("DELETE FROM webhooks WHERE id = :id AND tenant_id = :tenant RETURNING id")
EXPIRE_SECRETS = text("""
    UPDATE webhook_secrets s SET expires_at = least(s.expires_at, CASE
        WHEN s.id = (SELECT id FROM webhook_secrets WHERE webhook_id = :webhook
                     ORDER BY created_at DESC, id DESC LIMIT 1)
        THEN CAST(:at AS timestamptz) ELSE clock_timestamp() END)
    WHERE s.webhook_id = :webhook
""")
FORGET_SECRETS = text("DELETE FROM webhook_secrets WHERE expires_at < clock_timestamp()")


async def add(session: Connection, row: Row) -> None:
    """A new webhook."""
    await insert_rows(session, Webhook.__table__, [row])


async def add_secret(session: Connection, row: Row) -> None:
    """A new secret, sealed."""
    await insert_rows(session, WebhookSecret.__table__, [row])


async def get(
    session: Connection, tenant_id: UUID, webhook: UUID, *, hold: bool = False
) -> Endpoint | None:
    """One webhook of the tenant; `hold` locks it."""
    values = {"id": webhook, "tenant": tenant_id}
    found = await read(session, HOLD if hold else GET, Endpoint, values)
    return found[0] if found else None


async def of_tenant(session: Connection, tenant_id: UUID) -> list[Endpoint]:
    """Every webhook of the tenant that can be read, the oldest first."""
    return await read(session, LIST, Endpoint, {"tenant": tenant_id}, leave_out=True)


async def save(session: Connection, endpoint: Endpoint) -> None:
    """Write what may be changed by hand."""
    values = {"id": endpoint.id, "url": endpoint.url, "description": endpoint.description}
    await session.execute(SAVE, values | {"events": dump_json(endpoint.events)})


async def enable(session: Connection, webhook: UUID) -> None:
    """Send to this endpoint again, as if it had never failed."""
    await session.execute(ENABLE, {"id": webhook})


async def remove(session: Connection, tenant_id: UUID, webhook: UUID) -> bool:
    """Delete a webhook and its secrets; its deliveries go with time."""
    return await one(session, REMOVE, {"id": webhook, "tenant": tenant_id}) is not None


async def expire_secrets(session: Connection, webhook: UUID, at: datetime) -> None:
    """The newest secret of a webhook signs until `at` at the longest, older ones no more."""
    await session.execute(EXPIRE_SECRETS, {"webhook": webhook, "at": at})


async def forget_secrets(session: Connection) -> None:
    """Delete secrets that sign no more."""
    await session.execute(FORGET_SECRETS)


HOLD_ALL = text("""
    WITH held AS (
        SELECT id FROM webhooks WHERE id = ANY(CAST(:ids AS uuid[]))
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
    SELECT id FROM webhooks WHERE id = ANY(CAST(:ids AS uuid[])) AND id NOT IN (SELECT id FROM held)
""")
FAILED = text("""
    UPDATE webhooks w SET failures = w.failures + n.count,
        failing_since = coalesce(w.failing_since, clock_timestamp())
    FROM unnest(CAST(:ids AS uuid[]), CAST(:counts AS integer[])) AS n(id, count)
    WHERE w.id = n.id
    RETURNING w.id, w.tenant_id, w.url, w.failures, w.failing_since
""")
REST = text("""
    UPDATE webhooks w SET resting_until = clock_timestamp() + make_interval(secs => n.rest)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:rests AS double precision[])) AS n(id, rest)
    WHERE w.id = n.id
""")
DISABLE = text("""
    UPDATE webhooks SET state = 'disabled', disabled_at = clock_timestamp(), disabled_reason = :why
    WHERE id = :id AND state = 'active'
    RETURNING id, tenant_id, url, failing_since, disabled_at
""")


DISABLE_ALL = text("""
    UPDATE webhooks SET state = 'disabled', disabled_at = clock_timestamp(), disabled_reason = :why
    WHERE tenant_id = :tenant AND state = 'active'
""")


async def disable_all(session: Connection, tenant_id: UUID, why: DisabledReason) -> None:
    """Send to none of a tenant's endpoints any more."""
    await session.execute(DISABLE_ALL, {"tenant": tenant_id, "why": why})


async def hold_all(session: Connection, ids: Sequence[UUID]) -> set[UUID]:
    """Lock these webhooks, but for those that somebody else holds: returns these.

    In order: workers that record at the same time do not deadlock. Nobody waits: what is locked
    belongs to one tenant, and the results of all are written together.
    """
    return {row["id"] for row in await many(session, HOLD_ALL, {"ids": list(ids)})}


async def failed(session: Connection, counts: dict[UUID, int]) -> list[FailingWebhook]:
    """These endpoints have failed so many times more; returns how they stand."""
    ids = sorted(counts)
    values = {"ids": ids, "counts": [counts[one] for one in ids]}
    return await read(session, FAILED, FailingWebhook, values)


async def leave_alone(session: Connection, rests: dict[UUID, float]) -> None:
    """Send nothing to these endpoints for so many seconds."""
    ids = sorted(rests)
    await session.execute(REST, {"ids": ids, "rests": [rests[one] for one in ids]})


async def disable(session: Connection, webhook: UUID, why: DisabledReason) -> dict[str, Any] | None:
    """Send to this endpoint no more; None when it is disabled already."""
    return await one(session, DISABLE, {"id": webhook, "why": why})
