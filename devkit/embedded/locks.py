"""Who holds a folder, told by flock, and whether a process lives, told by pid and start time."""

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from devkit.embedded.children import IS_LINUX, EmbeddedError

LOCK_NAME = "in-use.lock"
SECONDS_TO_END = 15.0


def process_started(pid: int) -> str | None:
    """When the process began, as text to compare; None if there is none or it is a zombie.

    `kill(pid, 0)` would say that a zombie lives, and where PID 1 does not reap it stays for ever;
    and a pid alone may belong to another process by now.
    """
    if IS_LINUX:
        try:
            fields = (
                Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            )
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    state, _, started = _ps(pid, "stat=,lstart=").partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def process_command(pid: int) -> str:
    """The command line of a living process; "" if there is none or it is a zombie."""
    if IS_LINUX:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return ""
        return os.fsdecode(b" ".join(words)).strip()
    return _ps(pid, "command=")


def _ps(pid: int, columns: str) -> str:
    command = ["ps", "-o", columns, "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout.strip()


class FolderLock:
    """Exclusive use of a folder, by flock on a file in it.

    The server inherits the descriptor, so the lock lasts until this process *and* every process of
    the server have gone, and never longer: no pid has to be asked whether it lives. The file names
    the owner and its server, for error texts and for servers that were frozen when their owner
    died.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """For the server to inherit. EmbeddedError unless held."""
        if self._descriptor is None:
            raise EmbeddedError(f"the lock of {self.folder} is not held")
        return self._descriptor

    def acquire(self) -> None:
        """Take the lock. While only the servers of a dead owner hold it, see them off.

        EmbeddedError if a living process has it, or if another user made the folder.
        """
        try:
            descriptor = os.open(self.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except PermissionError as error:
            raise EmbeddedError(
                f"{self.folder} was made by another user ({error.strerror}: {error.filename}). "
                "Run this as that user, or choose or remove the folder."
            ) from error
        try:
            free = _wait_for_flock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if not free:
            whose = _by_whom(descriptor)
            os.close(descriptor)
            raise EmbeddedError(
                f"{self.folder} is already in use{whose}. "
                "Stop that one first, or choose another folder."
            )
        self._descriptor = descriptor
        self.name_server(None)

    def name_server(self, pid: int | None) -> None:
        """Note which process the lock is for; None: there is none yet."""
        owner = os.getpid()
        note = {
            "owner": [owner, process_started(owner)],
            "server": pid and [pid, process_started(pid)],
        }
        self._write(json.dumps(note))

    def release(self) -> None:
        """Give it up if it is held; processes of the server keep it until they have ended."""
        if self._descriptor is not None:
            self._write("")
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, text: str) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode(), 0)


def try_flock(descriptor: int) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock file, waiting for whoever has it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def end_orphan(descriptor: int, wish: signal.Signals) -> None:
    """Signal the server of a lock whose owner is dead, if it still runs, frozen or not."""
    server = _noted(descriptor, "server")
    if server is not None and _noted(descriptor, "owner") is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(server, wish)
            os.kill(server, signal.SIGCONT)


def _wait_for_flock(descriptor: int) -> bool:
    """Whether the lock came free: at once, or as a dead owner's server ended."""
    begin = time.monotonic()
    while not try_flock(descriptor):
        waited = time.monotonic() - begin
        if _noted(descriptor, "owner") is not None or waited > 2 * SECONDS_TO_END:
            return False
        # It had its signal when its owner died, and acts on it unless it is frozen.
        end_orphan(descriptor, signal.SIGCONT if waited < SECONDS_TO_END else signal.SIGKILL)
        time.sleep(0.01)
    return True


def _by_whom(descriptor: int) -> str:
    owner = _noted(descriptor, "owner")
    return "" if owner is None else f" by process {owner} ({process_command(owner)[:200]})"


def _noted(descriptor: int, role: str) -> int | None:
    """The pid that the lock file gives for the role, if that very process lives."""
    try:
        pid, started = json.loads(os.pread(descriptor, 1000, 0))[role]
    except (ValueError, KeyError, TypeError):
        return None
    return pid if process_started(pid) == started else None
