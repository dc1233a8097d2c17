"""Payload previews: what a phone would get, its size, and what its library makes of it."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape

from app.calls import service as calls
from app.cli.base import err, fail, group, out, with_runtime
from app.core.payload import (
    DEFAULT_PROFILE,
    PROFILES,
    SAMPLE_TOKEN,
    TOKEN_ROOM,
    VOIP_LIMIT,
    PayloadError,
    RingFacts,
    check_template,
    headers,
    problems,
    ring_payload,
    sample_facts,
    template_advice,
)
from app.infra import clock
from app.infra.errors import NotFound
from app.infra.runtime import Runtime
from app.push import store
from app.push.preparing import ring_facts
from app.tenants import service as tenants

payload_app = group("payload", "Payloads: what a push carries, for each client library.")


@payload_app.command("profiles")
def profiles() -> None:
    """List the payload profiles; set one per bundle id with PUT /v1/settings."""
    for name in PROFILES:
        out.print(name)


@payload_app.command("preview")
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
) -> None:
    """Show the payload of a ring, of a made-up call or a real one, its headers and its size."""
    if profile not in PROFILES:
        fail(f"there is no profile {profile!r}; known are {', '.join(PROFILES)}")
    if profile == "custom" and template is None:
        fail("the custom profile needs --template FILE")
    if call is not None and tenant is None:
        fail("a call belongs to a tenant: add --tenant NAME")
    try:
        chosen = check_template(template.read_text()) if template is not None else None
        if call is None:
            facts = sample_facts(int(clock.unix() * 1000))
        else:
            facts = with_runtime(_reader(str(tenant), call))
        prepared = ring_payload(profile, facts, chosen)
    except PayloadError as error:
        fail(str(error))
    body = prepared.for_token(SAMPLE_TOKEN)
    for name, value in headers("voip", app_id, apns_id=facts.uuid).items():
        out.print(f"{name}: {value}")
    out.print()
    out.print_json(json.dumps(json.loads(body)))
    out.print(f"\n{len(body):,} of {VOIP_LIMIT:,} bytes; room for a call token: {TOKEN_ROOM}")
    if prepared.trimmed:
        out.print(f"[yellow]cut to fit:[/] {', '.join(prepared.trimmed)}")
    for sentence in template_advice(chosen) if chosen is not None else ():
        err.print(f"[yellow]{escape(sentence)}[/]")
    for problem in problems(profile, body):
        err.print(f"[red]{problem.outcome}[/] {problem.path}: {escape(problem.sentence)}")


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
        return ring_facts(ring, ring["call"], runtime.settings.public_url)

    return work
