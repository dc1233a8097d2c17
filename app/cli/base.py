"""What every command needs: the apps they hang on, and how they run and fail."""

import asyncio
import getpass
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import orjson
import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from app.audit.log import Actor
from app.cli.answers import wants_json
from app.cli.faults import REFUSED
from app.core.text import escaped, escaped_json
from app.credentials import key_check
from app.http.problems import NO_OBJECT, field_errors, sentence_of
from app.infra import clock
from app.infra.db import connect
from app.infra.fields import UserId
from app.infra.observe import set_up_logging
from app.infra.outage import is_transient
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings, get_settings, wants_details
from app.infra.vault import keyring

DEMO = Path(".ringline", "shell")
"""What `make demo` says to paste, while it runs."""
PATIENCE = 5.0
T = TypeVar("T")
USER_ID: TypeAdapter[str] = TypeAdapter(UserId)
Tenant = Annotated[str, typer.Option("--tenant", help="Name or id of the tenant.")]

app = typer.Typer(
    help="Ringline: a self-hosted ring service for apps with native call screens.\n\n"
    "Try `ringline demo` first. Settings are RINGLINE_* environment variables; "
    "`ringline doctor` says which are wrong and how to mend them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class _Terminal(Console):
    """A console that obeys its own marks alone, and nothing in a text that it is given."""

    def render_str(self, text: str, *args: Any, **how: Any) -> Text:
        """A text with marks, as in a cell of a table."""
        return super().render_str(escaped(text), *args, **how)


out = _Terminal(highlight=False)
err = _Terminal(stderr=True, highlight=False)


def group(name: str, sentence: str) -> typer.Typer:
    """A group of commands: `ringline NAME ...`."""
    made = typer.Typer(help=sentence, no_args_is_help=True)
    app.add_typer(made, name=name)
    return made


def actor() -> Actor:
    """Who runs this command, for the audit log."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        name = "unknown"
    return Actor("command", name=name)


def now() -> datetime:
    """The time, for showing days left."""
    return clock.now()


def fail(sentence: str, *, code: str = "refused", status: int = REFUSED) -> NoReturn:
    """Say what is wrong, on stderr, and end."""
    if wants_json():
        told = {"error": {"code": code, "detail": sentence}}
        sys.stderr.write(escaped_json(orjson.dumps(told).decode()) + "\n")
    else:
        err.print(f"[bold red]ringline:[/] {escape(sentence)}", soft_wrap=True)
    raise SystemExit(status)


def checked(read: Callable[[], T], option: str = "") -> T:
    """What was typed, as the API would take it; a field that will not do is named, and ends it.

    `option` is the one that holds JSON: what is none, or no object, is said of it.
    """
    try:
        return read()
    except ValidationError as error:
        first = error.errors()[0]
        sentence = sentence_of(error)
        if option and first["type"] == "json_invalid":
            sentence = f"{option}: is no JSON: {first['ctx']['error']}"
        elif option and not first["loc"] and first["type"] in NO_OBJECT:
            sentence = f'{option}: must be a JSON object: {{"name": value, ...}}'
        fail(sentence, code=field_errors(error.errors())[0]["code"])


def user_id(text: str) -> str:
    """A user's id as typed. Raises BadParameter."""
    try:
        return USER_ID.validate_python(text)
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from None


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"ringline {version('ringline')}\n")
        raise typer.Exit


@app.callback()
def _top(
    _asked: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which one this is."),
    ] = False,
) -> None:
    # Commands speak in sentences of their own; what serves sets its logging up by the settings.
    set_up_logging("debug" if wants_details() else "critical", "text")


def with_runtime(work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Run `work` with this process's settings and doors; SIGTERM ends it, its clean-up done."""

    async def run() -> T:
        task = asyncio.current_task()
        assert task is not None
        if threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        runtime = open_runtime(settings_or_fail())
        try:
            await runtime.database.learn_time()
            return await work(runtime)
        finally:
            await runtime.close()

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        raise SystemExit(128 + signal.SIGTERM) from None


def check_key(settings: Settings) -> bool:
    """End with one sentence if the key is not the database's; True if it has just become that.

    A database that is away now is no reason not to start.
    """

    async def run() -> bool:
        database = connect(settings)
        try:
            async with asyncio.timeout(PATIENCE):
                return await key_check.check(database, keyring(settings))
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except key_check.WrongSecretKey as error:
        fail(str(error))
    except Exception as error:
        if not is_transient(error):
            raise
        return False


def settings_or_fail() -> Settings:
    """The settings, if they allow to start."""
    settings = get_settings()
    faults = settings.weaknesses() + settings.unreadable()
    if faults:
        beside = f" Of the demo that runs here: `. {DEMO}`." if DEMO.is_file() else ""
        fail("; ".join(faults) + ". Try `ringline doctor`." + beside)
    keyring(settings)  # raises VaultError for ids that cannot be ids
    return settings


def handle_in(text: str) -> dict[str, str]:
    """A handle as typed, `phone:+49 30 1234567`, as requests have it; what it is not they say."""
    kind, _, value = text.partition(":")
    return {"kind": kind, "value": value}
