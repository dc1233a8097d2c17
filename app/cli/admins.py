"""Commands for administrators: who may use the dashboard."""

import sys
from typing import Annotated

import typer

from app.cli.base import actor, err, group, settings_or_fail, with_runtime
from app.dashboard import admins
from app.infra.runtime import Runtime

admin_app = group("admin", "Administrators: who may use the dashboard.")


@admin_app.callback()
def _group() -> None:
    """Administrators: who may use the dashboard."""


@admin_app.command("create")
def admin_create(
    email: str,
    role: Annotated[str, typer.Option(help="owner, operator or viewer.")] = "owner",
    reset: Annotated[
        bool, typer.Option("--reset", help="If there is one, give them a new password.")
    ] = False,
) -> None:
    """Make an administrator of the dashboard; prints a password for the first sign-in, once."""

    async def work(runtime: Runtime) -> str:
        if reset:
            return await admins.create_or_reset(runtime, email, actor=actor())
        return await admins.create(runtime, email, role, actor=actor())

    sys.stdout.write(with_runtime(work) + "\n")
    url = f"{settings_or_fail().public_url}/dashboard"
    err.print(f"Sign in at {url} with this password; you choose your own there.")
