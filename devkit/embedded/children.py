"""Own child processes that end with this process, whichever way it ends."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launch.py")
IS_LINUX: bool = sys.platform == "linux"
LOG_LIMIT = 8 * 1024 * 1024
USE_YOUR_OWN = (
    "To use servers of your own instead, set RINGLINE_DATABASE_URL and RINGLINE_REDIS_URL, "
    "and give the demo --own-servers."
)


class EmbeddedError(RuntimeError):
    """A server could not be started or stopped; the text says why and what to do."""


@dataclass(frozen=True)
class RunAs:
    """The user that a server runs as."""

    uid: int
    gid: int
    name: str


class _Spawner:
    """One thread that starts every child and lives as long as the process.

    PR_SET_PDEATHSIG fires when the *thread* that forked ends, so a server that was started from a
    thread pool would die with its thread.
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[
            tuple[Future[subprocess.Popen[bytes]], Callable[[], subprocess.Popen[bytes]]]
        ] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._owner = 0  # the process the thread runs in: a fork does not take it along

    def start(self, spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Call `spawn` on the thread and hand back its process, or raise what it raised."""
        with self._lock:
            if self._owner != os.getpid():
                self._owner = os.getpid()
                threading.Thread(target=self._serve, name="embedded-spawner", daemon=True).start()
        order: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((order, spawn))
        return order.result()

    def _serve(self) -> None:
        while True:
            order, spawn = self._orders.get()
            try:
                order.set_result(spawn())
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                order.set_exception(error)


_spawner = _Spawner()


def _new_spawner() -> None:
    global _spawner  # noqa: PLW0603 - a lock held at the fork would be held for ever
    _spawner = _Spawner()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_spawner)


class Child:
    """A running server process.

    `command[0]` is an absolute path. Output is added to `log`. `keep_open` are descriptors that the
    server inherits (its folder's lock). `environment` is all that it sees, by default what
    `server_environment` gives. `death_signal` is what it gets when this process dies.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        log: Path,
        death_signal: signal.Signals,
        keep_open: Sequence[int] = (),
        run_as: RunAs | None = None,
        environment: Mapping[str, str] | None = None,
        watchdog: bool = not IS_LINUX,
    ) -> None:
        self.log = log
        reading, self._pipe = os.pipe() if watchdog else (-1, -1)
        uid, gid = (run_as.uid, run_as.gid) if run_as else (-1, -1)
        words = (os.getpid(), int(death_signal), uid, gid, reading)
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), *map(str, words), *command]
        inherited = [*keep_open, *([reading] if watchdog else [])]
        shorten_log(log)
        try:
            with log.open("ab") as output:
                self._process = _spawner.start(
                    lambda: subprocess.Popen(
                        launcher,
                        cwd=cwd,
                        env=server_environment() if environment is None else environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        pass_fds=inherited,
                        start_new_session=True,
                    )
                )
        except BaseException:
            self._release_watchdog()
            raise
        finally:
            if watchdog:
                os.close(reading)

    @property
    def pid(self) -> int:
        """The server's own pid: the launcher becomes the server."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs; else its exit status, negative for a signal."""
        status = self._process.poll()
        if status is not None:
            self._release_watchdog()
        return status

    def end(self, wishes: Sequence[tuple[signal.Signals, float]]) -> None:
        """Send each signal in turn and wait its seconds; then SIGKILL."""
        for wish, seconds in wishes:
            if self.exit_status() is not None:
                return
            self._process.send_signal(wish)
            self._process.send_signal(signal.SIGCONT)  # a frozen process cannot act on a wish
            if self._ended_within(seconds):
                return
        self._process.kill()
        self._process.wait()
        self._release_watchdog()

    def _ended_within(self, seconds: float) -> bool:
        # Popen.wait(timeout) polls with sleeps of up to 50 ms; most servers end sooner.
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.exit_status() is not None:
                return True
            time.sleep(0.003)
        return False

    def _release_watchdog(self) -> None:
        if self._pipe >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pipe, b".")
            os.close(self._pipe)
            self._pipe = -1


def server_environment() -> dict[str, str]:
    """What a server sees: no secrets of ours, no PG* variables, the C locale, times in UTC.

    Library paths are handed on: some Python installations do not start without theirs.
    """
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "LC_ALL": "C",
        "TZ": "UTC",
    }


def shorten_log(log: Path) -> None:
    """Begin a new log when the old one has grown large; the old one stays as `.1`."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(log.name + ".1"))


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, indented for an error text."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in lines) or "  (the log is empty)"


def await_ready(
    child: Child, is_ready: Callable[[], bool], *, name: str, seconds: float = 60
) -> None:
    """Return when the server answers; EmbeddedError when it has ended or takes too long."""
    end = time.monotonic() + seconds
    while not is_ready():
        status = child.exit_status()
        if status is None and time.monotonic() < end:
            time.sleep(0.003)
            continue
        what = (
            f"ended with status {status}" if status is not None else f"was silent {seconds:.0f} s"
        )
        raise EmbeddedError(
            f"{name} {what} while starting. The last lines of {child.log}:\n"
            f"{last_lines(child.log)}\n{USE_YOUR_OWN}"
        )
