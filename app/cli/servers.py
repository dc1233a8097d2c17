"""Commands that run servers, and that look whether all is in order."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.answers import answer, command, step
from app.cli.base import app, check_key, fail, out, settings_or_fail
from app.cli.interrupts import ends_at_once
from app.cli.options import whole
from app.infra import ca_files, process, schema
from app.infra.settings import Settings, say_in_this_process

if TYPE_CHECKING:
    import uvicorn


class Only(StrEnum):
    """What a worker does, if not everything."""

    PUSHES = "pushes"
    WEBHOOKS = "webhooks"


PORTS = 65_535
Port = Annotated[int, whole("0 takes any free one.", low=0, high=PORTS)]
START_WITHIN = 60
"""Seconds for a process of several to answer its parent: a busy machine imports slowly."""


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, whole("Processes.", low=1)] = 1,
    fd: Annotated[int | None, whole(hidden=True)] = None,
) -> None:
    """Serve the HTTP API."""
    with ends_at_once():  # slow to import; most commands do without
        import uvicorn  # noqa: PLC0415
        from uvicorn.supervisors import Multiprocess  # noqa: PLC0415

        from app.http.connection import limits  # noqa: PLC0415
        from app.infra.exposition import for_several_processes  # noqa: PLC0415
        from app.infra.observe import set_up_logging  # noqa: PLC0415
        from app.infra.process import notice_the_vanished, taken_by_the_turn  # noqa: PLC0415

    settings = _settings_of_a_server()
    if workers > 1 and settings.has_lab:
        fail("the lab lives in one process: use --workers 1, or unset RINGLINE_SIMULATOR_URL")
    set_up_logging(settings.log_level, settings.log_format)
    check_key(settings)
    config = uvicorn.Config(
        "app.main:create_app", factory=True, host=host, port=port, workers=workers,
        log_config=None, access_log=False, timeout_graceful_shutdown=10, server_header=False,
        timeout_keep_alive=settings.keep_alive,
        timeout_worker_healthcheck=START_WITHIN,
        proxy_headers=False,  # app/http/trusted_proxies.py sees to them
        **limits(settings.connections),
    )  # fmt: skip
    listener = _listener(config) if fd is None else socket.socket(fileno=fd)
    notice_the_vanished(listener)
    if workers > 1:
        with for_several_processes():
            Multiprocess(config, sockets=taken_by_the_turn(listener)).run()
        return
    server = uvicorn.Server(config)
    server.run(sockets=taken_by_the_turn(listener))
    if not server.started:
        raise typer.Exit(3)


def _settings_of_a_server() -> Settings:
    """The settings, if they allow to serve: with a file of authorities amiss nothing is pushed."""
    settings = settings_or_fail()
    if faults := ca_files.faults(settings):
        told = "; ".join(f"{name}: {sentence}" for name, sentence in faults.items())
        fail(f"{told}. Mount the file, correct the setting, or unset it", code="wrong_setting")
    return settings


def _listener(config: "uvicorn.Config") -> socket.socket:
    try:
        return config.bind_socket()
    except SystemExit as error:  # it has logged why, and not where
        why = getattr(error.__context__, "strerror", None) or "it cannot be had"
        where = f"{config.host}, port {config.port}"
        fail(f"cannot listen on {where}: {why}. Choose another --host or --port", code="port")


@app.command()
def worker(
    threads: Annotated[int, whole("Threads that take tasks in.", low=1)] = 2,
    only: Annotated[
        Only | None, typer.Option(help="Send webhooks and no more, or do all but that.")
    ] = None,
) -> None:
    """Run a worker: it pushes, keeps time for every ring, sends webhooks. Start at least one."""
    if only is not None:
        say_in_this_process("worker_only", only)
    check_key(_settings_of_a_server())
    with ends_at_once():
        from workers.main import app as celery  # noqa: PLC0415  (workers are above app)

    celery.worker_main(
        ["worker", "--pool", "threads", "--concurrency", str(threads), "--loglevel", "WARNING",
         "--without-gossip", "--without-mingle", "--without-heartbeat"]
    )  # fmt: skip


@command(app, "migrate")
def migrate() -> None:
    """Bring the database's tables to this version."""
    settings = settings_or_fail()
    step("Bringing the database's tables to this version; large tables take a while ...")
    schema.upgrade(settings.sqlalchemy_url, say=step)
    revision = schema.head_revision()
    new_key = check_key(settings)
    answer(
        {"revision": revision, "key_is_new": new_key}, f"The database is at revision {revision}."
    )
    if new_key:
        step(
            "From now on it belongs to this RINGLINE_SECRET_KEY. Keep that key: without it nobody "
            "can open again what is stored encrypted (credentials, signing secrets)."
        )


@command(app, "doctor")
def doctor() -> None:
    """Look at settings and servers; say what is wrong and how to mend it."""
    with ends_at_once():
        from app.doctor import examine  # noqa: PLC0415

    step("Looking at settings, PostgreSQL, Redis and Apple (up to 5 s each) ...")
    checks = asyncio.run(examine())
    table = Table(box=None, pad_edge=False)
    for heading in ("", "Check", "Found", "Mend"):
        # nothing is cut, and a name is copied whole
        table.add_column(heading, overflow="fold", no_wrap=heading == "Check")
    for check in checks:
        mark = "[green]ok[/]" if check.ok else ("[red]no[/]" if check.serious else "[yellow]![/]")
        table.add_row(mark, check.name, escape(check.found), "" if check.ok else escape(check.mend))
    answer([asdict(check) for check in checks], partial(out.print, table))
    if any(check.serious and not check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def simulator(
    folder: Annotated[Path, typer.Option(help="Keeps the authority: ca.pem, ca.key.")] = Path(
        "certs/dev"
    ),
    production_port: Port = 0,
    sandbox_port: Port = 0,
    fcm_port: Port = 0,
    webpush_port: Port = 0,
    control_port: Port = 0,
    accept_unknown: Annotated[
        bool, typer.Option("--accept-unknown", help="Take every well-formed token as live.")
    ] = False,
    keep: Annotated[int, whole("Requests that are remembered; about 3 KB each.", low=1)] = 20_000,
) -> None:
    """Run a simulated Apple, Google and push service of browsers, to test any client against.

    Ctrl-C ends it.
    """
    with _of_devkit("simulator"), ends_at_once():
        from devkit.simulator import Conduct, Server, run  # noqa: PLC0415

    def started(server: Server) -> None:
        process.settle_memory()  # it keeps what arrived: to walk all of that takes half a second
        out.print(f"production   {server.production_url}")
        out.print(f"sandbox      {server.sandbox_url}")
        out.print(f"FCM          {server.fcm_url}   (RINGLINE_FCM_URL)")
        out.print(f"OAuth        {server.google_token_url}   (RINGLINE_GOOGLE_TOKEN_URL)")
        out.print(f"Web Push     {server.webpush_url}   (endpoints of subscriptions)")
        out.print(f"control API  {server.control_url}   (pages at {server.control_url}/docs)")
        out.print(
            f"trust        {folder / 'ca.pem'}   "
            "(RINGLINE_APNS_CA_FILE, RINGLINE_GOOGLE_CA_FILE, RINGLINE_WEBPUSH_CA_FILE)"
        )
        sys.stdout.flush()

    try:
        run(
            folder, production_port=production_port, sandbox_port=sandbox_port,
            fcm_port=fcm_port, webpush_port=webpush_port, control_port=control_port,
            started=started, conduct=Conduct(accept_unknown=accept_unknown), keep=keep,
        )  # fmt: skip
    except OSError as error:
        fail(f"{error}; choose other ports, or 0 for any free one")


@app.command()
def demo(
    once: Annotated[bool, typer.Option(help="Do everything, then end; for machines.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path(
        ".ringline"
    ),
    own_servers: Annotated[
        bool,
        typer.Option(
            "--own-servers",
            help="Use RINGLINE_DATABASE_URL and RINGLINE_REDIS_URL: an empty database, which is "
            "migrated, and a Redis that no other Ringline uses.",
        ),
    ] = False,
) -> None:
    """See a phone ring: starts all on this machine, Apple and Google simulated, and rings.

    Settings of the environment are left aside: it never touches a server of yours unasked.
    """
    with _of_devkit("demo"), ends_at_once():
        from devkit.embedded.demo import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo(folder, once=once, own_servers=own_servers))


@contextlib.contextmanager
def _of_devkit(command: str) -> Iterator[None]:
    """What a server does without may be absent: say in one sentence how to get it."""
    try:
        yield
    except ModuleNotFoundError as error:
        fail(
            f"`ringline {command}` needs {error.name}, which is not installed here: "
            "pip install 'ringline[demo]', or `make demo` in a clone"
        )
