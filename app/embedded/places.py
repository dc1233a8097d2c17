"""Folders for servers: who holds them, short ones for sockets, a cache for what is slow to make."""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from app.embedded.children import IS_LINUX, EmbeddedError

LOCK_NAME = "in-use.lock"
SHORT_PREFIX = "rl-"
# sun_path holds 104 bytes on macOS and 108 on Linux; PostgreSQL adds "/s/.s.PGSQL.65535.lock".
LONGEST_SHORT_FOLDER = 60
YOUNG_SECONDS = 60
SAFE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.-")


def process_started(pid: int) -> str | None:
    """When the process began, as text to compare; None if there is none or it is a zombie.

    `kill(pid, 0)` would say that a zombie lives, and where PID 1 does not reap it stays for ever;
    and a pid alone may belong to another process by now.
    """
    if IS_LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    state, _, started = answer.partition(" ")
    return None if not answer or state.startswith("Z") else started.strip()


def process_command(pid: int) -> str:
    """The command line of a living process; "" if there is none or it is a zombie."""
    if IS_LINUX:
        try:
            return (
                Path(f"/proc/{pid}/cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode("utf-8", "replace")
            )
        except OSError:
            return ""
    return subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()


class FolderLock:
    """Exclusive use of a folder, by flock on a file in it.

    The server inherits the descriptor, so the lock lasts until this process *and* every process of
    the server have gone, and never longer: no pid has to be asked whether it lives.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / LOCK_NAME
        self.descriptor = -1

    def acquire(self, *, seconds: float = 20) -> None:
        """Take the lock. While only servers of a dead owner hold it, wait for them to end.

        EmbeddedError if a living process has it, or if they do not end within `seconds`.
        """
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise EmbeddedError(
                f"{self.folder} belongs to another user ({error}). "
                "Use it as that user, or choose another folder."
            ) from error
        end = time.monotonic() + seconds
        while not try_flock(descriptor):
            owner = self._living_owner(descriptor)
            if owner is not None or time.monotonic() > end:
                os.close(descriptor)
                who = f"by process {owner}" if owner else "by servers that will not end"
                raise EmbeddedError(
                    f"{self.folder} is already in use {who}. "
                    "Stop that one first, or choose another folder."
                )
            time.sleep(0.01)
        self.descriptor = descriptor
        self._write({"pid": os.getpid(), "started": process_started(os.getpid())})

    def release(self) -> None:
        """Give it up; servers that are still about keep it until they have ended."""
        if self.descriptor >= 0:
            self._write({})
            os.close(self.descriptor)
            self.descriptor = -1

    def _write(self, owner: dict[str, object]) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(owner).encode(), 0)

    def _living_owner(self, descriptor: int) -> int | None:
        try:
            owner = json.loads(os.pread(descriptor, 1000, 0))
            pid, started = int(owner["pid"]), owner["started"]
        except (ValueError, KeyError):
            return None
        return pid if process_started(pid) == started else None


def try_flock(descriptor: int) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


def open_to_others(folder: Path) -> bool:
    """Whether any user may walk to this folder: each part of its path lets others through."""
    real = folder.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (real, *real.parents))


def temp_folder() -> Path:
    """The temp folder, or another where it is too long, oddly named, or closed to `nobody`.

    Under root (pam_tmpdir, TMPDIR=/root/tmp) it may lie where PostgreSQL, which then runs as
    `nobody`, cannot go.
    """
    candidates = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108
    for candidate in candidates:
        folder = Path(candidate).absolute()
        if not os.access(folder, os.W_OK | os.X_OK):
            continue
        if (
            len(os.fsencode(folder)) > LONGEST_SHORT_FOLDER
            or not set(str(folder)) <= SAFE_CHARACTERS
        ):
            continue
        if os.geteuid() == 0 and not open_to_others(folder):
            continue
        return folder
    raise EmbeddedError(
        f"no usable temp folder among {', '.join(candidates)}: sockets need one whose path is "
        f"plain and at most {LONGEST_SHORT_FOLDER} bytes long. Set TMPDIR to such a folder."
    )


class ShortFolder:
    """A private folder with a short path, for sockets and throw-away data.

    Under root others may walk through it (0711), for PostgreSQL runs as `nobody`: what lies in it
    is 0700. One that its owner could not remove, having been killed, goes at a later start.
    """

    def __init__(self) -> None:
        parent = temp_folder()
        sweep(parent)
        self.path = parent / f"{SHORT_PREFIX}{secrets.token_hex(5)}"
        self.path.mkdir(mode=0o700)
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self.lock = FolderLock(self.path)
        self.lock.acquire()

    def close(self) -> None:
        """Remove it with all that it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()


def sweep(parent: Path) -> None:
    """Remove our short folders that nobody holds any more, unless they are being made just now."""
    for folder in parent.glob(f"{SHORT_PREFIX}*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
            if not ours or time.time() - about.st_mtime < YOUNG_SECONDS:
                continue
            descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
            try:
                if try_flock(descriptor):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def cache_folder() -> Path:
    """This user's folder for things that can be made again; nobody else may write there."""
    folder = temp_folder() / f"ringline-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise EmbeddedError(
            f"{folder} is not ours: another user made it. Remove it, or set TMPDIR."
        )
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    return folder


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock file, waiting for whoever has it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
