"""Webhooks: a tenant's endpoints, their secrets, and what was sent to them."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.audit import log as audit
from app.audit.log import Actor
from app.core.delivery import DisabledReason
from app.infra import vault
from app.infra.db import Connection, clock
from app.infra.errors import Conflict, NotFound
from app.infra.ids import uuid7
from app.infra.queue import DELIVER
from app.infra.runtime import Runtime
from app.infra.safe_http import check_url
from app.tenants.store import lock_tenant
from app.webhooks import backlog, deliveries, endpoints
from app.webhooks.endpoints import Endpoint
from app.webhooks.signing import secret_place

MOST_WEBHOOKS = 20
LAST = UUID(int=2**128 - 1)


def new_secret() -> str:
    """A secret as the Standard Webhooks specification has it: `whsec_` and 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


async def create(
    runtime: Runtime,
    tenant_id: UUID,
    url: str,
    events: Sequence[str],
    description: str,
    actor: Actor,
) -> tuple[Endpoint, str]:
    """A new webhook, and its secret, which is shown this once."""
    url = check_url(url, allow_private=runtime.settings.webhook_allow_private)
    secret = new_secret()
    async with runtime.database.transaction() as session:
        await lock_tenant(session, tenant_id)
        if len(await endpoints.of_tenant(session, tenant_id)) >= MOST_WEBHOOKS:
            raise Conflict("too_many_webhooks", f"a tenant has at most {MOST_WEBHOOKS} webhooks")
        webhook, now = uuid7(), await clock(session)
        row = {"id": webhook, "tenant_id": tenant_id, "url": url, "events": list(events)}
        await endpoints.add(session, row | {"description": description, "created_at": now})
        await _add_secret(runtime, session, tenant_id, webhook, secret, now)
        detail = {"url": url, "events": list(events)}
        await audit.record(session, actor, tenant_id, "webhook.create", _target(webhook), detail)
    return await get(runtime, tenant_id, webhook), secret


async def _add_secret(
    runtime: Runtime, session: Connection, tenant_id: UUID, webhook: UUID, secret: str, at: datetime
) -> None:
    row_id = uuid7()
    sealed = vault.seal(runtime.keyring, secret_place(tenant_id, row_id), secret.encode())
    row = {"id": row_id, "tenant_id": tenant_id, "webhook_id": webhook, "sealed": sealed}
    await endpoints.add_secret(session, row | {"created_at": at})


async def get(runtime: Runtime, tenant_id: UUID, webhook: UUID) -> Endpoint:
    """One webhook. Raises NotFound, also for another tenant's."""
    async with runtime.database.autocommit() as session:
        return _found(await endpoints.get(session, tenant_id, webhook))


async def every(runtime: Runtime, tenant_id: UUID) -> list[Endpoint]:
    """The tenant's webhooks, the oldest first."""
    async with runtime.database.autocommit() as session:
        return await endpoints.of_tenant(session, tenant_id)


async def conditions(runtime: Runtime, tenant_id: UUID) -> dict[UUID, str]:
    """How each of the tenant's webhooks stands: `backlog.condition`."""
    async with runtime.database.autocommit() as session:
        ages = await backlog.ages(session, tenant_id)
        rows = await endpoints.of_tenant(session, tenant_id)
    return {row.id: backlog.condition(row, ages.get(row.id)) for row in rows}


async def change(
    runtime: Runtime,
    tenant_id: UUID,
    webhook: UUID,
    changes: dict[str, Any],
    actor: Actor,
) -> Endpoint:
    """Change `url`, `events` or `description`; `enabled` turns it off, or on as if new."""
    enabled = changes.get("enabled")
    if "url" in changes:
        allow_private = runtime.settings.webhook_allow_private
        changes = changes | {"url": check_url(changes["url"], allow_private=allow_private)}
    async with runtime.database.transaction() as session:
        found = _found(await endpoints.get(session, tenant_id, webhook, hold=True))
        ours = {key: value for key, value in changes.items() if key != "enabled"}
        await endpoints.save(session, replace(found, **ours))
        if enabled is True:
            await endpoints.enable(session, webhook)
            await deliveries.bring_forward(session, [webhook])
        elif enabled is False:
            await endpoints.disable(session, webhook, DisabledReason.BY_HAND)
        await audit.record(session, actor, tenant_id, "webhook.change", _target(webhook), changes)
    runtime.queue.enqueue(DELIVER, [webhook])
    return await get(runtime, tenant_id, webhook)


async def rotate(
    runtime: Runtime, tenant_id: UUID, webhook: UUID, overlap: float, actor: Actor
) -> str:
    """A new secret, shown this once; the one before it signs too for `overlap` seconds.

    Two sign at most: any older one ends now.
    """
    secret = new_secret()
    async with runtime.database.transaction() as session:
        _found(await endpoints.get(session, tenant_id, webhook, hold=True))
        now = await clock(session)
        await endpoints.expire_secrets(session, webhook, now + timedelta(seconds=overlap))
        await _add_secret(runtime, session, tenant_id, webhook, secret, now)
        detail = {"overlap": overlap}
        await audit.record(session, actor, tenant_id, "webhook.rotate", _target(webhook), detail)
    return secret


async def remove(runtime: Runtime, tenant_id: UUID, webhook: UUID, actor: Actor) -> None:
    """Delete a webhook; what waits for it is not sent."""
    async with runtime.database.transaction() as session:
        if not await endpoints.remove(session, tenant_id, webhook):
            raise _not_found()
        await audit.record(session, actor, tenant_id, "webhook.remove", _target(webhook))


async def page(
    runtime: Runtime,
    tenant_id: UUID,
    webhook: UUID,
    *,
    state: str | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Deliveries of one webhook, the newest first."""
    at, event = before or (None, None)
    values = {"webhook": webhook, "tenant": tenant_id, "state": state, "limit": limit}
    async with runtime.database.autocommit() as session:
        _found(await endpoints.get(session, tenant_id, webhook))
        return await deliveries.page(session, values | {"at": at, "event": event})


async def attempts(
    runtime: Runtime,
    tenant_id: UUID,
    webhook: UUID,
    *,
    event: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """What was tried on one webhook, the newest first."""
    values = {"webhook": webhook, "tenant": tenant_id, "event": event, "limit": limit}
    async with runtime.database.autocommit() as session:
        _found(await endpoints.get(session, tenant_id, webhook))
        return await deliveries.attempts(session, values | {"before": before or LAST})


async def tries(
    runtime: Runtime, tenant_id: UUID, webhook: UUID, events: Sequence[str], *, limit: int = 1_000
) -> list[dict[str, Any]]:
    """What was tried on one webhook for these events, the newest first."""
    values = {"webhook": webhook, "tenant": tenant_id, "events": list(events), "limit": limit}
    async with runtime.database.autocommit() as session:
        return await deliveries.tries(session, values)


async def resend(
    runtime: Runtime, tenant_id: UUID, webhook: UUID, event: str, actor: Actor
) -> None:
    """Make a delivery again, by hand. Raises NotFound when there is none to be made."""
    async with runtime.database.transaction() as session:
        _found(await endpoints.get(session, tenant_id, webhook))
        if not await deliveries.resend(session, tenant_id, webhook, event):
            raise NotFound("delivery_not_found", "there is no such delivery, or it is under way")
        detail = {"event": event}
        await audit.record(session, actor, tenant_id, "webhook.resend", _target(webhook), detail)
    runtime.queue.enqueue(DELIVER, [webhook])


def _found(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise _not_found()
    return endpoint


def _not_found() -> NotFound:
    return NotFound("webhook_not_found", "there is no such webhook")


def _target(webhook: UUID) -> str:
    return f"webhook:{webhook}"
