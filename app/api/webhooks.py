"""HTTP: webhooks (an API key with the scope `webhooks`)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.api.models import says
from app.api.models.webhooks import (
    AttemptsOut,
    DeliveriesOut,
    NewSecretOut,
    NewWebhookOut,
    ResentOut,
    WebhookOut,
    WebhooksOut,
)
from app.api.paging import Cursor, place, row_place
from app.core.cursor import cursor_of
from app.core.event import rfc3339
from app.http.acting import actor_of, runtime_of
from app.http.auth import server_with
from app.http.encoded_slashes import segment
from app.infra.db import Row
from app.infra.fields import RowId, Text, WholeText, Within
from app.tenants.caller import Caller
from app.webhooks import service as webhook
from app.webhooks.endpoints import Endpoint
from app.webhooks.schemas import ChangeIn, RotateIn, WebhookIn

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
MOST = 200
EventId = Annotated[Text, Path(max_length=100)]


Admin = Annotated[Caller, Depends(server_with("webhooks"))]
Limit = Annotated[WholeText, Within(1, MOST, "invalid_field"), Query()]


@router.post("", status_code=201, **says("create_webhook", NewWebhookOut))
async def create(body: WebhookIn, request: Request, caller: Admin) -> dict[str, Any]:
    """A new webhook. Its `secret` is shown this once."""
    row, secret = await webhook.create(
        runtime_of(request),
        caller.tenant_id,
        body.url,
        body.events,
        body.description,
        actor_of(request, caller),
    )
    return webhook_out(row) | {"secret": secret}


@router.get("", **says("list_webhooks", WebhooksOut))
async def every(request: Request, caller: Admin) -> dict[str, Any]:
    """Every webhook of the tenant."""
    rows = await webhook.every(runtime_of(request), caller.tenant_id)
    return {"webhooks": [webhook_out(row) for row in rows]}


@router.get("/{webhook_id}", **says("read_webhook", WebhookOut))
async def read(webhook_id: RowId, request: Request, caller: Admin) -> dict[str, Any]:
    """One webhook, and how it does."""
    return webhook_out(await webhook.get(runtime_of(request), caller.tenant_id, webhook_id))


@router.patch("/{webhook_id}", **says("change_webhook", WebhookOut))
async def change(
    webhook_id: RowId, body: ChangeIn, request: Request, caller: Admin
) -> dict[str, Any]:
    """Change a webhook, turn it off, or on again."""
    actor = actor_of(request, caller)
    row = await webhook.change(
        runtime_of(request), caller.tenant_id, webhook_id, body.changes(), actor
    )
    return webhook_out(row)


@router.delete("/{webhook_id}", status_code=204, operation_id="delete_webhook")
async def remove(webhook_id: RowId, request: Request, caller: Admin) -> Response:
    """Delete a webhook; what waits for it is not sent."""
    actor = actor_of(request, caller)
    await webhook.remove(runtime_of(request), caller.tenant_id, webhook_id, actor)
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate", **says("rotate_webhook_secret", NewSecretOut))
async def rotate(
    webhook_id: RowId, request: Request, caller: Admin, body: RotateIn | None = None
) -> dict[str, Any]:
    """A new secret, shown this once. The old one signs too for a while: two signatures."""
    overlap = (body or RotateIn()).overlap
    actor = actor_of(request, caller)
    secret = await webhook.rotate(runtime_of(request), caller.tenant_id, webhook_id, overlap, actor)
    return {"id": str(webhook_id), "secret": secret, "overlap": overlap}


@router.get("/{webhook_id}/deliveries", **says("list_deliveries", DeliveriesOut))
async def deliveries(
    webhook_id: RowId,
    request: Request,
    caller: Admin,
    state: Literal["pending", "sending", "delivered", "failed"] | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """What was sent to a webhook, or waits to be, the newest first."""
    of = ("deliveries", caller.tenant_id, webhook_id)
    rows = await webhook.page(
        runtime_of(request),
        caller.tenant_id,
        webhook_id,
        state=state,
        before=place(cursor, *of),
        limit=limit,
    )
    last = rows[-1] if len(rows) == limit else None
    return {
        "deliveries": [_delivery_out(row) for row in rows],
        "next_cursor": cursor_of(last["created_at"], last["event_id"], *of) if last else None,
    }


@router.get("/{webhook_id}/attempts", **says("list_attempts", AttemptsOut))
async def attempts(
    webhook_id: RowId,
    request: Request,
    caller: Admin,
    event_id: Annotated[Text | None, Query(max_length=100)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """Every try, with the beginning of what the endpoint answered, the newest first."""
    of = ("attempts", caller.tenant_id, webhook_id)
    begins = row_place(cursor, *of)
    rows = await webhook.attempts(
        runtime_of(request),
        caller.tenant_id,
        webhook_id,
        event=event_id,
        before=None if begins is None else begins[1],
        limit=limit,
    )
    last = rows[-1] if len(rows) == limit else None
    return {
        "attempts": [_attempt_out(row) for row in rows],
        "next_cursor": cursor_of(last["started_at"], str(last["id"]), *of) if last else None,
    }


@router.post(
    f"/{{webhook_id}}/deliveries/{segment('event_id')}/resend",
    status_code=202,
    **says("resend_delivery", ResentOut),
)
async def resend(
    webhook_id: RowId, event_id: EventId, request: Request, caller: Admin
) -> dict[str, Any]:
    """Send an event once more, whatever came of it before."""
    actor = actor_of(request, caller)
    await webhook.resend(runtime_of(request), caller.tenant_id, webhook_id, event_id, actor)
    return {"event_id": event_id, "state": "pending"}


def _time(at: datetime | None) -> str | None:
    return rfc3339(at) if at is not None else None


def webhook_out(one: Endpoint) -> dict[str, Any]:
    """A webhook as clients read it."""
    return {
        "id": str(one.id),
        "url": one.url,
        "events": one.events,
        "description": one.description,
        "state": one.state,
        "disabled_at": _time(one.disabled_at),
        "disabled_reason": one.disabled_reason,
        "failures": one.failures,
        "failing_since": _time(one.failing_since),
        "succeeded_at": _time(one.succeeded_at),
        "created_at": _time(one.created_at),
    }


def _delivery_out(row: Row) -> dict[str, Any]:
    return {
        "event_id": row["event_id"],
        "type": row["type"],
        "session_id": str(row["session_id"]) if row["session_id"] else None,
        "seq": row["seq"],
        "state": row["state"],
        "attempts": row["attempts"],
        "status": row["status"],
        "error": row["error"],
        "created_at": _time(row["created_at"]),
        "due_at": _time(row["due_at"]) if row["state"] == "pending" else None,
        "finished_at": _time(row["finished_at"]),
    }


def _attempt_out(row: Row) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "event_id": row["event_id"],
        "started_at": _time(row["started_at"]),
        "finished_at": _time(row["finished_at"]),
        "status": row["status"],
        "error": row["error"],
        "answer": row["answer"],
    }
