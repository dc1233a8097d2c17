"""Ctrl-C while a command's modules are imported: one line, status 130, no traceback."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app import cli
from app.cli import commands

ROOT = Path(__file__).resolve().parents[2]
SAID = "ringline: stopped before it began"
STILL_IMPORTING = {
    ("--version",): "sqlalchemy.engine",
    ("tenant", "list"): "app.infra.settings",
    ("doctor",): "app.webhooks.publish",
    ("migrate",): "typer",
    ("api",): "uvicorn.config",
    ("simulator",): "devkit.simulator.apple",
    ("demo",): "devkit.embedded.children",
}
"""What is imported when it is pressed: of all commands at first, or of this one later."""


WAITS = """
import sys


class Waits:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            print("imports it", file=sys.stderr, flush=True)
            sys.stdin.readline()


sys.meta_path.insert(0, Waits())
"""
"""A command that waits, where it begins to import a module, until it is told to go on."""


def pressed_at(words: tuple[str, ...], module: str, folder: Path, **how: object) -> tuple[int, str]:
    """Run a command, press Ctrl-C while Python imports this; status, and stderr."""
    (folder / "sitecustomize.py").write_text(WAITS.format(module=module))
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *words],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder)},
        **how,  # type: ignore[arg-type]
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == "imports it\n"
        process.send_signal(signal.SIGINT)  # comes before the line does
        _, said = process.communicate("go on\n", timeout=60)
        return process.returncode, said.rstrip()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize(("words", "module"), STILL_IMPORTING.items(), ids=str)
def test_it_ends_in_one_line(words: tuple[str, ...], module: str, tmp_path: Path) -> None:
    assert pressed_at(words, module, tmp_path) == (130, SAID)


def test_who_is_told_to_ignore_it_goes_on(tmp_path: Path) -> None:
    """As `nohup` does, and a shell with what it runs in the background."""

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    status, said = pressed_at(("--version",), "typer", tmp_path, preexec_fn=ignore)
    assert (status, said) == (0, "")


def test_what_is_imported_is_not_looked_through_and_what_a_command_makes_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rubbish of imports is none; a server's is."""
    told: list[object] = []
    monkeypatch.setattr(
        gc, "freeze", lambda: told.append(("frozen, while off", not gc.isenabled()))
    )
    monkeypatch.setattr(commands, "run", lambda: told.append(("run, while on", gc.isenabled())))
    cli.main()
    assert told == [("frozen, while off", True), ("run, while on", True)]
