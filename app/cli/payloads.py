"""Payload previews: what a phone would get, its size, and what its library makes of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.highlighter import JSONHighlighter
from rich.markup import escape

from app.calls import service as calls
from app.cli.answers import answer, command, in_json
from app.cli.base import err, fail, group, out, with_runtime
from app.cli.files import text_in
from app.core.language import language_tag
from app.core.nearest import nearest
from app.core.payload import (
    ANDROID_PROFILES,
    DEFAULT_PROFILE,
    OTHER_LIMIT,
    PROFILES,
    SAMPLE_TOKEN,
    TOKEN_ROOM,
    VOIP_LIMIT,
    WEB_LIMIT,
    PayloadError,
    Prepared,
    RingFacts,
    Template,
    alert_bodies,
    android_problems,
    android_ring,
    check_alert,
    check_template,
    headers,
    problems,
    ring_payload,
    sample_facts,
    template_advice,
    web_payload,
)
from app.infra import clock
from app.infra.errors import NotFound
from app.infra.runtime import Runtime
from app.push import store
from app.push.preparing import ring_facts
from app.tenants import service as tenants
from app.tenants.notifications import NotificationEvent, NotificationIn

_TITLES = {"apns": "Apple, to the alert token:", "fcm": "Google:", "webpush": "Browsers:"}
payload_app = group("payload", "Payloads: what a push carries, for each client library.")


@command(payload_app, "profiles")
def profiles() -> None:
    """List the payload profiles; set one per app with PUT /v1/settings."""
    android = [
        f"{name} (also for Android)" if name in ANDROID_PROFILES else name for name in PROFILES
    ]
    answer(list(PROFILES), "\n".join(android))


@command(payload_app, "preview")
def preview(
    profile: Annotated[str, typer.Option(help="One of `ringline payload profiles`.")] = (
        DEFAULT_PROFILE
    ),
    template: Annotated[
        Path | None, typer.Option(exists=True, help="A JSON template, for profile `custom`.")
    ] = None,
    call: Annotated[str | None, typer.Option(help="A real call: its cid or id.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant of that call.")] = None,
    app_id: Annotated[str, typer.Option(help="For the headers.")] = "com.example.app",
    android: Annotated[bool, typer.Option(help="The data of an FCM message instead.")] = False,
    webpush: Annotated[bool, typer.Option(help="What a browser is shown instead.")] = False,
) -> None:
    """Show the payload of a ring, of a made-up call or a real one, its headers and its size."""
    if android:
        _preview_android(profile, call, tenant)
        return
    if webpush:
        _preview_web(call, tenant)
        return
    facts, chosen, prepared = _prepared(profile, template, call, tenant)
    body = prepared.for_token(SAMPLE_TOKEN)
    sent = headers("voip", app_id, apns_id=facts.uuid)
    advice = list(template_advice(chosen)) if chosen is not None else []
    found = problems(profile, body)

    def human() -> None:
        for name, value in sent.items():
            out.print(f"{name}: {value}", soft_wrap=True)
        out.print()
        _show(body, VOIP_LIMIT, prepared)
        for sentence in advice:
            err.print(f"[yellow]{escape(sentence)}[/]")
        for problem in found:
            err.print(f"[red]{problem.outcome}[/] {problem.path}: {escape(problem.sentence)}")

    data = {"headers": sent, "payload": json.loads(body), "bytes": len(body), "most": VOIP_LIMIT}
    data |= {"trimmed": list(prepared.trimmed), "advice": advice}
    data["problems"] = [
        {"outcome": one.outcome, "path": one.path, "sentence": one.sentence} for one in found
    ]
    answer(data, human)


def _preview_android(profile: str, call: str | None, tenant: str | None) -> None:
    try:
        prepared = android_ring(profile, _facts(call, tenant))
    except PayloadError as error:
        fail(f"{error}; known are {', '.join(ANDROID_PROFILES)}")
    body = prepared.for_token(SAMPLE_TOKEN)
    found = android_problems(profile, body)

    def human() -> None:
        _show(body, OTHER_LIMIT, prepared)
        for problem in found:
            err.print(f"[red]{problem.outcome}[/] {problem.path}: {escape(problem.sentence)}")

    data = {"data": json.loads(body), "bytes": len(body), "most": OTHER_LIMIT}
    data |= {"trimmed": list(prepared.trimmed)}
    data["problems"] = [
        {"outcome": one.outcome, "path": one.path, "sentence": one.sentence} for one in found
    ]
    answer(data, human)


def _preview_web(call: str | None, tenant: str | None) -> None:
    prepared = web_payload("ring", None, _facts(call, tenant))
    body = prepared.for_token(SAMPLE_TOKEN)
    data = {"payload": json.loads(body), "bytes": len(body), "most": WEB_LIMIT}
    answer(data | {"trimmed": list(prepared.trimmed)}, lambda: _show(body, WEB_LIMIT, prepared))


def _show(body: bytes, most: int, prepared: Prepared) -> None:
    out.print(JSONHighlighter()(in_json(json.loads(body))), soft_wrap=True)
    out.print(f"\n{len(body):,} of {most:,} bytes; room for a call token: {TOKEN_ROOM}")
    if prepared.trimmed:
        out.print(f"[yellow]cut to fit:[/] {', '.join(prepared.trimmed)}")


@command(payload_app, "notification")
def notification(
    texts: Annotated[Path, typer.Argument(exists=True, help="JSON, as a call type's settings.")],
    event: Annotated[NotificationEvent, typer.Option(help="What has happened.")] = "missed",
    call: Annotated[str | None, typer.Option(help="A real call: its cid or id.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant of that call.")] = None,
    locale: Annotated[str | None, typer.Option(help="A device's language: de-CH.")] = None,
) -> None:
    """Show what a notification would be, for each service, and whether it may be saved."""
    language = None if locale is None else language_tag(locale)
    if locale is not None and language is None:
        fail(f"{locale} is no language tag such as de-CH")
    try:
        said = NotificationIn.model_validate_json(text_in(texts)).in_language(language)
        check_alert(event, said)
    except ValidationError as error:
        first = error.errors()[0]
        fail(f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": "))
    except PayloadError as error:
        fail(str(error))
    facts = replace(_facts(call, tenant), badge=3 if event == "missed" else None)
    bodies = alert_bodies(event, said, facts, SAMPLE_TOKEN)

    def human() -> None:
        for service, body in bodies.items():
            out.print(_TITLES[service])
            out.print(JSONHighlighter()(in_json(json.loads(body))), soft_wrap=True)
            most = WEB_LIMIT if service == "webpush" else OTHER_LIMIT
            out.print(f"{len(body):,} of {most:,} bytes\n")

    shown = {service: json.loads(body) for service, body in bodies.items()}
    answer(shown | {"most": OTHER_LIMIT}, human)


def _facts(call: str | None, tenant: str | None) -> RingFacts:
    """What is known of the ring of a real call, or of a made-up one."""
    if call is None:
        return sample_facts(int(clock.unix() * 1000))
    if tenant is None:
        fail("a call belongs to a tenant: add --tenant NAME")
    found: RingFacts = with_runtime(_reader(tenant, call))
    return found


def _prepared(
    profile: str, template: Path | None, call: str | None, tenant: str | None
) -> tuple[RingFacts, Template | None, Prepared]:
    """What is known of the ring, the checked template if any, and the payload of both."""
    if profile not in PROFILES:
        near = nearest(profile[:100], PROFILES)
        meant = f"; did you mean {near!r}?" if near else ";"
        fail(f"there is no profile {profile!r}{meant} known are {', '.join(PROFILES)}")
    if profile == "custom" and template is None:
        fail("the custom profile needs --template FILE")
    try:
        chosen = check_template(text_in(template)) if template is not None else None
        facts = _facts(call, tenant)
        return facts, chosen, ring_payload(profile, facts, chosen)
    except PayloadError as error:
        fail(str(error))


def _reader(tenant: str, reference: str) -> Any:
    async def work(runtime: Runtime) -> RingFacts:
        tenant_id = await tenants.find(runtime, tenant)
        seen = await calls.read(runtime, tenant_id, reference)
        rings: list[UUID] = [m.ring.uuid for m in seen.call.members.values() if m.ring is not None]
        if not rings:
            raise NotFound("nothing_rung", "nobody was rung in this call")
        async with runtime.database.autocommit() as session:
            ring = await store.facts(session, rings[0])
        assert ring is not None
        return ring_facts(ring, ring.call, runtime.settings.public_url)

    return work
