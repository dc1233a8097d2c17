"""Commands for credentials, the vault that guards them, and the audit log."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from app.audit import log as audit
from app.cli.base import actor, check_key, group, now, out, settings_or_fail, with_runtime
from app.core.event import rfc3339
from app.credentials import rotation, service
from app.credentials.schemas import credential_out, understood_out
from app.devices import test_push as trial
from app.infra.db import Row
from app.infra.runtime import Runtime
from app.tenants import service as tenants

credential_app = group("credential", "Credentials: what lets us push for an app.")
vault_app = group("vault", "The vault: what rests encrypted, and under which key.")

Tenant = Annotated[str, typer.Option("--tenant", help="Name or id of the tenant.")]
File = Annotated[
    Path,
    typer.Argument(exists=True, dir_okay=False, help=".p12, PEM, .p8 or .cer, told by content."),
]
AppId = Annotated[str | None, typer.Option(help="The app; a certificate names its own.")]
KeyId = Annotated[str | None, typer.Option(help="Of a .p8; also read from AuthKey_<id>.p8.")]
TeamId = Annotated[str | None, typer.Option(help="Of a .p8: ten characters.")]
Environments = Annotated[
    list[str] | None, typer.Option("--environment", help="production, sandbox; default: both.")
]
Password = Annotated[bool, typer.Option("--password", help="Ask for the file's password.")]
Confirm = Annotated[bool, typer.Option("--confirm", help="Also if it is the app's last one.")]
KEY_FILE = re.compile(r"AuthKey_([A-Z0-9]{10})\.p8")


def _key_id(given: str | None, file: Path) -> str | None:
    named = KEY_FILE.fullmatch(file.name)
    return given or (named.group(1) if named else None)


def _password(asked: bool) -> str | None:
    return typer.prompt("Password", hide_input=True, default="") if asked else None


def _show(fields: dict[str, Any]) -> None:
    shown = {name: value for name, value in fields.items() if value not in (None, [], {})}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        out.print(f"{name:<{width}}  {escape(text)}", soft_wrap=True)


def _probe_words(row: Row) -> str:
    return ", ".join(f"{name}: {one['says']}" for name, one in (row["probe"] or {}).items())


@credential_app.command("add")
def add(
    file: File, tenant: Tenant, app_id: AppId = None, key_id: KeyId = None,
    team_id: TeamId = None, environment: Environments = None, password: Password = False,
) -> None:  # fmt: skip
    """Check a VoIP certificate or key, ask Apple about it, and store it, encrypted."""
    secret = _password(password)

    async def work(runtime: Runtime) -> Row:
        tenant_id = await tenants.find(runtime, tenant)
        return await service.add(
            runtime, tenant_id, app_id, file.read_bytes(), secret,
            key_id=_key_id(key_id, file), team_id=team_id, environments=environment, actor=actor(),
        )  # fmt: skip

    row = with_runtime(work)
    out.print(
        f"Stored for [bold]{row['app_id']}[/]: {row['state']}. Apple says: {_probe_words(row)}."
    )
    _show(credential_out(row, now()) | {"probe": None})


@credential_app.command("preview")
def preview(
    file: File, tenant: Tenant, app_id: AppId = None, key_id: KeyId = None,
    team_id: TeamId = None, password: Password = False,
) -> None:  # fmt: skip
    """Say what a file is, and store nothing."""
    secret = _password(password)

    async def work(runtime: Runtime) -> Any:
        tenant_id = await tenants.find(runtime, tenant)
        return await service.preview(
            runtime, tenant_id, app_id, file.read_bytes(), secret,
            key_id=_key_id(key_id, file), team_id=team_id,
        )  # fmt: skip

    understood, key_is_here = with_runtime(work)
    _show(understood_out(understood, now(), key_is_here=key_is_here))


@credential_app.command("request")
def request(
    app_id: Annotated[str, typer.Argument(help="com.example.app")],
    tenant: Tenant,
    to: Annotated[Path, typer.Option("--out", help="Where the request goes.")] = Path(
        "voip.certSigningRequest"
    ),
) -> None:
    """Make a key that never leaves, and the signing request for Apple's portal."""

    async def work(runtime: Runtime) -> Row:
        tenant_id = await tenants.find(runtime, tenant)
        return await service.request(runtime, tenant_id, app_id, actor=actor())

    row = with_runtime(work)
    to.write_text(row["request"])
    out.print(
        f"Wrote [bold]{escape(str(to))}[/]. At developer.apple.com, Certificates, +, choose\n"
        "“VoIP Services Certificate”, the app, and this file; download the .cer; then\n"
        f"ringline credential add FILE.cer --tenant {escape(tenant)}\n"
        "The key stays in the vault; the .cer finds it."
    )


@credential_app.command("list")
def list_all(tenant: Tenant, app_id: AppId = None) -> None:
    """List credentials with their state, health and days left."""

    async def work(runtime: Runtime) -> Any:
        return await service.list_all(runtime, await tenants.find(runtime, tenant), app_id)

    table = Table("Id", "App", "Kind", "State", "Health", "Days", "Apple says", box=None)
    for row in with_runtime(work):
        shown = credential_out(row, now())
        days = "" if shown["days_left"] is None else str(shown["days_left"])
        table.add_row(
            shown["id"], shown["app_id"], shown["kind"], shown["state"], shown["health"], days,
            escape(_probe_words(row)),
        )  # fmt: skip
    out.print(table)


def _act(what: str, credential: UUID, tenant: str, **more: Any) -> Any:
    async def work(runtime: Runtime) -> Any:
        tenant_id = await tenants.find(runtime, tenant)
        return await getattr(service, what)(runtime, tenant_id, credential, actor=actor(), **more)

    return with_runtime(work)


@credential_app.command("probe")
def probe(credential: UUID, tenant: Tenant) -> None:
    """Ask Apple now whether it takes this credential, and in which environments."""
    for name, answer in (_act("probe", credential, tenant)["probe"] or {}).items():
        out.print(f"{name:<10}  {answer['says']:<8} {escape(answer.get('words') or '')}")


@credential_app.command("activate")
def activate(credential: UUID, tenant: Tenant) -> None:
    """Use this one from now on; also brings back one that was replaced or retired."""
    out.print(f"{_act('activate', credential, tenant)['state']}")


@credential_app.command("retire")
def retire(credential: UUID, tenant: Tenant, confirm: Confirm = False) -> None:
    """Use it no more; it can be brought back with `activate`."""
    out.print(f"{_act('retire', credential, tenant, confirm=confirm)['state']}")


@credential_app.command("delete")
def delete(credential: UUID, tenant: Tenant, confirm: Confirm = False) -> None:
    """Delete it and its key for good."""
    _act("delete", credential, tenant, confirm=confirm)
    out.print("deleted")


@credential_app.command("test")
def ring_test(
    user_id: Annotated[str, typer.Argument(help="Whose phones ring.")],
    tenant: Tenant,
    device: Annotated[str | None, typer.Option(help="One device of the user.")] = None,
) -> None:
    """Ring a user's phones with a marked test push; show Apple's answer for each."""

    async def work(runtime: Runtime) -> Any:
        tenant_id = await tenants.find(runtime, tenant)
        return await trial.ring_phones(runtime, tenant_id, user_id, device, actor=actor())

    for tried in with_runtime(work):
        _show(tried.as_dict())
        out.print()


@vault_app.command("rotate")
def rotate() -> None:
    """Re-wrap what is stored under the first key of RINGLINE_SECRET_KEY; service goes on."""
    done = with_runtime(lambda runtime: rotation.rotate(runtime, actor=actor()))
    out.print(f"{done.rewrapped} re-wrapped under the first key.")
    for sentence in done.failed:
        out.print(f"[red]not opened:[/] {escape(sentence)}")
    if done.failed:
        raise typer.Exit(1)


@vault_app.command("status")
def status() -> None:
    """How many rows rest under which key."""
    table = Table("Table", "Key", "Rows", box=None)
    for name, keys in with_runtime(rotation.usage).items():
        for key_id, rows in keys.items():
            table.add_row(name, key_id, str(rows))
    out.print(table)
    check_key(settings_or_fail())


@credential_app.command("audit")
def show_audit(tenant: Tenant, limit: Annotated[int, typer.Option(min=1, max=500)] = 50) -> None:
    """Who did what to credentials, when and from where; the newest first."""

    async def work(runtime: Runtime) -> Any:
        return await audit.page(runtime, await tenants.find(runtime, tenant), limit=limit)

    for line in with_runtime(work):
        who = line["actor"].get("name") or line["actor"].get("id") or ""
        sys.stdout.write(
            f"{rfc3339(line['at'])}  {line['action']:<22} {line['target']}  "
            f"{line['actor']['kind']} {who} {line['source'] or ''}\n"
        )
