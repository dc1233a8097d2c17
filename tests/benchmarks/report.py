"""What was measured: one table for people, one JSON file for machines."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devkit.embedded.wheels import postgres_install, valkey_server

TARGETS = {
    "engine_cpu_ratio": (0.15, "CPU a push, our engine over raw aioapns"),
    "webpush_crypto_ratio": (1.6, "CPU of a Web Push, over its cryptography alone"),
    "webpush_peer_ratio": (0.5, "CPU of a Web Push, over pywebpush's"),
    "fcm_peer_ratio": (0.5, "CPU of an FCM message, over firebase-admin's"),
    "ring_cpu_ratio": (1.4, "CPU of API and worker a durable ring, over raw aioapns a push"),
    "ring_postgres_ratio": (0.6, "PostgreSQL's CPU a durable ring, over raw aioapns a push"),
    "ring_latency_ratio": (1.8, "p50 request to push received, over a bare Celery task's start"),
    "ring_latency_p99_over_p50": (2.0, "the same path, its p99 over its p50"),
    "fanout_ratio": (1.7, "700 pushes of one group ring, over the bare engine's 700"),
    "first_phone_ms_ratio": (2.0, "the first of those 700, over the p50 of one ring at rest"),
    "told_ratio": (10.0, "accept to the last of 49 others told, over reading a call"),
    "neighbour_p99_ratio": (1.5, "p99 of a tenant's rings beside another's flood, over alone"),
    "wishes_ratio": (1.05, "ring CPU where all have preferences, blocks and a past, over none"),
    "webhook_cpu_ratio": (1.5, "CPU of a worker a delivery, over a bare POST by the same client"),
    "large_accept_ratio": (1.2, "CPU of API and PostgreSQL an accept, 350 members over 10"),
    "growth_ratio": (1.2, "ring CPU with many devices and past calls, over 1,000 and none"),
    "growth_postgres_ratio": (1.3, "PostgreSQL's CPU a ring, the same, with registrations beside"),
    "rest_statements": (40, "statements a second at rest, one API process and four workers"),
    "missed_a_second": (8_000, "missed ends written by one worker in a second"),
}
AT_LEAST = {"missed_a_second"}
"""Where more is better."""
PACKAGES = ("aioapns", "celery", "fastapi", "uvicorn", "uvloop", "sqlalchemy", "asyncpg", "redis")


def surroundings(server: str) -> dict[str, Any]:
    """Versions and machine."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision,
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "load_before": [round(one, 2) for one in os.getloadavg()],
        "apple_played_by": server,
        "python": platform.python_version(),
        "postgresql": _version(str(postgres_install()[0] / "bin" / "postgres")),
        "valkey": _version(str(valkey_server())),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.strip()


def write(found: dict[str, Any], path: Path) -> None:
    """Write the JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def show(found: dict[str, Any]) -> None:
    """Print the table: targets first, then what stands beside them."""
    console = Console(highlight=False)
    table = Table(
        title="Ringline, in ratios to peers measured in the same run", title_justify="left"
    )
    for column in ("key", "found", "target", "", "what"):
        table.add_column(column, justify="right" if column in {"found", "target"} else "left")
    for key, (target, what) in TARGETS.items():
        if key in found:
            more = key in AT_LEAST
            met = found[key] >= target if more else found[key] <= target
            verdict = "[green]met[/]" if met else "[red]not met[/]"
            table.add_row(
                key, f"{found[key]:.3f}", f"{'>=' if more else '<='} {target:g}", verdict, what
            )
    console.print(table)
    beside = Table(title="Beside it", title_justify="left", show_header=False)
    for key, value in found.items():
        if key not in TARGETS and not isinstance(value, dict):
            beside.add_row(key, str(value))
    console.print(beside)
