"""`make test`'s second look: what fails beside others and passes alone is told, and passes."""

from pathlib import Path

import pytest

from tests.in_a_folder import run

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
    done = run(tmp_path, body, "tests.again", PYTEST_PLUGINS="xdist.plugin")
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr
