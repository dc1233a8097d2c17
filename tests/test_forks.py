"""The parent of our processes: what it forks is as if it had been started alone."""

import os
import signal
import subprocess
import sys

import pytest

from tests import forks

PLAIN = {"PATH": os.environ["PATH"], "RINGLINE_ENVIRONMENT": "development"}


def test_a_process_has_words_environment_and_end_of_its_own() -> None:
    said = forks.run("app.cli", "--version", env=PLAIN)
    assert (said.returncode, said.stdout.split()[0], said.stderr) == (0, "ringline", "")
    wide = forks.run("app.cli", "doctor", env=PLAIN | {"RINGLINE_PUBLIC_URL": "nonsense"})
    assert wide.returncode == 1
    assert "RINGLINE_PUBLIC_URL" in wide.stdout


def test_a_process_is_waited_for_and_ended(tmp_path) -> None:
    with (tmp_path / "log").open("wb") as log:
        child = forks.start(
            "app.cli", "simulator", "--folder", str(tmp_path), env=PLAIN,
            stdout=log.fileno(), stderr=log.fileno(),
        )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    assert child.poll() is None
    assert os.getpgid(child.pid) == child.pid
    child.kill()
    assert child.wait(60) == -signal.SIGKILL
    assert child.poll() == -signal.SIGKILL


@pytest.mark.parametrize("way", ["plain", "refused", "numbered", "failed", "interrupted"])
def test_a_process_ends_as_any_python_does(way: str) -> None:
    """Though it does not take apart what it has imported."""
    here = forks.run("tests.ending", way, env=PLAIN)
    there = subprocess.run(
        [sys.executable, "-m", "tests.ending", way],
        cwd=forks.ROOT, env=PLAIN, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (here.returncode, here.stdout) == (there.returncode, there.stdout)
    assert here.stdout.splitlines()[-1] == "what is to be done at the end"
    assert here.stderr.splitlines()[-1:] == there.stderr.splitlines()[-1:]
