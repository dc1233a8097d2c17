"""Commands that back the database up, and bring it back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app import backup as backups
from app.cli.answers import answer, command, step
from app.cli.base import actor, app, with_runtime
from app.infra.runtime import Runtime

Tools = Annotated[
    Path | None,
    typer.Option("--tools", help="Folder of pg_dump and pg_restore; else they are looked for."),
]


@command(app, "backup")
def backup(
    folder: Annotated[Path, typer.Argument(help="Where to put it: a new folder.")],
    tools: Tools = None,
) -> None:
    """Back the database up while service goes on; every sealed row is opened. Keys stay out."""
    step("Opening every sealed row and dumping the same moment; service goes on ...")

    async def work(runtime: Runtime) -> dict[str, Any]:
        return await backups.make(runtime, folder, actor(), tools)

    made = with_runtime(work)
    rows = sum(made["sealed"].values())
    answer(
        made,
        f"{folder} holds the database as of {made['at']} ({made['bytes']:,} bytes); {rows} sealed "
        "rows open.\nKeep RINGLINE_SECRET_KEY as well, and elsewhere: without it nobody can open "
        "them.",
    )


@command(app, "restore")
def restore(
    folder: Annotated[Path, typer.Argument(help="What `ringline backup` has made.")],
    tools: Tools = None,
) -> None:
    """Restore a backup into the empty database of the settings; every sealed row is opened."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        return await backups.restore(runtime, folder, actor(), tools)

    step("Restoring, and opening every sealed row ...")
    made = with_runtime(work)
    rows = sum(made["sealed"].values())
    more = " Run `ringline migrate` next." if made["needs_migration"] else ""
    answer(
        made,
        f"Restored as of {made['at']}; {rows} sealed rows open. What came later is lost.{more}",
    )
