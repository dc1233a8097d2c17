"""`make test-repeat` goes on after a failure, and says at its end what failed in which runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
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
    (tmp_path / "test_it.py").write_text(SELDOM)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.repeat", "-ra", "-p", "_hypothesis_pytestplugin"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "RINGLINE_TEST_RUNS": "2",
            "RINGLINE_TEST_SEED": "7",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert SAID in done.stdout, done.stdout + done.stderr
    assert "by its seed" in (tmp_path / "build/repeat/2.txt").read_text()
    assert "2 passed" in (tmp_path / "build/repeat/4.txt").read_text()
