"""Commands for administrators: who may use the dashboard."""

from typing import Annotated

import typer

from app.cli.answers import answer, command, step
from app.cli.base import actor, group, settings_or_fail, with_runtime
from app.dashboard import admins
from app.infra.runtime import Runtime

admin_app = group("admin", "Administrators: who may use the dashboard.")


@admin_app.callback()
def _group() -> None:
    """Administrators: who may use the dashboard."""


@command(admin_app, "create")
def admin_create(
    email: Annotated[str, typer.Argument(help="Their mail address, with which they sign in.")],
    role: Annotated[
        str | None, typer.Option(help="owner (if not said), operator or viewer.")
    ] = None,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset", help="If there is one, give them a new password; second factors go."
        ),
    ] = False,
) -> None:
    """Make an administrator of the dashboard; prints a password for the first sign-in, once."""

    async def work(runtime: Runtime) -> str:
        if reset:
            return await admins.create_or_reset(runtime, email, role, actor=actor())
        return await admins.create(runtime, email, role or "owner", actor=actor())

    password = with_runtime(work)
    url = f"{settings_or_fail().public_url}/dashboard"
    answer({"email": email, "one_time_password": password, "sign_in_at": url}, password)
    step(f"Sign in at {url} with this password within a day; you choose your own there.")
