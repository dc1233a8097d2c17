"""`ringline backup` and `ringline restore`: PostgreSQL's own tools, and proof that the keys fit.

A backup is a folder: `database.dump` (pg_dump's custom format) and `manifest.json`. The keys are
not in it: who has the backup alone can open nothing that rests sealed. Every sealed row is opened
in the very snapshot that is dumped, and again after a restore. What came after the backup is lost:
live clients are told so (their feeds begin anew), and a ring whose deadline has passed is a missed
call, which rings nowhere. Only Ringline's own schema is dumped, and what belongs
to the server, such as extensions, is not restored: a plain owner may not make it.
"""

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from datetime import UTC
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.audit.log import WHOLE_SERVER, Actor, record
from app.credentials import key_check, rotation
from app.infra import dumps, postgres_tools, schema
from app.infra.db import Connection, one
from app.infra.errors import AppError
from app.infra.outage import is_read_only
from app.infra.runtime import Runtime
from app.infra.server_urls import database_url

DUMP: Final = "database.dump"
MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
NEEDED: Final = {"at": str, "revision": str, "keys": list, "server_version": int, "sha256": str}
CHUNK: Final = 2**20
SNAPSHOT: Final = text("""
    SELECT pg_export_snapshot() AS snapshot, clock_timestamp() AS at, n.nspname AS schema
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = CAST('alembic_version' AS regclass)
""")
UNBOUNDED: Final = (
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL statement_timeout = 0",
)
"""A snapshot is held for as long as the dump takes."""


class BackupRefused(AppError):
    """It cannot be done as asked; says why."""

    status = 409


async def make(runtime: Runtime, folder: Path, actor: Actor, tools: Path | None) -> dict[str, Any]:
    """Back the database up into `folder`, which must not exist yet; returns the manifest.

    Raises BackupRefused when a sealed row does not open, ToolFailed when pg_dump cannot be had.
    """
    async with runtime.database.autocommit() as session:
        server = await _server_version(session)
    tool = postgres_tools.find("pg_dump", server, tools)
    begun = await asyncio.to_thread(_begin, folder)
    try:
        manifest = await _dump(runtime, tool, begun / DUMP)
        manifest |= {"server_version": server, **await asyncio.to_thread(_digest, begun / DUMP)}
        await asyncio.to_thread(_write, begun / MANIFEST, manifest)
        await asyncio.to_thread(begun.rename, folder)  # half a backup is never taken for one
    finally:
        await asyncio.to_thread(shutil.rmtree, begun, ignore_errors=True)
    async with runtime.database.transaction() as session:
        told = {"sha256": manifest["sha256"], "bytes": manifest["bytes"]}
        await _audited(session, actor, "backup.make", told)
    return manifest


async def _dump(runtime: Runtime, tool: Path, file: Path) -> dict[str, Any]:
    async with runtime.database.snapshot() as session:
        for setting in UNBOUNDED:
            await session.execute(text(setting))
        opened, failed = await key_check.open_all(session, runtime.keyring)
        _refuse_unopened(failed)
        found = await one(session, SNAPSHOT)
        assert found is not None
        words = ["--format=custom", "--no-owner", "--no-privileges", f"--file={file}",
                 f"--schema={dumps.quoted(found['schema'])}"]  # fmt: skip
        url = database_url(runtime.settings.database_url)
        await postgres_tools.run(tool, [*words, f"--snapshot={found['snapshot']}"], url)
        revision = await session.execute(text("SELECT version_num FROM alembic_version"))
        return {
            "format": FORMAT,
            "ringline": version("ringline"),
            "at": found["at"].astimezone(UTC).isoformat(timespec="milliseconds"),
            "revision": revision.scalar_one(),
            "tool_version": postgres_tools.version_of(tool),
            "sealed": opened,
            "keys": sorted(await rotation.marks(session)),
        }


async def restore(
    runtime: Runtime, folder: Path, actor: Actor, tools: Path | None
) -> dict[str, Any]:
    """Restore into the empty database of the settings; returns what was restored.

    Raises BackupRefused before anything is written: the backup is damaged or newer than this
    version, its key is not in RINGLINE_SECRET_KEY, or the database is not empty.
    """
    async with runtime.database.autocommit() as session:
        server = await _server_version(session)
        tables = await session.execute(
            text("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
        )
        if tables.scalar_one():
            raise BackupRefused(
                "not_empty", "the database of RINGLINE_DATABASE_URL is not empty: make a new one"
            )
    manifest = await asyncio.to_thread(_read, folder)
    _check(runtime, manifest, server)
    await _restore(runtime, folder / DUMP, _restoring_tool(manifest, server, tools))
    async with runtime.database.transaction() as session:
        opened, failed = await key_check.open_all(session, runtime.keyring)
        _refuse_unopened(failed)
        told = {"sha256": manifest["sha256"], "made_at": manifest["at"]}
        await _audited(session, actor, "backup.restore", told)
    behind = schema.standing(manifest["revision"]) is schema.Standing.OLDER
    return {"at": manifest["at"], "revision": manifest["revision"], "sealed": opened,
            "needs_migration": behind}  # fmt: skip


def _wrote(manifest: dict[str, Any]) -> int:
    """The version of the pg_dump that wrote it; of older backups at least that of their server."""
    return int(manifest.get("tool_version") or manifest["server_version"])


def _restoring_tool(manifest: dict[str, Any], server: int, tools: Path | None) -> Path:
    """What reads the dump: no older than what wrote it."""
    return postgres_tools.find("pg_restore", server, tools, least=_wrote(manifest))


async def _restore(runtime: Runtime, dump: Path, tool: Path) -> None:
    async with runtime.database.autocommit() as session:
        found = await session.execute(text("SELECT nspname FROM pg_namespace"))
        schemas = set(found.scalars())
    listing = await postgres_tools.run(tool, ["--list", str(dump)])
    words = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
    with tempfile.NamedTemporaryFile("w", prefix="ringline-", suffix=".list") as listed:
        listed.write(dumps.to_restore(listing, schemas))
        listed.flush()
        url = database_url(runtime.settings.database_url)
        await postgres_tools.run(tool, [*words, f"--use-list={listed.name}", str(dump)], url)


async def _audited(session: Connection, actor: Actor, act: str, told: dict[str, Any]) -> None:
    """Into the audit log, where its table is this version's: a backup comes before an upgrade.

    Of a standby, too, one may be made: there nothing can be written.
    """
    try:
        async with session.begin_nested():
            await record(session, actor, WHOLE_SERVER, act, "database", told)
    except Exception as error:
        if not isinstance(error, ProgrammingError) and not is_read_only(error):
            raise


def _check(runtime: Runtime, manifest: dict[str, Any], server: int) -> None:
    if schema.standing(manifest["revision"]) is schema.Standing.NEWER:
        raise BackupRefused(
            "backup_is_newer",
            f"the backup was made by a newer Ringline (revision {manifest['revision']}): install "
            "that one",
        )
    if manifest["server_version"] > server:
        raise BackupRefused(
            "server_is_older",
            f"the backup is of PostgreSQL {manifest['server_version']}, this server is {server}",
        )
    if _wrote(manifest) >= postgres_tools.SETS_MORE > server:
        raise BackupRefused(
            "server_is_older",
            f"the backup is by pg_dump {_wrote(manifest)}, whose dumps PostgreSQL {server} "
            f"does not take: restore it into PostgreSQL {postgres_tools.SETS_MORE} or newer",
        )
    missing = set(manifest["keys"]) - set(runtime.keyring.keys)
    if missing:
        raise BackupRefused(
            "wrong_key",
            "RINGLINE_SECRET_KEY does not hold the key that this backup rests under "
            f"(mark {', '.join(sorted(missing))}): set it again, as new:secret,old:secret",
        )


def _refuse_unopened(failed: list[str]) -> None:
    if failed:
        shown = ", ".join(failed[:5])
        raise BackupRefused(
            "does_not_open",
            f"{len(failed)} sealed rows do not open with RINGLINE_SECRET_KEY ({shown}): add the "
            "key that they rest under, or delete them",
        )


async def _server_version(session: Connection) -> int:
    found = await session.execute(text("SELECT current_setting('server_version_num')::int"))
    return int(found.scalar_one()) // 10_000


def _begin(folder: Path) -> Path:
    if folder.exists():
        raise BackupRefused("folder_exists", f"{folder} exists already: name a new folder")
    begun = folder.with_name(folder.name + ".part")
    try:
        begun.mkdir(mode=0o700)
    except FileExistsError as error:
        raise BackupRefused(
            "broken_off",
            f"{begun} is there: what is left of a backup that was broken off, or one that still "
            "runs. Remove it if none runs, or name another folder",
        ) from error
    except FileNotFoundError as error:
        raise BackupRefused(
            "no_folder", f"{begun.parent} is no folder to put it in: make it, or mount it"
        ) from error
    return begun


def _digest(file: Path) -> dict[str, Any]:
    """Its size and digest, once it is on the disk for good."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return {"bytes": file.stat().st_size, "sha256": digest.hexdigest()}


def _write(file: Path, manifest: dict[str, Any]) -> None:
    with file.open("w") as opened:
        json.dump(manifest, opened, indent=2)
        opened.flush()
        os.fsync(opened.fileno())


def _read(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        newer = manifest["format"] > FORMAT
        known = manifest["format"] == FORMAT and all(
            isinstance(manifest.get(name), kind) for name, kind in NEEDED.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupRefused("no_backup", f"{folder} holds no backup of Ringline's") from error
    if newer:
        raise BackupRefused("backup_is_newer", f"{folder} was made by a newer Ringline: install it")
    if not known:
        raise BackupRefused("damaged", f"{folder / MANIFEST} is not as `ringline backup` writes it")
    if manifest["sha256"] != _digest(folder / DUMP)["sha256"]:
        raise BackupRefused("damaged", f"{folder / DUMP} is not what its manifest says")
    return manifest
