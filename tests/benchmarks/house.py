"""A whole Ringline to be measured: embedded servers, one API process, one worker, a fast Apple."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
from sqlalchemy import text

from app.credentials import service as credentials
from app.credentials.parse import Upload
from app.infra import schema
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings
from app.tenants import service as tenants
from app.tenants.service import NewTenant
from devkit.embedded.children import Child
from devkit.embedded.postgres import running_postgres
from devkit.embedded.valkey import running_valkey
from tests.benchmarks.fast_server import FastServer
from tests.benchmarks.processes import Group

ROOT = Path(__file__).resolve().parents[2]


SETTINGS = json.dumps(
    {
        "limits": {"members": 400},
        "rate_limits": {"rings_per_key": 10_000_000, "rings_per_caller": 10_000_000},
    }
)
"""Of the tenant that is measured: its one caller rings without end."""


@dataclass(frozen=True, slots=True)
class House:
    """What runs: four groups of processes, and the server that stands in for Apple."""

    port: int
    settings: Settings
    environment: dict[str, str]
    folder: Path
    postgres_log: Path
    apple: FastServer
    api: Group
    worker: Group
    postgres: Group
    valkey: Group


@dataclass(frozen=True, slots=True)
class Ready:
    """A house with a tenant in it, and a door to its database."""

    house: House
    runtime: Runtime
    tenant: NewTenant

    async def sql(self, statement: str, **values: object) -> list[tuple]:
        """One statement, which may take long, in a transaction of its own; `:t` is the tenant."""
        if ":t" in statement:
            values["t"] = self.tenant.id
        async with self.runtime.database.patient.transaction() as session:
            result = await session.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    async def maintain(self) -> None:
        """VACUUM ANALYZE: what autovacuum would do at a time of its own choosing.

        By a connection without the bounds of ours: of millions of rows it takes longer.
        """
        url = self.house.environment["RINGLINE_DATABASE_URL"]
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            await connection.execute("VACUUM (ANALYZE)")
        finally:
            await connection.close()


@contextlib.contextmanager
def running_house(apple: FastServer, root: Path = ROOT) -> Iterator[House]:
    """Start everything with an empty, durable database; stop and forget it at the end.

    `root`: of which tree API and worker are, which has the same migrations as this one.
    """
    with contextlib.ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        postgres = parts.enter_context(running_postgres(folder / "postgres", durable=True))
        valkey = parts.enter_context(running_valkey(folder / "valkey"))
        listener = parts.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4_096))
        port = listener.getsockname()[1]
        values = {
            "environment": "production",
            "database_url": postgres.url,
            "redis_url": valkey.url,
            "secret_key": secrets.token_urlsafe(32),
            "public_url": f"http://127.0.0.1:{port}",
            "apns_production_url": apple.url,
            "apns_sandbox_url": apple.url,
            "apns_ca_file": str(apple.ca_file),
            "webhook_allow_private": "true",
        }
        settings = Settings.model_validate(values)
        environment = {f"RINGLINE_{key.upper()}": value for key, value in values.items()}
        schema.upgrade(settings.sqlalchemy_url)
        worker = parts.enter_context(_process("worker", ["worker"], folder, environment, root=root))
        fd = listener.fileno()
        api = parts.enter_context(
            _process("api", ["api", "--fd", str(fd)], folder, environment, [fd], root)
        )
        _await_ready(port)
        yield House(
            port, settings, environment, folder, postgres.log, apple, Group(api.pid),
            Group(worker.pid), Group(postgres.pid), Group(valkey.pid),
        )  # fmt: skip


@contextlib.contextmanager
def more_workers(house: House, count: int) -> Iterator[list[Group]]:
    """So many workers beside the house's own; all of them live when this yields."""
    with contextlib.ExitStack() as parts:
        made = [
            parts.enter_context(_process(f"worker{n}", ["worker"], house.folder, house.environment))
            for n in range(count)
        ]
        _await_ready(house.port, 1 + count)
        yield [Group(one.pid) for one in made]


@contextlib.contextmanager
def _process(
    name: str,
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    keep_open: list[int] | None = None,
    root: Path = ROOT,
) -> Iterator[Child]:
    child = Child(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=root,
        log=folder / f"{name}.log",
        death_signal=signal.SIGTERM,
        keep_open=keep_open or [],
        environment=os.environ | environment,
    )
    try:
        yield child
    finally:
        child.end([(signal.SIGTERM, 15.0)])


STARTING = 120.0
"""Seconds that a busy machine may take until all is ready."""


def _await_ready(port: int, workers: int = 1) -> None:
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            ready = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5)
            if ready.status_code == 200 and ready.json()["workers"] >= workers:
                return
        time.sleep(0.05)
    raise TimeoutError(
        f"the API and {workers} workers did not become ready within {STARTING:.0f} s"
    )


@contextlib.asynccontextmanager
async def moved_in(house: House) -> AsyncIterator[Ready]:
    """Make a tenant with a VoIP certificate; the worker has a connection open when this yields."""
    runtime = open_runtime(house.settings)
    try:
        tenant = await tenants.create(runtime, f"bench {secrets.token_hex(4)}")
        pem = house.apple.pem_file.read_bytes()
        await credentials.add(runtime, tenant.id, Upload(data=pem))
        ready = Ready(house, runtime, tenant)
        await ready.sql("UPDATE tenants SET settings = CAST(:s AS jsonb) WHERE id = :t", s=SETTINGS)
        await asyncio.sleep(2.5)  # the worker looks every second for connections to open
        yield ready
    finally:
        await runtime.close()
