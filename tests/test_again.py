"""`make test`'s second look: what fails beside others and passes alone is told, and passes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ONCE = """
import pathlib
def test_fails_the_first_time():
    seen = pathlib.Path("seen")
    first = not seen.exists()
    seen.touch()
    assert not first
"""
MANY = """
import pytest
@pytest.mark.parametrize("number", range(4))
def test_fails_the_first_time(number):
    import pathlib
    seen = pathlib.Path(f"seen{number}")
    first = not seen.exists()
    seen.touch()
    assert not first
"""


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (ONCE, 0, "UNSTEADY"),
        ("def test_fails(): assert False", 1, "by themselves, 1 of 3"),
        (MANY, 1, "4 failed"),
        ("def test_holds(): assert True", 0, "1 passed"),
    ],
    ids=["unsteady", "broken", "too-many", "well"],
)
def test_second_look(tmp_path: Path, body: str, code: int, said: str) -> None:
    (tmp_path / "test_it.py").write_text(body)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.again"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "xdist.plugin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr
