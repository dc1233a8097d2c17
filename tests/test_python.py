"""Which Python `make` takes for its environment, with every one that is found made to say how fast it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "requirements" / "python.sh"
OWN = Path(f"/usr/bin/python3.{sys.version_info.minor}")
FAST, SLOW = 1, 10**9
"""Microseconds that no real Python needs for the script's loop."""


def chosen(path: Path) -> str:
    """What the script prints where nothing but this folder, and sh's own tools, is on PATH."""
    found = subprocess.run(
        ["/bin/sh", SCRIPT], env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def python(folder: Path, took: int) -> Path:
    """A Python of our version that says of the loop that it took so long."""
    made = folder / "python3"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    made.write_text(
        f'#!/bin/sh\ncase "$2" in *process_time*) echo {version} {took};;'
        f' *) exec "{sys.executable}" "$@";; esac\n'
    )
    made.chmod(0o755)
    return made


def able(own: Path) -> bool:
    """Whether the system's own can make environments."""
    return (
        os.access(own, os.X_OK)
        and not subprocess.run(
            [own, "-c", "import ensurepip, venv"], capture_output=True, check=False
        ).returncode
    )


@pytest.mark.parametrize("took", [FAST, SLOW])
def test_the_first_on_path_is_taken_unless_the_systems_own_is_faster(
    tmp_path: Path, took: int
) -> None:
    first = python(tmp_path, took)
    assert chosen(tmp_path) == str(OWN if took == SLOW and able(OWN) else first)


def test_one_that_is_too_old_or_makes_no_environments_is_passed_over(tmp_path: Path) -> None:
    later = python(tmp_path, FAST).rename(tmp_path / "python3.13")
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    assert chosen(tmp_path) == str(later)
