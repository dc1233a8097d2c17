"""Commands for credentials, the vault that guards them, and the audit log."""

import re
import shlex
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from app.audit import log as audit
from app.cli.answers import answer, columns, command, fields, step
from app.cli.base import (
    Tenant,
    actor,
    check_key,
    fail,
    group,
    now,
    settings_or_fail,
    with_runtime,
)
from app.cli.base import user_id as user_id_of
from app.cli.files import bytes_in, line_in
from app.cli.options import row_id, whole
from app.core.event import rfc3339
from app.credentials import rotation, service
from app.credentials.parse import Upload
from app.credentials.rows import CredentialRow
from app.credentials.schemas import credential_out, understood_out
from app.devices import test_push as trial
from app.infra.runtime import Runtime
from app.senders import of_credential
from app.tenants import service as tenants

credential_app = group("credential", "Credentials: what lets us push for an app.")
vault_app = group("vault", "The vault: what rests encrypted, and under which key.")

File = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, help=".p12, PEM, .p8, .cer or Google's .json, told by content."
    ),
]
AppId = Annotated[str | None, typer.Option(help="The app; a certificate names its own.")]
KeyId = Annotated[str | None, typer.Option(help="Of a .p8; also read from AuthKey_<id>.p8.")]
TeamId = Annotated[str | None, typer.Option(help="Of a .p8: ten characters.")]
Environments = Annotated[
    list[str] | None,
    typer.Option("--environment", help="Of Apple's: production, sandbox; default: both."),
]
Password = Annotated[bool, typer.Option("--password", help="Ask for the file's password.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A file that holds the password, a line."),
]
Credential = Annotated[UUID, row_id("Its id, as `ringline credential list` shows it.")]
Confirm = Annotated[bool, typer.Option("--confirm", help="Also if it is the app's last one.")]
KEY_FILE = re.compile(r"AuthKey_([A-Z0-9]{10})\.p8")


def _key_id(given: str | None, file: Path) -> str | None:
    named = KEY_FILE.fullmatch(file.name)
    return given or (named.group(1) if named else None)


def _password(asked: bool, file: Path | None) -> str | None:
    if file is not None:
        return line_in(file)
    if not asked:
        return None
    try:
        typed: str = typer.prompt("Password", hide_input=True, default="", err=True)
    except typer.Abort:
        fail(
            "--password asks at a terminal, and there is none: use --password-file FILE",
            code="no_terminal",
        )
    return typed


def _probe_words(row: CredentialRow) -> str:
    return ", ".join(f"{name}: {one['says']}" for name, one in (row.probe or {}).items())


@command(credential_app, "add")
def add(
    file: File, tenant: Tenant, app_id: AppId = None, key_id: KeyId = None,
    team_id: TeamId = None, environment: Environments = None, password: Password = False,
    password_file: PasswordFile = None,
) -> None:  # fmt: skip
    """Check a certificate, a key or a service account, ask about it, and store it, encrypted."""
    secret = _password(password, password_file)

    async def work(runtime: Runtime) -> CredentialRow:
        tenant_id = await tenants.find(runtime, tenant)
        return await service.add(
            runtime, tenant_id,
            Upload(
                data=bytes_in(file), password=secret, app_id=app_id,
                key_id=_key_id(key_id, file), team_id=team_id, environments=environment,
            ),
            actor=actor(),
        )  # fmt: skip

    step("Reading the file and asking its service about it (up to 5 s) ...")
    row = with_runtime(work)
    shown = credential_out(row, now())
    who = of_credential(row.kind).title
    head = f"Stored for {row.app_id}: {row.state}. {who} says: {_probe_words(row)}."
    answer(shown, head + "\n" + fields(shown | {"probe": None}))


@command(credential_app, "preview")
def preview(
    file: File, tenant: Tenant, app_id: AppId = None, key_id: KeyId = None,
    team_id: TeamId = None, password: Password = False,
    password_file: PasswordFile = None,
) -> None:  # fmt: skip
    """Say what a file is, and store nothing."""
    secret = _password(password, password_file)

    async def work(runtime: Runtime) -> Any:
        tenant_id = await tenants.find(runtime, tenant)
        return await service.preview(
            runtime, tenant_id,
            Upload(
                data=bytes_in(file), password=secret, app_id=app_id,
                key_id=_key_id(key_id, file), team_id=team_id,
            ),
        )  # fmt: skip

    understood, key_is_here = with_runtime(work)
    shown = understood_out(understood, now(), key_is_here=key_is_here)
    answer(shown, fields(shown))


@command(credential_app, "request")
def request(
    app_id: Annotated[str, typer.Argument(help="com.example.app")],
    tenant: Tenant,
    to: Annotated[Path, typer.Option("--out", help="Where the request goes: a new file.")] = Path(
        "voip.certSigningRequest"
    ),
) -> None:
    """Make a key that never leaves, and the signing request for Apple's portal."""

    async def work(runtime: Runtime) -> CredentialRow:
        tenant_id = await tenants.find(runtime, tenant)
        return await service.request(runtime, tenant_id, app_id, actor=actor())

    with to.open("x") as opened:  # before a key is made of which nobody would see the request
        try:
            row = with_runtime(work)
        except BaseException:
            to.unlink()
            raise
        opened.write(row.request or "")
    answer(
        credential_out(row, now()) | {"file": str(to)},
        f"Wrote {to}. At developer.apple.com, Certificates, +, choose\n"
        "“VoIP Services Certificate”, the app, and this file; download the .cer; then\n"
        f"ringline credential add FILE.cer --tenant {shlex.quote(tenant)}\n"
        "The key stays in the vault; the .cer finds it.",
    )


@command(credential_app, "vapid")
def vapid(
    app_id: Annotated[str, typer.Argument(help="The web app's origin: https://app.example.com")],
    tenant: Tenant,
    subject: Annotated[
        str, typer.Option(help="Whom a push service may write to: mailto:push@example.com")
    ],
) -> None:
    """Make a VAPID key, with which a web app's browsers subscribe from now on."""

    async def work(runtime: Runtime) -> CredentialRow:
        tenant_id = await tenants.find(runtime, tenant)
        return await service.make_vapid(runtime, tenant_id, app_id, subject, actor=actor())

    row = with_runtime(work)
    head = f"Made for {row.app_id}: {row.state}. Its public key, for PushManager.subscribe:"
    answer(credential_out(row, now()), f"{head}\n{row.key_id}")


@command(credential_app, "list")
def list_all(tenant: Tenant, app_id: AppId = None) -> None:
    """List credentials with their state, health and days left."""

    async def work(runtime: Runtime) -> Any:
        return await service.list_all(runtime, await tenants.find(runtime, tenant), app_id)

    rows = with_runtime(work)
    shown = [credential_out(row, now()) for row in rows]
    lines = [
        (one["id"], one["app_id"], one["kind"], one["state"], one["health"],
         "" if one["days_left"] is None else one["days_left"], _probe_words(row))
        for one, row in zip(shown, rows, strict=True)
    ]  # fmt: skip
    names = ("Id", "App", "Kind", "State", "Health", "Days", "Its service says")
    answer(shown, columns(names, lines))


def _act(what: str, credential: UUID, tenant: str, **more: Any) -> Any:
    async def work(runtime: Runtime) -> Any:
        tenant_id = await tenants.find(runtime, tenant)
        return await getattr(service, what)(runtime, tenant_id, credential, actor=actor(), **more)

    return with_runtime(work)


@command(credential_app, "probe")
def probe(credential: Credential, tenant: Tenant) -> None:
    """Ask its service now whether it takes this credential, and in which environments."""
    step("Asking its service (up to 5 s) ...")
    found = _act("probe", credential, tenant).probe
    lines = [(name, one["says"], one.get("words") or "") for name, one in found.items()]
    answer(found, columns(("Environment", "It says", ""), lines))


@command(credential_app, "activate")
def activate(credential: Credential, tenant: Tenant) -> None:
    """Use this one from now on; also brings back one that was replaced or retired."""
    row = _act("activate", credential, tenant)
    answer(credential_out(row, now()), row.state)


@command(credential_app, "retire")
def retire(credential: Credential, tenant: Tenant, confirm: Confirm = False) -> None:
    """Use it no more; it can be brought back with `activate`."""
    row = _act("retire", credential, tenant, confirm=confirm)
    answer(credential_out(row, now()), row.state)


@command(credential_app, "delete")
def delete(credential: Credential, tenant: Tenant, confirm: Confirm = False) -> None:
    """Delete it and its key for good."""
    _act("delete", credential, tenant, confirm=confirm)
    answer({"id": str(credential), "state": "deleted"}, "deleted")


@command(credential_app, "test")
def ring_test(
    user_id: Annotated[str, typer.Argument(help="Whose phones ring.", parser=user_id_of)],
    tenant: Tenant,
    device: Annotated[str | None, typer.Option(help="One device of the user.")] = None,
) -> None:
    """Ring a user's phones with a marked test push; show what is answered for each."""

    async def work(runtime: Runtime) -> Any:
        tenant_id = await tenants.find(runtime, tenant)
        return await trial.ring_phones(runtime, tenant_id, user_id, device, actor=actor())

    step("Pushing to each phone (up to 10 s) ...")
    tried = [one.as_dict() for one in with_runtime(work)]
    answer(tried, "\n\n".join(fields(one) for one in tried))


@command(vault_app, "rotate")
def rotate() -> None:
    """Re-wrap what is stored under the first key of RINGLINE_SECRET_KEY; service goes on."""
    step("Wrapping what is stored under the first key; service goes on ...")
    done = with_runtime(lambda runtime: rotation.rotate(runtime, actor=actor(), say=step))
    lost = [f"not opened: {sentence}" for sentence in done.failed]
    head = f"{done.rewrapped} re-wrapped under the first key."
    answer(
        {"rewrapped": done.rewrapped, "failed": done.failed, "never_used": done.never_used},
        "\n".join([head, *lost]),
    )
    if done.failed:
        raise typer.Exit(1)
    if done.never_used:
        fail(_not_first(done.never_used[0]), code="key_not_first")


def _not_first(name: str) -> str:
    return (
        f"nothing rests under the key `{name}`, nor ever did. If it is the new one, put it first "
        f"in RINGLINE_SECRET_KEY ({name}:...,old:...), restart each process and run this again; if "
        "it is one that you need no more, leave it out."
    )


@command(vault_app, "status")
def status() -> None:
    """How many rows rest under which key."""
    found = with_runtime(rotation.usage)
    lines = [(name, key, rows) for name, keys in found.items() for key, rows in keys.items()]
    answer(found, columns(("Table", "Key", "Rows"), lines))
    check_key(settings_or_fail())


@command(credential_app, "audit")
def show_audit(
    tenant: Tenant, limit: Annotated[int, whole("So many lines at most.", low=1, high=500)] = 50
) -> None:
    """Who did what to credentials, when and from where; the newest first."""

    async def work(runtime: Runtime) -> Any:
        return await audit.page(runtime, await tenants.find(runtime, tenant), limit=limit)

    found = [
        line | {"id": str(line["id"]), "at": rfc3339(line["at"])} for line in with_runtime(work)
    ]
    lines = [
        (line["at"], line["action"], line["target"], line["actor"]["kind"],
         line["actor"].get("name") or line["actor"].get("id") or "", line["source"] or "")
        for line in found
    ]  # fmt: skip
    answer(found, columns(("When", "What", "On", "By", "Who", "From"), lines))
