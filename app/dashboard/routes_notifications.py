"""Pages: what notifications say, for each call type and event."""

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData

from app.dashboard.access import Operator, TenantPage, Viewer, fields_of, number_of, text_of
from app.dashboard.pages import BASE, PageRoute, moved, render
from app.dashboard.previewing import NotificationPreview, preview_notification
from app.http.problems import sentence_of
from app.infra.errors import Invalid
from app.infra.fields import AppId, CallType, Text
from app.tenants import service as tenants
from app.tenants.notifications import EVENTS
from app.tenants.schemas import TenantSettings

router = APIRouter(
    prefix=BASE + "/t/{tenant_id}/settings/notifications",
    route_class=PageRoute,
    include_in_schema=False,
)
APP_ID: TypeAdapter[str] = TypeAdapter(AppId)
CALL_TYPE: TypeAdapter[str] = TypeAdapter(CallType)
EXAMPLE = {"title": "Missed call", "body": "{{caller_label}} called"}


@router.get("")
async def notifications_page(
    request: Request, place: Viewer, call_type: Text = "", event: Text = ""
) -> Response:
    """What is said of a call type's calls, and how it looks."""
    call_type, event = call_type or "default", _known(event)
    said = _said(place.settings, call_type, event)
    texts = "" if said is None else orjson.dumps(said, option=orjson.OPT_INDENT_2).decode()
    return _page(request, place, call_type, event, texts)


def _said(settings: TenantSettings, call_type: str, event: str) -> dict[str, Any] | None:
    found = settings.notifications.get(call_type)
    said = None if found is None else found.of(event)
    return None if said is None else said.model_dump(mode="json", exclude_defaults=True)


def _page(
    request: Request,
    place: TenantPage,
    call_type: str,
    event: str,
    texts: str,
    problem: str | None = None,
) -> Response:
    shown: list[NotificationPreview] = []
    try:
        if texts.strip():
            shown = preview_notification(event, texts, place.runtime.settings.public_url)
    except (ValidationError, Invalid) as error:
        problem = problem or _sentence(error)
    return render(
        request, "settings_notifications.html", status=422 if problem else 200,
        call_type=call_type, event=event, events=EVENTS, texts=texts, shown=shown,
        example=orjson.dumps(EXAMPLE, option=orjson.OPT_INDENT_2).decode(),
        known=sorted({"default", *place.settings.call_types, *place.settings.notifications}),
        settings=place.settings, problem=problem, tab="/notifications",
    )  # fmt: skip


def _sentence(error: ValidationError | Invalid) -> str:
    return error.detail if isinstance(error, Invalid) else sentence_of(error)


def _typed(form: FormData) -> tuple[str, str, str]:
    return text_of(form, "call_type"), _known(text_of(form, "event")), text_of(form, "texts")


def _known(event: str) -> str:
    return event if event in EVENTS else EVENTS[0]


@router.post("/preview")
async def preview_notifications(request: Request, place: Operator) -> Response:
    """The page with what was typed, saved or not."""
    return _page(request, place, *_typed(await fields_of(request)))


@router.post("")
async def change_notifications(request: Request, place: Operator) -> Response:
    """Save what one event of a call type says; without a word it is not sent any more."""
    form = await fields_of(request)
    call_type, event, texts = _typed(form)
    try:
        mode = "notify" if text_of(form, "mode") else "ring"
        of_type = CALL_TYPE.validate_python(call_type)
        changed = _with_texts(place.settings, of_type, event, texts, mode)
    except (ValidationError, Invalid) as error:
        return _page(request, place, call_type, event, texts, _sentence(error))
    await tenants.change_settings(place.runtime, place.id, changed, actor=place.actor)
    done = "notification_saved" if texts.strip() else "notification_removed"
    return moved(f"{place.path}/settings/notifications?call_type={call_type}&event={event}", done)


@router.post("/rings")
async def change_rings(request: Request, place: Operator) -> Response:
    """Let an app's devices without a VoIP token be rung by notifications; empty: not."""
    form = await fields_of(request)
    rings: dict[str, Any] = dict(place.settings.alert_rings)
    try:
        app_id = APP_ID.validate_python(text_of(form, "app_id"))
        rings.pop(app_id, None)
        if every := text_of(form, "every"):
            rings[app_id] = number_of("every", every)
        values = place.settings.model_dump(exclude_defaults=True) | {"alert_rings": rings}
        changed = TenantSettings.model_validate(values)
    except (ValidationError, Invalid) as error:
        return _page(request, place, "default", EVENTS[0], "", _sentence(error))
    await tenants.change_settings(place.runtime, place.id, changed, actor=place.actor)
    return moved(f"{place.path}/settings/notifications", "settings_saved")


def _with_texts(
    settings: TenantSettings, call_type: str, event: str, texts: str, mode: str
) -> TenantSettings:
    values = settings.model_dump(exclude_defaults=True)
    notifications: dict[str, Any] = values.setdefault("notifications", {})
    of_type: dict[str, Any] = notifications.pop(call_type, {})
    of_type.pop(event, None)
    of_type.pop("mode", None)
    if texts.strip():
        try:
            of_type[event] = orjson.loads(texts)  # which bounds how deep it is
        except orjson.JSONDecodeError as error:
            raise Invalid("invalid_template", f"not JSON: {error}") from error
    if mode == "notify":
        of_type["mode"] = mode
    if of_type:
        notifications[call_type] = of_type
    return TenantSettings.model_validate(values)
