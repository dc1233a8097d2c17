"""The parent of our processes: what it forks is as if it had been started alone."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import forks
from tests.e2e.test_demo import alive

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


def one_more(of: socket.socket) -> tuple[forks.Child, socket.socket]:
    """A parent that this one has forked, and the way to it."""
    mine, theirs = forks.pair()
    with theirs, Path(os.devnull).open("r+b") as nothing:
        fds = [nothing.fileno(), nothing.fileno(), 2, theirs.fileno()]
        return forks.ask(of, [forks.PARENT, str(theirs.fileno())], os.environ, fds), mine


def test_a_forked_parent_ends_with_its_way_and_ends_what_it_left_but_for_parents(tmp_path) -> None:
    first, way = one_more(forks.parent())
    second, further_way = one_more(way)
    with Path(os.devnull).open("r+b") as nothing:
        words = ["app.cli", "simulator", "--folder", str(tmp_path)]
        left = forks.ask(further_way, words, PLAIN, [nothing.fileno()] * 3)
    way.close()
    assert first.wait(10) == 0
    assert left.poll() is None, "its own parent is there, though that one's is gone"
    further_way.close()
    for one in (left, second):
        with pytest.raises(AssertionError, match="is gone"):  # who would have told how it ended
            one.wait(10)
        one.close()
    until = time.monotonic() + 10
    while alive(left.pid):
        assert time.monotonic() < until
        time.sleep(0.02)
