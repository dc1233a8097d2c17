"""All commands, and how one is run. To import them takes a second."""

import shutil
import sys
import traceback
from itertools import takewhile
from typing import Final, NoReturn

import typer
from typer.exceptions import TyperException

from app.cli import (
    admins,
    apps,
    backups,
    calls,
    capacity,
    credentials,
    devices,
    payloads,
    servers,
    tenants,
    users,
)
from app.cli.answers import fit_terminal, for_machines
from app.cli.base import app, fail
from app.cli.faults import MISTYPED, OURS, REFUSED, fault_of
from app.infra.settings import wants_details

__all__ = [
    "admins",
    "app",
    "apps",
    "backups",
    "calls",
    "capacity",
    "credentials",
    "devices",
    "payloads",
    "run",
    "servers",
    "tenants",
    "users",
]


NARROW: Final = 80
"""Columns of a terminal below which help is plain lines: its boxes would cut options off."""


def run() -> None:
    """Run the command that was typed: whatever goes wrong ends in a sentence and an exit status."""
    fit_terminal()
    app.rich_markup_mode = "rich" if shutil.get_terminal_size().columns >= NARROW else None
    try:
        if "--json" in takewhile(lambda word: word != "--", sys.argv[1:]):
            _run_for_a_machine()
        app()
    except Exception as error:  # noqa: BLE001  (a person reads it)
        fault = fault_of(error)
        if fault.status == OURS and wants_details():
            traceback.print_exc()
        fail(fault.sentence, code=fault.code, status=fault.status)


def _run_for_a_machine() -> NoReturn:
    """What was mistyped is said in JSON too, where typer would draw a box for people."""
    try:
        status = app(standalone_mode=False)
    except typer.Abort:
        for_machines()
        fail("it was interrupted", code="interrupted", status=REFUSED)
    except TyperException as error:
        for_machines()
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        fail(f"{said} `--help` shows what there is.", code="mistyped", status=MISTYPED)
    raise SystemExit(status if isinstance(status, int) else 0)
