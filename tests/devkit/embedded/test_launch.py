"""Processes that end with their parent, by prctl and by watchdog, from any thread."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devkit.embedded import Valkey
from devkit.embedded.children import IS_LINUX, LAUNCHER, Child, last_lines, shorten_log
from devkit.embedded.locks import process_command, process_started, try_flock
from tests.devkit.embedded.people import eventually, repository

WAYS = [False, True] if IS_LINUX else [True]
SLEEP = ["/bin/sleep", "600"]
PARENT = """
import signal, sys, threading, time
from pathlib import Path
from devkit.embedded.children import Child
child = Child(["/bin/sleep", "600"], cwd=Path("/"), log=Path(sys.argv[1]),
              death_signal=signal.SIGTERM, watchdog=sys.argv[2] == "True")
print(child.pid, flush=True)
time.sleep(600)
"""


@contextmanager
def child_of(log: Path, watchdog: bool, **more) -> Iterator[Child]:
    child = Child(
        SLEEP, cwd=Path("/"), log=log, death_signal=signal.SIGTERM, watchdog=watchdog, **more
    )
    try:
        assert eventually(lambda: process_command(child.pid) == " ".join(SLEEP))
        yield child
    finally:
        child.end([])


@pytest.mark.parametrize("watchdog", WAYS)
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_ends_with_its_parent(
    tmp_path: Path, watchdog: bool, frozen: bool, by: signal.Signals
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log"), str(watchdog)],
        stdout=subprocess.PIPE,
        cwd=repository(),
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        started = process_started(child)
        assert eventually(lambda: process_command(child) == " ".join(SLEEP))
        if frozen:
            os.kill(child, signal.SIGSTOP)
        parent.send_signal(by)
    if frozen and not watchdog:  # the kernel's signal waits; devkit.embedded.locks wakes such ones
        os.kill(child, signal.SIGCONT)
    assert eventually(lambda: process_started(child) != started)


@pytest.mark.parametrize("watchdog", WAYS)
def test_a_lock_that_the_child_inherits_ends_with_it(tmp_path: Path, watchdog: bool) -> None:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    another = os.open(tmp_path / "lock", os.O_RDWR)
    with child_of(tmp_path / "log", watchdog, keep_open=[descriptor]) as child:
        os.close(descriptor)
        assert not try_flock(another)
        child.end([(signal.SIGTERM, 5)])
        assert child.exit_status() == -signal.SIGTERM
        assert eventually(lambda: try_flock(another))
    os.close(another)


@pytest.mark.skipif(not IS_LINUX, reason="a watchdog does not depend on threads")
def test_the_end_of_the_starting_thread_is_not_the_end_of_the_server() -> None:
    server = Valkey()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        assert not eventually(lambda: not server.is_running(), seconds=0.3)
        assert server._is_ready()
    finally:
        server.close()
    assert not server.is_running()


@pytest.mark.parametrize("watchdog", WAYS)
def test_signals_of_the_child_are_as_a_server_expects(tmp_path: Path, watchdog: bool) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with child_of(tmp_path / "log", watchdog) as child:
            status = Path(f"/proc/{child.pid}/status")
            masks = dict(
                line.split(":\t") for line in status.read_text().splitlines() if ":\t" in line
            )
            assert int(masks["SigBlk"], 16) == 0
            # but for the two that the C library keeps to itself
            settable = sum(1 << (number - 1) for number in signal.valid_signals())
            assert int(masks["SigIgn"], 16) & settable == 0
            assert os.getsid(child.pid) == child.pid
    finally:
        signal.signal(signal.SIGHUP, hangup)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.skipif(not IS_LINUX, reason="there is no prctl")
def test_a_parent_that_is_gone_already_is_noticed() -> None:
    words = ["1", str(int(signal.SIGTERM)), "-1", "-1", "-1", *SLEEP]
    assert subprocess.run([sys.executable, LAUNCHER, *words], check=False).returncode == 75


def test_no_descriptor_leaks(tmp_path: Path) -> None:
    def count() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    with child_of(tmp_path / "log", True):
        pass
    before = count()
    for watchdog in WAYS:
        with child_of(tmp_path / "log", watchdog):
            pass
    server = Valkey(tmp_path / "valkey")
    for _ in range(2):
        server.start()
        server.stop()
    server.close()
    assert count() == before


def test_a_large_log_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 9_000_000)
    shorten_log(log)
    assert not log.exists()
    assert (tmp_path / "log.1").stat().st_size == 9_000_000
    assert last_lines(log) == "  (no log)"
    log.write_bytes(b"one\n\xfftwo\n")
    assert last_lines(log, 1) == "  \ufffdtwo"
