"""Ctrl-C while a command's modules are imported: one line, status 130, no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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


def pressed_at(words: tuple[str, ...], module: str, folder: Path, **how: object) -> tuple[int, str]:
    """Run a command, press Ctrl-C when Python has told that it imported this; status, and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "app.cli", *words],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)}, **how,  # type: ignore[arg-type]
    )  # fmt: skip
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            told, _, name = line.rpartition("|")
            if not told.startswith("import time:"):
                said.append(line.rstrip())
            elif name.strip() == module:
                process.send_signal(signal.SIGINT)
        return process.wait(30), "\n".join(said)
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
