"""All commands, and how one is run. To import them takes a second."""

import traceback

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
from app.cli.answers import fit_terminal
from app.cli.base import app, fail
from app.cli.faults import OURS, fault_of
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


def run() -> None:
    """Run the command that was typed: whatever goes wrong ends in a sentence and an exit status."""
    fit_terminal()
    try:
        app()
    except Exception as error:  # noqa: BLE001  (a person reads it)
        fault = fault_of(error)
        if fault.status == OURS and wants_details():
            traceback.print_exc()
        fail(fault.sentence, code=fault.code, status=fault.status)
