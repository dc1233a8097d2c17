"""Backups and restores where something is odd: names, extensions, tools, signals, standbys."""

import asyncio
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import create_async_engine

from app import backup
from app.audit.log import SERVER
from app.backup import BackupRefused
from app.infra import dumps, postgres_tools, schema
from app.infra.postgres_tools import ToolFailed
from app.infra.runtime import Runtime, open_runtime
from app.infra.server_urls import database_url
from app.infra.settings import Settings
from devkit.embedded import running_postgres
from devkit.embedded.postgres import PORT, Postgres
from tests import forks
from tests.e2e.house import ROOT, SECRET_KEY

ODD = """it's an "odd" \\ %41 ring?line"""
PASSWORD = """p@ss:/?#%&= 'w"o\\rd ü"""
FEED = """
    INSERT INTO feeds (tenant_id, user_id, seq, opened_at) VALUES (gen_random_uuid(), 'bob', 7, now());
    INSERT INTO user_events (tenant_id, user_id, seq, at, body)
    SELECT gen_random_uuid(), 'bob', n, now() + n % 3 * interval '6 days', '{}'
    FROM generate_series(1, 100) n
"""


def settings(url: str, **more: Any) -> Settings:
    plain = url.replace("+asyncpg", "")
    values = {"database_url": plain, "secret_key": SecretStr(SECRET_KEY)} | more
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Runtime]:
    runtime = open_runtime(settings(url))
    try:
        yield runtime
    finally:
        await runtime.close()


async def run(url: str, statements: str) -> list[Any]:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for one in statements.split(";"):
                found = await connection.exec_driver_sql(one)
            return list(found.scalars()) if found.returns_rows else []
    finally:
        await engine.dispose()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of which a plain role with odd names owns databases with odd names."""
    with running_postgres(tmp_path_factory.mktemp("odd"), durable=False) as postgres:
        yield postgres


def owned(server: Postgres, database: str, role: str) -> str:
    """The address by which `role` reaches a new database of its own."""

    def name(one: str) -> str:
        return '"' + one.replace('"', '""') + '"'

    made = (
        f"CREATE ROLE {name(role)} LOGIN",
        f"CREATE DATABASE {name(database)} OWNER {name(role)}",
    )
    for statement in made:
        with contextlib.suppress(Exception):  # the role is there
            asyncio.run(run(server.url, statement))
    return (
        f"postgresql+asyncpg://{quote(role, safe='')}:{quote(PASSWORD, safe='')}@/"
        f"{quote(database, safe='')}?host={server.sockets}&port={PORT}"
    )


def test_names_and_passwords_may_be_odd(server: Postgres, tmp_path: Path) -> None:
    """As they come: quotes, spaces, percent signs, question marks."""
    one, other = owned(server, ODD, ODD), owned(server, ODD + "2", ODD)
    schema.upgrade(settings(one).sqlalchemy_url)

    async def there_and_back() -> None:
        async with opened(one) as runtime:
            made = await backup.make(runtime, tmp_path / "it's odd", SERVER, None)
        async with opened(other) as runtime:
            back = await backup.restore(runtime, tmp_path / "it's odd", SERVER, None)
        assert back["sealed"] == made["sealed"]

    asyncio.run(there_and_back())


def test_what_belongs_to_the_server_is_in_nobodys_way(server: Postgres, tmp_path: Path) -> None:
    """An extension, a publication and others' tables, none of which a plain owner may make or read."""
    one, other = owned(server, "shared", "plain"), owned(server, "alone", "plain")
    schema.upgrade(settings(one).sqlalchemy_url)
    asyncio.run(
        run(
            server.url_for("shared"),
            """
            CREATE EXTENSION pageinspect;
            CREATE PUBLICATION all_of_it FOR ALL TABLES;
            CREATE SCHEMA others;
            CREATE TABLE others.secrets (id integer)
            """,
        )
    )

    async def there_and_back() -> None:
        async with opened(one) as runtime:
            await backup.make(runtime, tmp_path / "plain", SERVER, None)
        tool = postgres_tools.find("pg_dump", 18)
        as_before = ["--format=custom", f"--file={tmp_path / 'plain' / 'database.dump'}"]
        async with opened(other) as runtime:
            await backup.restore(runtime, tmp_path / "plain", SERVER, None)
        # of a version that dumped all of it
        (tmp_path / "plain" / "database.dump").unlink()
        everything = database_url(server.url_for("shared").replace("+asyncpg", ""))
        await postgres_tools.run(tool, [*as_before, "--exclude-schema=others"], everything)
        manifest = json.loads((tmp_path / "plain" / "manifest.json").read_text())
        digest = backup._digest(tmp_path / "plain" / "database.dump")
        (tmp_path / "plain" / "manifest.json").write_text(json.dumps(manifest | digest))
        async with opened(third) as runtime:
            await backup.restore(runtime, tmp_path / "plain", SERVER, None)

    third = owned(server, "third", "plain")
    asyncio.run(there_and_back())
    assert asyncio.run(run(third, "SELECT extname FROM pg_extension ORDER BY 1")) == ["plpgsql"]


async def test_feeds_begin_anew_from_the_first_moment_after_a_restore(
    database: str, empty_database: str, tmp_path: Path
) -> None:
    await run(database, FEED)
    async with opened(database) as runtime:
        await backup.make(runtime, tmp_path / "fed", SERVER, None)
    dump = tmp_path / "fed" / "database.dump"
    listing = await postgres_tools.run(postgres_tools.find("pg_restore", 18), ["--list", str(dump)])
    kept = dumps.to_restore(listing, {"public"})
    assert re.search(r"TABLE DATA public user_events_first ", listing)
    assert not re.search(r"TABLE DATA public (feeds|user_events)", kept)
    assert re.search(r"TABLE DATA public events_first ", kept)
    assert len(re.findall(r" TABLE public ", kept)) == len(re.findall(r" TABLE public ", listing))
    async with opened(empty_database) as runtime:
        await backup.restore(runtime, tmp_path / "fed", SERVER, None)
    for table in ("feeds", "user_events"):
        assert await run(empty_database, f"SELECT count(*) FROM {table}") == [0]


def tool(folder: Path, name: str, version: int, does: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "{name} (PostgreSQL) {version}.2"; exit; }}\n{does}\n'
    )
    path.chmod(0o755)
    return path


def test_of_tools_that_would_do_the_nearest_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (91, 90, 92):
        tool(tmp_path / str(version), "pg_dump", version)
    paths = os.pathsep.join(str(tmp_path / str(version)) for version in (92, 90, 91))
    monkeypatch.setenv("PATH", f"{paths}{os.pathsep}{os.environ['PATH']}")
    assert postgres_tools.version_of(postgres_tools.find("pg_dump", 19)) in {19, 20, 92}
    with pytest.raises(ToolFailed, match="93 or newer is needed"):
        postgres_tools.find("pg_dump", 93)


async def test_a_dump_is_read_by_nothing_older_than_what_wrote_it(
    database: str, empty_database: str, tmp_path: Path
) -> None:
    async with opened(database) as runtime:
        made = await backup.make(runtime, tmp_path / "one", SERVER, None)
    assert made["tool_version"] >= made["server_version"]
    newer = made | {"tool_version": 99}
    (tmp_path / "one" / "manifest.json").write_text(json.dumps(newer))
    async with opened(empty_database) as runtime:
        with pytest.raises(ToolFailed, match="99 or newer is needed"):
            await backup.restore(runtime, tmp_path / "one", SERVER, None)
        (tmp_path / "one" / "manifest.json").write_text(json.dumps(newer | {"format": 2}))
        with pytest.raises(BackupRefused) as refused:
            await backup.restore(runtime, tmp_path / "one", SERVER, None)
        assert refused.value.code == "backup_is_newer"
        for name, value in {"server_version": "18", "keys": "x", "revision": 151}.items():
            (tmp_path / "one" / "manifest.json").write_text(json.dumps(made | {name: value}))
            with pytest.raises(BackupRefused) as refused:
                await backup.restore(runtime, tmp_path / "one", SERVER, None)
            assert refused.value.code == "damaged", name


async def test_of_a_server_that_takes_no_writes_a_backup_can_be_made(
    database: str, tmp_path: Path
) -> None:
    """Of a standby, so that the primary has less to do."""
    only = quote("-c default_transaction_read_only=on", safe="")
    async with opened(f"{database}&options={only}") as runtime:
        await backup.make(runtime, tmp_path / "standby", SERVER, None)
    assert (tmp_path / "standby" / "manifest.json").exists()


def command(url: str, said: Path, *words: str) -> forks.Process:
    """A command of ours with what it says, of all kinds, in a file."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("RINGLINE_")}
    env |= {"RINGLINE_DATABASE_URL": url, "RINGLINE_SECRET_KEY": SECRET_KEY}
    with said.open("wb") as out:
        return forks.start("app.cli", *words, env=env, stdout=out.fileno(), stderr=out.fileno())


@pytest.mark.parametrize("stopped", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_a_backup_leaves_nothing_of_it(
    database: str, tmp_path: Path, stopped: signal.Signals
) -> None:
    said = tmp_path / "pid"
    tool(
        tmp_path / "tools",
        "pg_dump",
        99,
        f"echo $$ > {said}.part; mv {said}.part {said}; exec sleep 100",
    )
    log, words = tmp_path / "log", ("--tools", str(tmp_path / "tools"))
    process = command(database, log, "backup", str(tmp_path / "b"), *words)
    end = time.monotonic() + 60
    while not said.exists():
        assert time.monotonic() < end
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    process.send_signal(stopped)
    assert process.wait(30) == 128 + stopped
    assert "Traceback" not in log.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "pid", "tools"]
    assert not Path(f"/proc/{said.read_text().strip()}").exists()


def test_a_full_disk_is_said_and_leaves_nothing(database: str, tmp_path: Path) -> None:
    """pg_dump's own words; what it had written is removed, for there is no room."""
    tool(tmp_path / "tools", "pg_dump", 99,
         'echo "pg_dump: error: could not write to file: No space left on device" >&2; exit 1')  # fmt: skip
    log, words = tmp_path / "log", ("--tools", str(tmp_path / "tools"))
    process = command(database, log, "backup", str(tmp_path / "b"), *words)
    assert process.wait(60) == 1
    assert "No space left on device" in log.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "tools"]


def test_the_unit_keeps_fourteen_backups_and_nothing_of_those_that_were_broken_off(
    database: str, tmp_path: Path
) -> None:
    """Its lines as they are, but for where Ringline is installed."""
    unit = (ROOT / "deploy" / "systemd" / "ringline-backup.service").read_text()
    for n in range(1, 16):
        (tmp_path / f"2026-01-{n:02}T000000Z").mkdir()
    (tmp_path / "2026-01-16T000000Z.part").mkdir()
    (tmp_path / "2026-01-16T000000Z.part" / "database.dump").write_bytes(b"half")
    env = {k: v for k, v in os.environ.items() if not k.startswith("RINGLINE_")}
    env |= {"RINGLINE_DATABASE_URL": database, "RINGLINE_SECRET_KEY": SECRET_KEY,
            "STATE_DIRECTORY": str(tmp_path), "PYTHONPATH": str(ROOT)}  # fmt: skip
    ours = sys.executable.replace(" ", "\\ ") + " -m app.cli"  # within quotes and without
    for name in ("ExecStartPre", "ExecStart", "ExecStartPost"):
        (line,) = re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)
        words = shlex.split(line.replace("%%", "%").replace("/opt/ringline/bin/ringline", ours))
        subprocess.run(words, env=env, check=True, timeout=60)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 14
    assert left[0] == "2026-01-03T000000Z"
    assert (tmp_path / left[-1] / "manifest.json").exists()


def test_a_tool_whose_dumps_the_server_would_not_take_is_passed_by(tmp_path: Path) -> None:
    """PostgreSQL 17's tools set `transaction_timeout`: a server of before refuses the whole restore."""
    newer = tool(tmp_path / "newer", "pg_dump", 18)
    with pytest.raises(ToolFailed, match="15 or newer, but older than 17, is needed"):
        postgres_tools.find("pg_dump", 15, newer.parent)
    assert postgres_tools.find("pg_dump", 17, newer.parent) == newer
    between = tool(tmp_path / "between", "pg_dump", 16)
    assert postgres_tools.find("pg_dump", 15, between.parent) == between
