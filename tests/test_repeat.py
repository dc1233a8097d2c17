"""`make test-repeat` goes on after a failure, and says at its end what failed in which runs."""

from pathlib import Path

from tests.in_a_folder import run

SELDOM = """
import os
def test_holds(): pass
def test_fails_seldom():
    assert os.environ["RINGLINE_TEST_SEED"] != "8", "by its seed"
"""
SAID = """--- failed in 1 of 4: test_it.py::test_fails_seldom
      run 2, seed 8: build/repeat/2.txt
--- 1 of 4 runs failed. The first of them again:
"""


def test_what_fails_seldom_is_named_with_its_seeds_and_kept(tmp_path: Path) -> None:
    done = run(
        tmp_path, SELDOM, "tests.repeat", "-ra", "-p", "_hypothesis_pytestplugin",
        RINGLINE_TEST_RUNS="2", RINGLINE_TEST_SEED="7",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert SAID in done.stdout, done.stdout + done.stderr
    assert "by its seed" in (tmp_path / "build/repeat/2.txt").read_text()
    assert "2 passed" in (tmp_path / "build/repeat/4.txt").read_text()
