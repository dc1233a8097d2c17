"""Pages: a tenant's settings: API keys, calls and their times, payloads, webhooks, audit log."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData

from app.audit import log as audit
from app.core import rate_limits
from app.core.app_id import app_id_of
from app.core.limits import BOUNDS, CallLimits
from app.core.numerals import whole_of
from app.core.payload import ANDROID_PROFILES, PROFILES, Profile, TemplateError, check_template
from app.core.text import clean_name
from app.credentials import service as credentials
from app.dashboard.access import Operator, TenantPage, Viewer, fields_of, number_of, text_of
from app.dashboard.once import once
from app.dashboard.pages import BASE, PageRoute, moved, render
from app.dashboard.previewing import ANDROID, preview
from app.http.problems import sentence_of
from app.infra.errors import AppError, Invalid
from app.infra.fields import AppId, CallType, RowId, Text
from app.tenants import api_keys, signing_secrets
from app.tenants import service as tenants
from app.tenants.schemas import TenantSettings
from app.tenants.scopes import SCOPES

router = APIRouter(
    prefix=BASE + "/t/{tenant_id}/settings", route_class=PageRoute, include_in_schema=False
)
APP_ID: TypeAdapter[str] = TypeAdapter(AppId)
CALL_TYPE: TypeAdapter[str] = TypeAdapter(CallType)
PROFILE: TypeAdapter[Profile] = TypeAdapter(Profile)
MOST_REVOKED = 20
"""Revoked keys that are shown: the newest."""
TOKEN_RULES = ("longest_life", "issuer", "audience", "jwks_url", "jwks")
SWITCHES = (
    "users_may_ring",
    "users_may_set_handles",
    "urgent_allowed",
    "tell_suppressed",
    "store_and_forward",
    "voip_stops",
    "presence",
    "end_unreachable",
)


@router.get("")
async def keys_page(request: Request, place: Viewer) -> Response:
    """API keys and signing secrets."""
    return await _keys(request, place)


async def _keys(
    request: Request, place: TenantPage, *, status: int = 200, **values: Any
) -> Response:
    rows = await api_keys.every(place.runtime, place.id)
    live = [row for row in rows if row["revoked_at"] is None]
    rows, older = rows[: len(live) + MOST_REVOKED], max(0, len(rows) - len(live) - MOST_REVOKED)
    secrets = await signing_secrets.every(place.runtime, place.id)
    known = {
        "rows": rows,
        "older": older,
        "scopes": SCOPES,
        "made": None,
        "problem": None,
        "tab": "",
    }
    known |= {"secrets": secrets, "made_secret": None, "rules": _rules(place.settings)}
    return render(request, "settings_keys.html", status=status, **(known | values))


def _rules(settings: TenantSettings) -> dict[str, str]:
    """What user tokens must say, as the form has it."""
    rules = settings.user_tokens
    keys = b"" if rules.jwks is None else orjson.dumps(rules.jwks, option=orjson.OPT_INDENT_2)
    shown = {name: getattr(rules, name) or "" for name in TOKEN_RULES}
    life = "" if rules.longest_life is None else f"{rules.longest_life:g}"
    return shown | {"longest_life": life, "jwks": keys.decode()}


@router.post("/keys")
@once
async def add_key(request: Request, place: Operator) -> Response:
    """Make a key; the page shows it, this once."""
    form = await fields_of(request)
    name = text_of(form, "name")
    scopes = [str(one) for one in form.getlist("scope") if one in SCOPES]
    if not clean_name(name):
        return await _keys(request, place, status=422, problem="Say what the key is for.")
    if not scopes and not text_of(form, "all"):
        return await _keys(request, place, status=422, problem="Choose what the key may do.")
    wanted = ["*"] if text_of(form, "all") else scopes
    try:
        key = await tenants.add_key(place.runtime, place.id, name, wanted, actor=place.actor)
    except Invalid as error:
        return await _keys(request, place, status=422, problem=error.detail)
    return await _keys(request, place, made=key)


@router.post("/keys/{key_id}/revoke")
async def revoke_key(place: Operator, key_id: RowId) -> Response:
    """Revoke a key; the page has asked whether the last one is meant."""
    await api_keys.revoke(place.runtime, place.id, key_id, confirm=True, actor=place.actor)
    return moved(f"{place.path}/settings", "key_revoked")


@router.post("/secrets")
@once
async def add_secret(request: Request, place: Operator) -> Response:
    """Make another signing secret; the page shows it, this once."""
    try:
        made = await signing_secrets.rotate(place.runtime, place.id, actor=place.actor)
    except AppError as error:
        return await _keys(request, place, status=error.status, problem=error.detail)
    return await _keys(request, place, made_secret=made)


@router.post("/secrets/{kid}/revoke")
async def revoke_secret(place: Operator, kid: Text) -> Response:
    """Revoke a signing secret; the page has asked whether the last one is meant."""
    await signing_secrets.revoke(place.runtime, place.id, kid, confirm=True, actor=place.actor)
    return moved(f"{place.path}/settings", "secret_revoked")


@router.post("/tokens")
async def change_token_rules(request: Request, place: Operator) -> Response:
    """Save what user tokens must say. An empty field asks for nothing."""
    form = await fields_of(request)
    values: dict[str, Any] = {name: text_of(form, name) for name in TOKEN_RULES}
    rules: dict[str, Any] = {name: value for name, value in values.items() if value}
    try:
        if "jwks" in rules:
            rules["jwks"] = orjson.loads(rules["jwks"])
        if "longest_life" in rules:
            rules["longest_life"] = number_of("longest_life", rules["longest_life"])
        settings = TenantSettings.model_validate(
            place.settings.model_dump() | {"user_tokens": rules}
        )
        await tenants.change_settings(place.runtime, place.id, settings, actor=place.actor)
    except orjson.JSONDecodeError:
        return await _keys(request, place, status=422, problem="jwks: not JSON.", rules=values)
    except ValidationError as error:
        return await _keys(request, place, status=422, problem=sentence_of(error), rules=values)
    except AppError as error:
        return await _keys(request, place, status=error.status, problem=error.detail, rules=values)
    return moved(f"{place.path}/settings", "token_rules_saved")


@router.get("/calls")
async def calls_page(request: Request, place: Viewer) -> Response:
    """Call types, their times, and what users and pushes may do."""
    return await _calls(request, place, None)


@router.post("/ringing")
async def switch_ringing(request: Request, place: Operator) -> Response:
    """The emergency switch."""
    stopped = bool(text_of(await fields_of(request), "stopped"))
    await tenants.stop_ringing(place.runtime, place.id, stopped=stopped, actor=place.actor)
    done = "ringing_stopped" if stopped else "ringing_resumed"
    return moved(f"{place.path}/settings/calls", done)


async def _calls(request: Request, place: TenantPage, problem: str | None) -> Response:
    return render(
        request, "settings_calls.html", status=422 if problem else 200,
        settings=place.settings, defaults=CallLimits(), bounds=BOUNDS, problem=problem,
        rates=rate_limits.DEFAULTS, types=_types(place.settings),
        tab="/calls", stopped_at=await tenants.ringing_stopped_at(place.runtime, place.id),
    )  # fmt: skip


@router.post("/calls")
async def change_calls(request: Request, place: Operator) -> Response:
    """Save limits, call types and switches. An empty field means the default."""
    form = await fields_of(request)
    values = place.settings.model_dump()
    try:
        values["limits"] = _limits(form, "", place.settings.limits)
        before = place.settings.call_types
        kept = [name for name in _types(place.settings) if not text_of(form, f"drop.{name}")]
        types = {name: _limits(form, f"{name}.", before.get(name, {})) for name in kept}
        values["busy_call_types"] = {
            name: said for name in kept if (said := text_of(form, f"{name}.when_busy"))
        }
        if new := text_of(form, "new_type"):
            types.setdefault(CALL_TYPE.validate_python(new), {})
        values["call_types"] = types
        values["rate_limits"] = _rates(form, place.settings.rate_limits)
        values |= {name: bool(text_of(form, name)) for name in SWITCHES}
        values["decline_reach"] = text_of(form, "decline_reach") or "user"
        values["when_busy"] = text_of(form, "when_busy") or "ring"
        for name in ("keep_events_days", "keep_calls_days"):
            said = text_of(form, name)
            values[name] = number_of(name, said) if said else getattr(TenantSettings(), name)
        settings = TenantSettings.model_validate(values)
    except ValidationError as error:
        return await _calls(request, place, sentence_of(error))
    except (ValueError, AppError) as error:
        return await _calls(request, place, str(error))
    await tenants.change_settings(place.runtime, place.id, settings, actor=place.actor)
    return moved(f"{place.path}/settings/calls", "settings_saved")


def _types(settings: TenantSettings) -> list[str]:
    """Call types of which something special is said."""
    return sorted({*settings.call_types, *settings.busy_call_types})


def _limits(form: FormData, prefix: str, before: Mapping[str, float]) -> dict[str, float]:
    """What the form says; a limit that it does not ask for stays as it is."""
    found = {name: value for name, value in before.items() if prefix + name not in form}
    for name in BOUNDS:
        if value := text_of(form, prefix + name):
            found[name] = number_of(prefix + name, value)
    return found


def _rates(form: FormData, before: Mapping[str, int]) -> dict[str, int]:
    """The rate limits that the form sets; one that it does not ask for stays as it is."""
    found = {name: value for name, value in before.items() if name not in form}
    for name in rate_limits.NAMES:
        if value := text_of(form, name):
            number = whole_of(value)
            if number is None:
                raise Invalid("invalid_limit", f"{name}: {value!r} is not a whole number.")
            found[name] = number
    return found


@router.get("/payload")
async def payload_page(
    request: Request, place: Viewer, app_id: Text = "", profile: Text = ""
) -> Response:
    """Which payload each app gets, and what a profile makes of a ring."""
    return await _payload(request, place, app_id=app_id, profile=profile, template=None)


async def _payload(
    request: Request,
    place: TenantPage,
    *,
    app_id: str,
    profile: str,
    template: str | None,
    problem: str | None = None,
) -> Response:
    settings = place.settings
    rows = await credentials.list_all(place.runtime, place.id)
    apps = sorted(
        {row.app_id for row in rows} | set(settings.profiles) | set(settings.android_profiles)
    )
    app_id = app_id_of(app_id) or app_id or (apps[0] if apps else "")
    profile = profile or settings.profiles.get(app_id, "ringline")
    if template is None:
        stored = settings.templates.get(app_id)
        template = orjson.dumps(stored or EXAMPLE, option=orjson.OPT_INDENT_2).decode()
    shown = preview(profile, template, place.runtime.settings.public_url)
    return render(
        request, "settings_payload.html", status=422 if problem else 200,
        apps=apps, app_id=app_id, profile=profile, profiles=PROFILES, source=template,
        android_profiles=ANDROID_PROFILES,
        shown=shown, settings=settings, problem=problem, tab="/payload",
        part=bool(request.headers.get("x-ringline-part")),
    )  # fmt: skip


EXAMPLE = {"aps": {}, "id": "{{uuid}}", "from": "{{caller_label}}", "token": "{{token}}"}


@router.post("/payload/preview")
async def preview_payload(request: Request, place: Operator) -> Response:
    """The preview of what was typed, saved or not: a part of the page, or all of it."""
    form = await fields_of(request)
    return await _payload(
        request, place, app_id=text_of(form, "app_id"), profile=text_of(form, "profile"),
        template=text_of(form, "template"),
    )  # fmt: skip


@router.post("/payload")
async def change_payload(request: Request, place: Operator) -> Response:
    """Save the payload profile of an app."""
    form = await fields_of(request)
    app_id, profile = text_of(form, "app_id"), text_of(form, "profile")
    template = text_of(form, "template")
    settings = place.settings
    try:
        app_id = APP_ID.validate_python(app_id)
        if profile.startswith(ANDROID):
            newer = bool(text_of(form, "android_v2"))
            name = profile.removeprefix(ANDROID)
            changed, kept = _with_android(settings, app_id, name, newer=newer)
        else:
            changed, kept = _with_profile(settings, app_id, profile, template)
    except (TemplateError, ValidationError) as error:
        problem = sentence_of(error) if isinstance(error, ValidationError) else str(error)
        return await _payload(
            request, place, app_id=app_id, profile=profile, template=template,
            problem=problem,
        )  # fmt: skip
    await tenants.change_settings(place.runtime, place.id, changed, actor=place.actor)
    done = "profile_saved" if kept else "profile_removed"
    shown = f"&profile={profile}" if profile.startswith(ANDROID) else ""
    return moved(f"{place.path}/settings/payload?app_id={app_id}{shown}", done)


def _with_profile(
    settings: TenantSettings, app_id: str, profile: str, template: str
) -> tuple[TenantSettings, bool]:
    """The settings with an app's profile, and whether it is other than the default."""
    PROFILE.validate_python(profile)
    profiles, templates = dict(settings.profiles), dict(settings.templates)
    profiles.pop(app_id, None)
    templates.pop(app_id, None)
    if profile == "custom":
        check_template(template)
        templates[app_id] = json.loads(template)
    if profile != "ringline":
        profiles[app_id] = profile
    values = settings.model_dump() | {"profiles": profiles, "templates": templates}
    return TenantSettings.model_validate(values), app_id in profiles


def _with_android(
    settings: TenantSettings, app_id: str, profile: str, *, newer: bool
) -> tuple[TenantSettings, bool]:
    """The same for a package's; `newer`: it is sent `android_v2`."""
    profiles = dict(settings.android_profiles)
    profiles.pop(app_id, None)
    if profile != "ringline":
        profiles[app_id] = profile
    packages = [one for one in settings.android_v2 if one != app_id] + [app_id] * newer
    values = settings.model_dump() | {"android_profiles": profiles, "android_v2": packages}
    return TenantSettings.model_validate(values), app_id in profiles or newer


LINES = 50
"""Of the audit log, on a page."""


@router.get("/audit")
async def audit_page(request: Request, place: Viewer, before: RowId | None = None) -> Response:
    """Who did what, when and from where."""
    found = await audit.page(place.runtime, place.id, before=before, limit=LINES + 1)
    lines = found[:LINES]
    older = lines[-1]["id"] if len(found) > LINES else None
    return render(request, "settings_audit.html", lines=lines, older=older, tab="/audit")
