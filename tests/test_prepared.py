"""xdist's processes are forked from one that has imported; what they are is what they always were."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import forks, prepared

LINUX = sys.platform == "linux"


@pytest.mark.skipif(not LINUX or Path.cwd() != forks.ROOT, reason="xdist starts its own there")
def test_they_are_forked_and_given_a_parent_of_their_own() -> None:
    """Or each imports everything once more, and that is only slow."""
    by_xdist = "PYTEST_XDIST_WORKER" in os.environ
    assert bool(forks._given) == by_xdist
    if by_xdist:
        parent = Path(f"/proc/{os.getppid()}/cmdline").read_text().split("\0")
        assert parent[1:3] == ["-m", "tests.prepared"]
        assert sys.argv == ["-c"]


def test_what_is_imported_is_what_would_be_collected(tmp_path: Path) -> None:
    whole = list(prepared._names(["tests"]))
    assert {"tests.conftest", "tests.test_prepared", "tests.core.test_text"} <= set(whole)
    assert not any(name.startswith("tests.houses") for name in whole)
    parts = [set(prepared._names(["tests"], which)) for which in ("without", "only")]
    assert set(whole) == parts[0] | parts[1]
    assert __name__ in parts[1] - parts[0]
    assert list(prepared._names(["tests/test_prepared.py::test_x[a/b]"])) == [__name__]
    (tmp_path / "test_elsewhere.py").touch()
    assert list(prepared._names(["tests/nowhere", str(tmp_path)])) == []


def test_asserts_say_what_was_compared() -> None:
    with pytest.raises(AssertionError, match=r"(?s)1 == 2.*where 1 = len"):
        assert len([0]) == 2


DIES = """
import os, sys

def test_dies():
    os._exit(3)

def test_lives():
    assert sys.argv == ["-c"]
"""


def test_what_cannot_be_imported_is_told_and_who_died_is_replaced() -> None:
    """Without our conftest, which would have all of Ringline imported: what two files need is pytest."""
    with tempfile.TemporaryDirectory(prefix=".", dir=forks.ROOT / "tests") as name:
        Path(name, "test_broken.py").write_text("import nowhere")
        Path(name, "test_dies.py").write_text(DIES)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider",
             "--noconftest", "-p", "tests.prepared", name],
            cwd=forks.ROOT, capture_output=True, text=True, check=False,
            env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        )  # fmt: skip
    assert "No module named 'nowhere'" in done.stdout, done.stdout + done.stderr
    assert "crashed while running" in done.stdout
    assert "1 failed, 1 passed, 1 error" in done.stdout
    assert done.stderr == ""
