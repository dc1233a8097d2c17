"""The `ringline` command."""

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app import db
from app.errors import AppError
from app.runtime import Runtime, open_runtime
from app.settings import Settings, get_settings

T = TypeVar("T")

app = typer.Typer(
    help="Ringline: a self-hosted ring service for apps with native call screens.\n\n"
    "Try `ringline demo` first. Settings are RINGLINE_* environment variables; "
    "`ringline doctor` says which are wrong and how to mend them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
tenant_app = typer.Typer(help="Tenants: the customer apps on this server.", no_args_is_help=True)
credential_app = typer.Typer(help="Credentials: what lets us push.", no_args_is_help=True)
admin_app = typer.Typer(help="Administrators: who may use the dashboard.", no_args_is_help=True)
call_app = typer.Typer(help="Calls: what happened to a ring.", no_args_is_help=True)
app.add_typer(tenant_app, name="tenant")
app.add_typer(credential_app, name="credential")
app.add_typer(call_app, name="call")
app.add_typer(admin_app, name="admin")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def main() -> None:
    """Entry point: errors of ours end in one sentence and exit status 1."""
    try:
        app()
    except AppError as error:
        fail(error.detail)


def fail(sentence: str) -> NoReturn:
    """Say what is wrong and end."""
    err.print(f"[bold red]ringline:[/] {escape(sentence)}")
    raise SystemExit(1)


def with_runtime(work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Run `work` with this process's settings and doors."""

    async def run() -> T:
        runtime = open_runtime(settings_or_fail())
        try:
            return await work(runtime)
        finally:
            await runtime.close()

    try:
        return asyncio.run(run())
    except OSError as error:
        fail(f"the database does not answer ({error}); `ringline doctor` says more")


def settings_or_fail() -> Settings:
    """The settings, if they allow to start."""
    settings = get_settings()
    if settings.weaknesses():
        fail("; ".join(settings.weaknesses()) + ". Try `ringline doctor`.")
    return settings


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes any free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve the HTTP API."""
    import uvicorn  # noqa: PLC0415  (slow to import; most commands do without)

    from app.observe import set_up_logging  # noqa: PLC0415

    settings = settings_or_fail()
    set_up_logging(settings.log_level, settings.log_format)
    config = uvicorn.Config(
        "app.main:create_app", factory=True, host=host, port=port, workers=workers,
        log_config=None, access_log=False, timeout_graceful_shutdown=10, server_header=False,
    )  # fmt: skip
    if fd is not None:
        uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])
    elif workers > 1:
        uvicorn.run(
            "app.main:create_app", factory=True, host=host, port=port, workers=workers,
            log_config=None, access_log=False, timeout_graceful_shutdown=10, server_header=False,
        )  # fmt: skip
    else:
        uvicorn.Server(config).run()


@app.command()
def worker(
    threads: Annotated[int, typer.Option(min=1, help="Threads that take tasks in.")] = 2,
) -> None:
    """Run a worker: it pushes, and it keeps time for every ring. Start at least one."""
    settings_or_fail()
    from workers.main import app as celery  # noqa: PLC0415  (workers are above app)

    celery.worker_main(
        ["worker", "--pool", "threads", "--concurrency", str(threads), "--loglevel", "WARNING",
         "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )  # fmt: skip


@app.command()
def migrate() -> None:
    """Bring the database's tables to this version."""
    settings = settings_or_fail()
    db.upgrade(settings.sqlalchemy_url)
    out.print(f"The database is at revision [bold]{db.head_revision()}[/].")


@app.command()
def doctor() -> None:
    """Look at settings and servers; say what is wrong and how to mend it."""
    from app.doctor import examine  # noqa: PLC0415

    checks = asyncio.run(examine())
    table = Table("", "Check", "Found", "Mend", box=None, pad_edge=False)
    for check in checks:
        mark = "[green]ok[/]" if check.ok else ("[red]no[/]" if check.serious else "[yellow]![/]")
        table.add_row(mark, check.name, escape(check.found), "" if check.ok else escape(check.mend))
    out.print(table)
    if any(check.serious and not check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def simulator(
    folder: Annotated[Path, typer.Option(help="Keeps the authority: ca.pem, ca.key.")] = Path(
        "certs/dev"
    ),
    production_port: Annotated[int, typer.Option(help="0 takes any free one.")] = 0,
    sandbox_port: Annotated[int, typer.Option(help="0 takes any free one.")] = 0,
    control_port: Annotated[int, typer.Option(help="0 takes any free one.")] = 0,
    accept_unknown: Annotated[
        bool, typer.Option(help="Take every well-formed token as live.")
    ] = False,
) -> None:
    """Run a simulated Apple alone, to test any APNs client against. Ctrl-C ends it."""
    from app.simulator import Conduct, Server, run  # noqa: PLC0415

    def started(server: Server) -> None:
        out.print(f"production   {server.production_url}")
        out.print(f"sandbox      {server.sandbox_url}")
        out.print(f"control API  {server.control_url}   (pages at {server.control_url}/docs)")
        out.print(f"trust        {folder / 'ca.pem'}   (RINGLINE_APNS_CA_FILE)")
        sys.stdout.flush()

    try:
        run(
            folder, production_port=production_port, sandbox_port=sandbox_port,
            control_port=control_port, conduct=Conduct(accept_unknown=accept_unknown),
            started=started,
        )  # fmt: skip
    except OSError as error:
        fail(f"{error}; choose other ports, or 0 for any free one")


@app.command()
def demo(
    once: Annotated[bool, typer.Option(help="Do everything, then end; for machines.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path(
        ".ringline"
    ),
) -> None:
    """See a phone ring: starts everything on this machine, Apple simulated, and rings."""
    from app.embedded.demo import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo(folder, once=once))


@tenant_app.command("create")
def tenant_create(
    name: str, as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False
) -> None:
    """Make a tenant; prints its API key and its signing secret, this once."""
    from app.tenants import service  # noqa: PLC0415

    made = with_runtime(lambda runtime: service.create(runtime, name))
    fields = {
        "tenant": made.name,
        "id": str(made.id),
        "api_key": made.api_key,
        "signing_key_id": made.kid,
        "signing_secret": made.signing_secret,
    }
    if as_json:
        sys.stdout.write(json.dumps(fields) + "\n")
        return
    width = max(map(len, fields))
    for field, value in fields.items():
        sys.stdout.write(f"{field:<{width}}  {value}\n")
    out.print(
        "\nKeep the key and the secret now: they are not shown again. Your backend sends the key as"
        "\n`Authorization: Bearer`; it signs user tokens (JWT, HS256, header kid = signing_key_id,"
        "\nclaims sub and exp) with the secret, or asks POST /v1/users/{id}/tokens for one."
    )


@tenant_app.command("list")
def tenant_list() -> None:
    """List all tenants."""
    from app.tenants import service  # noqa: PLC0415

    table = Table("Name", "Id", "Made", box=None, pad_edge=False)
    for row in with_runtime(service.every):
        table.add_row(row["name"], str(row["id"]), row["created_at"])
    out.print(table)


@tenant_app.command("key")
def tenant_key(
    tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")],
    name: Annotated[str, typer.Option(help="What the key is for.")] = "another key",
    scope: Annotated[
        list[str] | None, typer.Option(help="calls, devices, users, credentials; default all.")
    ] = None,
) -> None:
    """Make another API key; prints it, this once."""
    from app.tenants import service  # noqa: PLC0415

    async def work(runtime: Runtime) -> str:
        tenant_id = await service.find(runtime, tenant)
        return await service.add_key(runtime, tenant_id, name, scope or ["*"])

    sys.stdout.write(with_runtime(work) + "\n")


@admin_app.command("create")
def admin_create(
    email: str,
    role: Annotated[str, typer.Option(help="owner, operator or viewer.")] = "owner",
    reset: Annotated[
        bool, typer.Option("--reset", help="If there is one, give them a new password.")
    ] = False,
) -> None:
    """Make an administrator of the dashboard; prints a password for the first sign-in, once."""
    from app.dashboard import admins  # noqa: PLC0415
    from app.events.audit import Actor  # noqa: PLC0415

    actor = Actor("command", name="ringline admin create")

    async def work(runtime: Runtime) -> str:
        if reset:
            return await admins.create_or_reset(runtime, email, actor=actor)
        return await admins.create(runtime, email, role, actor=actor)

    sys.stdout.write(with_runtime(work) + "\n")
    url = f"{settings_or_fail().public_url}/dashboard"
    err.print(f"Sign in at {url} with this password; you choose your own there.")


@credential_app.command("add")
def credential_add(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=".p12, PEM or .p8")],
    tenant: Annotated[str, typer.Option(help="Name or id of the tenant.")],
    bundle_id: Annotated[str | None, typer.Option(help="Needed for a .p8.")] = None,
    key_id: Annotated[str | None, typer.Option(help="Needed for a .p8: ten characters.")] = None,
    team_id: Annotated[str | None, typer.Option(help="Needed for a .p8: ten characters.")] = None,
    environment: Annotated[
        list[str] | None, typer.Option(help="production, sandbox; default what the file allows.")
    ] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for the file's password.")
    ] = False,
) -> None:
    """Check a VoIP certificate or key and store it, encrypted."""
    from app.credentials import service  # noqa: PLC0415
    from app.tenants import service as tenants  # noqa: PLC0415

    secret = typer.prompt("Password", hide_input=True, default="") if password else None

    async def work(runtime: Runtime) -> Any:
        tenant_id = await tenants.find(runtime, tenant)
        return await service.add(
            runtime, tenant_id, bundle_id, file.read_bytes(), secret,
            key_id=key_id, team_id=team_id, environments=environment,
        )  # fmt: skip

    row = with_runtime(work)
    until = row["not_after"].date().isoformat() if row["not_after"] else "no end"
    out.print(
        f"Stored: a {row['kind']} for [bold]{row['bundle_id']}[/] "
        f"({', '.join(row['environments'])}), good until {until}."
    )


if __name__ == "__main__":
    main()
