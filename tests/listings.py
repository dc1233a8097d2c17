"""The pages of commands, of problem codes and of a tenant's settings, made from the code.

`tests/reference.py` writes them with the others, as `make reference` does.
"""

import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import typer

from app.api.problem_codes import CODES, OF_OPERATION
from app.cli.commands import app as cli
from app.tenants.schemas import TenantSettings

COMMANDS_HEAD = """# Commands

Each command of `ringline`, as its `--help` has it. Made from the code by `make reference`. Settings are environment
variables ([operation](../guides/operation.md#settings)): give a command those of the server's processes. `--json`, which
most take, answers for machines: a refusal is `{"error": {"code", "detail"}}`. The status is 0, 1 where it was refused or a check
failed, 2 where it was mistyped, 3 where a server that it needs does not serve, and 70 where the fault is Ringline's own.
"""
PROBLEMS_HEAD = """# Problem codes

A refusal is `application/problem+json` (RFC 9457) with one of these as its `code`, which stays as it is; sentences may change.
Made from the code by `make reference`. Who tells it are operations, by the names that the clients have; where many do, how many.
What to do about those that any request may meet: [requests](../guides/requests.md). Beside these: a request that reaches no operation
is `not_found` (404), `method_not_allowed` (405) or `http_` with its status; a row that cannot be read is `unreadable_row` (500), any
other fault of Ringline's own `internal_error` (500).

| code | status | such as | told by |
|---|---|---|---|
"""
SETTINGS_HEAD = """# Settings of a tenant

What `GET` and `PUT /v1/settings`, `ringline tenant settings` and the dashboard show and set; what is absent has its default.
Made from the code by `make reference`. Names, defaults and bounds within `limits` and `rate_limits`: [limits](../guides/limits.md).

| setting | default | meaning |
|---|---|---|
"""
MANY = 4
"""Operations of which each is named; of more it is said how many."""


def _cell(text: str) -> str:
    """On one line, with nothing that a page would take for a column, or for HTML and leave out."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part if n % 2 else part.replace("<", "\\<") for n, part in enumerate(parts))


@functools.cache
def commands() -> tuple[tuple[str, Any], ...]:
    """(words, command) of all there are."""
    return tuple(_commands(typer.main.get_command(cli), "ringline"))


def _commands(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    for name, one in group.commands.items():
        words = f"{before} {name}"
        if hasattr(one, "commands"):
            yield from _commands(one, words)
        else:
            yield words, one


def _parameter(one: Any) -> str:
    """A row: what is typed, and what it says with its default."""
    names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
    if one.param_type_name == "argument":
        names = f"`{one.name.upper()}`"
    said = _cell(one.help or "")
    bounds = re.sub(r"^(INTEGER|FLOAT|UUID)\b *", "", one.metavar or "")
    if bounds and bounds.split("|")[0] not in said:
        said += (
            f" {_cell(bounds[0].upper() + bounds[1:] if bounds.startswith('from') else bounds)}."
        )
    if one.required:
        said = f"Required. {said}"
    elif one.default is not None and one.default is not False and one.default != []:
        said += f" Default: `{one.default}`."
    return f"| {names} | {said} |"


def commands_page() -> str:
    """Every command with what it takes."""
    parts = [COMMANDS_HEAD]
    for words, command in sorted(commands()):
        text = "\n\n".join(_cell(part) for part in re.split(r"\n\s*\n", command.help or ""))
        rows = [_parameter(one) for one in command.params if not getattr(one, "hidden", False)]
        rows = [row for row in rows if not row.startswith(("| `--help`", "| `--json`"))]
        table = "\n\n| | |\n|---|---|\n" + "\n".join(rows) if rows else ""
        parts.append(f"## `{words}`\n\n{text}{table}\n")
    return "\n".join(parts)


def problems_page() -> str:
    """Every code with its status, an example and who tells it."""
    told: dict[str, list[str]] = defaultdict(list)
    for operation, codes in OF_OPERATION.items():
        for code in dict.fromkeys(codes.split()):
            told[code].append(operation)
    rows = []
    for code, (status, example) in CODES.items():
        by = told[code]
        who = ", ".join(f"`{one}`" for one in by) if len(by) <= MANY else f"{len(by)} operations"
        rows.append((status, f"| `{code}` | {status} | {_cell(example)} | {who or 'all'} |"))
    return PROBLEMS_HEAD + "\n".join(row for _, row in sorted(rows, key=lambda r: r[0])) + "\n"


def settings_page() -> str:
    """Every setting of a tenant with its default and meaning."""
    rows = []
    for name, field in TenantSettings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = default.model_dump(exclude_none=True) if hasattr(default, "model_dump") else default
        rows.append(f"| `{name}` | `{json.dumps(shown)}` | {_cell(field.description or '')} |")
    return SETTINGS_HEAD + "\n".join(rows) + "\n"


def pages() -> dict[str, str]:
    """Text by file name."""
    return {
        "commands.md": commands_page(),
        "problems.md": problems_page(),
        "settings.md": settings_page(),
    }
