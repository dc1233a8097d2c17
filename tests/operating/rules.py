"""The rules, the board, which metrics they read, and commands that papers and files name."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "ringline.rules.yaml"
RECORDED = ROOT / "deploy" / "prometheus" / "tests"
BOARD = ROOT / "deploy" / "grafana" / "ringline.json"
RUNBOOK = ROOT / "docs" / "runbook"


def alarms() -> list[str]:
    """Every alarm, in the rules' order."""
    return re.findall(r"^\s*- alert: (\w+)$", RULES.read_text(), re.MULTILINE)


def names_in(text: str) -> set[str]:
    """The series of ours that queries read."""
    return set(re.findall(r"\bringline_\w+", text))


@functools.cache
def _ours() -> Any:
    """All commands: to make them takes some hundredths of a second."""
    import typer

    from app.cli.commands import app

    return typer.main.get_command(app)


def check_command(words: Sequence[str]) -> None:
    """Fail unless these are a command of ours with options that it has."""
    left: list[str] = list(words)
    found: Any = _ours()
    while hasattr(found, "commands") and left:
        found = found.commands[left.pop(0)]
    known = {name for one in found.params for name in (*one.opts, *one.secondary_opts)}
    assert {word for word in left if word.startswith("--")} <= known, words
