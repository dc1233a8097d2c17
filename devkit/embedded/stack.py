"""The whole of Ringline on this machine: servers, simulated push services, the API and a worker.

For `ringline demo`: real processes, real sockets, real pushes; only Apple and Google are played, by
the simulator. Everything ends with this process, however it ends.
"""

import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.infra import schema
from app.infra.settings import Settings
from devkit.embedded.children import Child, EmbeddedError, last_lines
from devkit.embedded.postgres import running_postgres
from devkit.embedded.surroundings import refuse_anothers, told_of, without_settings
from devkit.embedded.valkey import running_valkey
from devkit.simulator import Simulator

PREFIX = "RINGLINE_"
WISHED_PORT = 8000


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs: `settings` are those of its API and worker, `variables` those of a shell."""

    api_url: str
    settings: Settings
    variables: dict[str, str]
    simulator: Simulator
    folder: Path
    api: Child
    worker: Child


Say = Callable[[str, str], None]
"""Told (what was done, a detail) as each part is up."""


@contextlib.contextmanager
def running_stack(folder: Path, say: Say, *, own_servers: bool = False) -> Iterator[Stack]:
    """Start everything, its data kept under `folder`; stop it at the end of the block.

    Settings of the environment are left aside, and it is said which. With `own_servers` those of
    database and Redis are used instead of embedded ones, if the database is empty or was begun by
    this very folder's demo. Raises EmbeddedError, which says what to do.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as parts:
        aside = parts.enter_context(without_settings(own_servers=own_servers))
        if aside:
            say("YOUR SETTINGS", told_of(aside))
        database_url, redis_url = _servers(parts, folder, say)
        simulator = parts.enter_context(Simulator.running(folder / "apple"))
        say("Apple, simulated", f"HTTP/2 over TLS at {simulator.sandbox_url}")
        listener = parts.enter_context(_listener())
        api_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environment = os.environ | {
            "RINGLINE_ENVIRONMENT": "production",
            "RINGLINE_STOP_DELAY": "0",
            "RINGLINE_DATABASE_URL": database_url,
            "RINGLINE_REDIS_URL": redis_url,
            "RINGLINE_SECRET_KEY": _secret_key(folder),
            "RINGLINE_PUBLIC_URL": api_url,
            "RINGLINE_APNS_PRODUCTION_URL": simulator.production_url,
            "RINGLINE_APNS_SANDBOX_URL": simulator.sandbox_url,
            "RINGLINE_APNS_CA_FILE": str(simulator.ca_file),
            "RINGLINE_FCM_URL": simulator.fcm_url,
            "RINGLINE_GOOGLE_TOKEN_URL": simulator.google_token_url,
            "RINGLINE_GOOGLE_CA_FILE": str(simulator.ca_file),
            "RINGLINE_WEBPUSH_CA_FILE": str(simulator.ca_file),
            "RINGLINE_WEBPUSH_ALLOW_PRIVATE": "true",
            "RINGLINE_WEBHOOK_ALLOW_PRIVATE": "true",  # who tries it receives them on this machine
            "RINGLINE_SIMULATOR_URL": simulator.control_url,
        }
        settings = _settings(environment)
        if own_servers:
            refuse_anothers(settings)
        schema.upgrade(settings.sqlalchemy_url)
        say("Tables", "migrated by Alembic")
        worker = _child(parts, folder, "worker", ["worker"], environment)
        api = _child(
            parts, folder, "api", ["api", "--fd", str(listener.fileno())], environment,
            keep_open=[listener.fileno()],
        )  # fmt: skip
        _await_api(api, worker, api_url)
        say("API", api_url)
        if listener.getsockname()[1] != WISHED_PORT:
            say(
                f"PORT {WISHED_PORT} IS TAKEN",
                f"by another program: everything of this demo is at {api_url} instead",
            )
        say("Worker", "Celery, threads pool, one asyncio loop")
        variables = {k: v for k, v in environment.items() if k.startswith(PREFIX)}
        yield Stack(api_url, settings, variables, simulator, folder, api, worker)


def _servers(parts: contextlib.ExitStack, folder: Path, say: Say) -> tuple[str, str]:
    database_url = os.environ.get("RINGLINE_DATABASE_URL")
    redis_url = os.environ.get("RINGLINE_REDIS_URL")
    if database_url is None:
        begun = time.monotonic()
        postgres = running_postgres(folder / "postgres", durable=True)
        parts.enter_context(postgres)
        database_url = postgres.url.replace(
            "+asyncpg", ""
        )  # psql in a shell of the demo's reads it, too
        say("PostgreSQL", f"embedded, up in {time.monotonic() - begun:.1f} s")
    else:
        say("PostgreSQL", "yours, from RINGLINE_DATABASE_URL")
    if redis_url is None:
        begun = time.monotonic()
        valkey = running_valkey(folder / "valkey")
        parts.enter_context(valkey)
        redis_url = valkey.url
        say("Valkey", f"embedded, up in {time.monotonic() - begun:.1f} s")
    else:
        say("Valkey", "yours, from RINGLINE_REDIS_URL")
    return database_url, redis_url


@contextlib.contextmanager
def _listener() -> Iterator[socket.socket]:
    """A listening socket: port 8000, or any free one. Held open, so that nobody takes it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", WISHED_PORT))
        except OSError:
            listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        yield listener


def _secret_key(folder: Path) -> str:
    """The key of this folder's data, made once."""
    path = folder / "secret_key"
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    key = secrets.token_urlsafe(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key


def _settings(environment: dict[str, str]) -> Settings:
    values = {
        k.removeprefix(PREFIX).lower(): v for k, v in environment.items() if k.startswith(PREFIX)
    }
    return Settings.model_validate(values)


def _child(
    parts: contextlib.ExitStack,
    folder: Path,
    name: str,
    arguments: list[str],
    environment: dict[str, str],
    keep_open: list[int] | None = None,
) -> Child:
    child = Child(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=Path(__file__).resolve().parent.parent.parent,
        log=folder / f"{name}.log",
        death_signal=signal.SIGTERM,
        keep_open=keep_open or [],
        environment=environment,
    )
    parts.callback(child.end, [(signal.SIGTERM, 15.0)])
    return child


def _await_api(api: Child, worker: Child, url: str) -> None:
    """Wait until the API serves and the worker has shown life."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for child in (api, worker):
            if child.exit_status() is not None:
                raise EmbeddedError(
                    f"Ringline ended while starting. The end of {child.log}:\n"
                    f"{last_lines(child.log)}"
                )
        with contextlib.suppress(httpx.HTTPError):
            ready = httpx.get(f"{url}/readyz", timeout=5)
            if ready.status_code == 200 and ready.json()["workers"] > 0:
                return
        time.sleep(0.05)
    raise EmbeddedError(f"the API at {url} did not become ready within 30 s; see {api.log}")
