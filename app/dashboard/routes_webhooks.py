"""Pages: webhooks, their deliveries and attempts, re-sending, secrets."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from app.core.cursor import cursor_of, place_of
from app.dashboard.access import Operator, TenantPage, Viewer, fields_of, text_of
from app.dashboard.once import once
from app.dashboard.pages import BASE, PageRoute, moved, render
from app.http.problems import sentence_of
from app.infra.errors import AppError
from app.infra.fields import RowId, Text
from app.webhooks import service as webhook
from app.webhooks.endpoints import Endpoint
from app.webhooks.schemas import LONGEST_OVERLAP, WebhookIn

router = APIRouter(
    prefix=BASE + "/t/{tenant_id}/settings/webhooks", route_class=PageRoute, include_in_schema=False
)
OVERLAP = 86_400.0
ON_A_PAGE = 50
CONDITIONS = {
    "off": ("bad", "Off"),
    "never": ("bad", "No such event"),
    "failing": ("bad", "Fails"),
    "behind": ("warn", "Behind"),
    "working": ("good", "Working"),
    "unused": ("plain", "Nothing sent yet"),
}
"""How a webhook stands, as a tag of the page: (kind, words)."""


@router.get("")
async def list_page(request: Request, place: Viewer) -> Response:
    """Endpoints of the tenant's backend."""
    return await _list(request, place)


async def _list(request: Request, place: TenantPage, *, status: int = 200, **more: Any) -> Response:
    rows = await webhook.every(place.runtime, place.id)
    tags = await _tags(place, rows)
    known = {
        "rows": rows,
        "tags": tags,
        "tab": "/webhooks",
        "problem": None,
        "secret": None,
        "url": "",
    }
    return render(request, "settings_webhooks.html", status=status, **(known | more))


async def _tags(place: TenantPage, some: Sequence[Endpoint]) -> dict[UUID, tuple[str, str]]:
    stands = await webhook.conditions(place.runtime, place.id)
    return {one.id: CONDITIONS[stands.get(one.id, "off")] for one in some}


@router.post("")
@once
async def add(request: Request, place: Operator) -> Response:
    """A new endpoint; the page shows its secret, this once."""
    form = await fields_of(request)
    url = text_of(form, "url")
    events = text_of(form, "events").replace(",", " ").split() or ["*"]
    try:
        wanted = WebhookIn(url=url, events=events, description=text_of(form, "description"))
        _, secret = await webhook.create(
            place.runtime, place.id, wanted.url, wanted.events, wanted.description, place.actor
        )
    except ValidationError as error:
        return await _list(request, place, status=422, problem=sentence_of(error), url=url)
    except AppError as error:
        return await _list(request, place, status=error.status, problem=error.detail, url=url)
    return await _list(request, place, secret=secret)


@router.get("/{webhook_id}")
async def one_page(
    request: Request, place: Viewer, webhook_id: RowId, before: Text = ""
) -> Response:
    """One endpoint, how its deliveries went, the newest first, and every try of them."""
    return await _one(request, place, webhook_id, before)


async def _one(
    request: Request, place: TenantPage, webhook_id: RowId, before: str = "", **more: Any
) -> Response:
    row = await webhook.get(place.runtime, place.id, webhook_id)
    tags = await _tags(place, [row])
    of = ("deliveries", place.id, webhook_id)
    deliveries = await webhook.page(
        place.runtime, place.id, webhook_id, before=place_of(before, *of), limit=ON_A_PAGE + 1
    )
    last = deliveries[ON_A_PAGE - 1] if len(deliveries) > ON_A_PAGE else None
    deliveries = deliveries[:ON_A_PAGE]
    events = [one["event_id"] for one in deliveries]
    attempts = await webhook.tries(place.runtime, place.id, webhook_id, events)
    tries: dict[str, list[dict[str, Any]]] = {}
    for attempt in attempts:
        tries.setdefault(attempt["event_id"], []).append(attempt)
    known: dict[str, Any] = {
        "one": row,
        "tags": tags,
        "deliveries": deliveries,
        "tries": tries,
        "before": before,
        "older": cursor_of(last["created_at"], last["event_id"], *of) if last else None,
        "secret": None,
    }
    return render(request, "settings_webhook.html", tab="/webhooks", **(known | more))


@router.post("/{webhook_id}/resend")
async def resend(request: Request, place: Operator, webhook_id: RowId) -> Response:
    """Make one delivery again."""
    event = text_of(await fields_of(request), "event")
    await webhook.resend(place.runtime, place.id, webhook_id, event, place.actor)
    return moved(f"{place.path}/settings/webhooks/{webhook_id}", "resent")


@router.post("/{webhook_id}/switch")
async def switch(request: Request, place: Operator, webhook_id: RowId) -> Response:
    """Turn an endpoint off, or on as if it were new."""
    enabled = text_of(await fields_of(request), "enabled") == "yes"
    await webhook.change(place.runtime, place.id, webhook_id, {"enabled": enabled}, place.actor)
    done = "webhook_enabled" if enabled else "webhook_off"
    return moved(f"{place.path}/settings/webhooks/{webhook_id}", done)


@router.post("/{webhook_id}/rotate")
@once
async def rotate(request: Request, place: Operator, webhook_id: RowId) -> Response:
    """A new secret, shown this once; the old one signs too for a day."""
    overlap = min(OVERLAP, LONGEST_OVERLAP)
    secret = await webhook.rotate(place.runtime, place.id, webhook_id, overlap, place.actor)
    return await _one(request, place, webhook_id, secret=secret)


@router.post("/{webhook_id}/delete")
async def remove(place: Operator, webhook_id: RowId) -> Response:
    """Delete an endpoint."""
    await webhook.remove(place.runtime, place.id, webhook_id, place.actor)
    return moved(f"{place.path}/settings/webhooks", "webhook_deleted")
