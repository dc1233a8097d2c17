"""Short private folders for sockets and throw-away data, and a cache for what is slow to make."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from devkit.embedded.children import EmbeddedError
from devkit.embedded.locks import LOCK_NAME, FolderLock, end_orphan, try_flock

SHORT_PREFIX = "rl-"
SHORT_NAME = re.compile(r"rl-[0-9a-f]{10}")
# sun_path holds 104 bytes on macOS and 108 on Linux; we add "/rl-0123456789/s/.s.PGSQL.5432.lock".
LONGEST_TEMP_FOLDER = 60
SAFE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.-")
MEMORY = Path("/dev/shm")  # noqa: S108 - checked before use
ENOUGH_MEMORY = 2 * 1024**3
YOUNG_SECONDS = 60


def temp_folder() -> Path:
    """The temp folder, or another where it is too long, oddly named, or closed to `nobody`.

    Under root (pam_tmpdir, TMPDIR=/root/tmp) it may lie where PostgreSQL, which then runs as
    `nobody`, may not go, or be mounted noexec, and binaries are copied there.
    """
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), MEMORY]  # noqa: S108
    for folder in candidates:
        if _is_usable(folder.absolute()) and not (_is_root() and _is_noexec(folder)):
            return folder.absolute()
    raise EmbeddedError(
        f"no usable temp folder among {', '.join(map(str, candidates))}: sockets need one whose "
        f"path is plain and at most {LONGEST_TEMP_FOLDER} bytes long. Set TMPDIR to such a folder."
    )


def throw_away_folder() -> Path:
    """Where throw-away data goes: memory where there is plenty, else the temp folder.

    ext4 takes 0.3 to 0.9 ms to make a file where many were removed in the last half minute, and a
    database has 300 files: cloning one per test took 220 ms there and 14 ms in memory. A container
    has 64 MB of it: too little.
    """
    if MEMORY.is_dir() and _is_usable(MEMORY):
        space = os.statvfs(MEMORY)
        pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if min(space.f_bavail * space.f_frsize, pages) >= ENOUGH_MEMORY:
            return MEMORY
    return temp_folder()


def _is_root() -> bool:
    return os.geteuid() == 0


def _is_usable(folder: Path) -> bool:
    plain = set(str(folder)) <= SAFE_CHARACTERS
    short = len(os.fsencode(folder)) <= LONGEST_TEMP_FOLDER
    ours = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    return plain and short and ours and (not _is_root() or _is_open_to_others(folder))


def _is_open_to_others(folder: Path) -> bool:
    real = folder.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (real, *real.parents))


def _is_noexec(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))


class ShortFolder:
    """A private folder with a short path, held by a lock.

    Under root others may walk through it (0711), for PostgreSQL runs as `nobody`: what lies in it
    is 0700. One that its owner could not remove, having been killed, goes at a later start.
    """

    def __init__(self, parent: Path) -> None:
        sweep(parent)
        self.path = parent / f"{SHORT_PREFIX}{secrets.token_hex(5)}"
        self.path.mkdir(mode=0o700)
        self.path.chmod(0o711 if _is_root() else 0o700)
        self.lock = FolderLock(self.path)
        self.lock.acquire()

    def remove(self) -> None:
        """Remove it with all that it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()


def sweep(parent: Path) -> None:
    """Remove what killed owners left: short folders that nobody holds, and orphans still in them.

    A server outlives its owner only if it was frozen when the owner died. Only what has both our
    name and our lock in it is removed: the temp folder is everybody's.
    """
    for folder in parent.glob(f"{SHORT_PREFIX}*"):
        with contextlib.suppress(OSError):
            about = folder.lstat()
            ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
            if (
                not ours
                or SHORT_NAME.fullmatch(folder.name) is None
                or time.time() - about.st_mtime < YOUNG_SECONDS
            ):
                continue  # a young one may not be locked yet
            descriptor = os.open(folder / LOCK_NAME, os.O_RDWR)
            try:
                if try_flock(descriptor):
                    shutil.rmtree(folder, ignore_errors=True)
                else:
                    end_orphan(descriptor, signal.SIGCONT)
            finally:
                os.close(descriptor)


def cache_folder() -> Path:
    """This user's folder for things that can be made again; only this user may write there."""
    folder = temp_folder() / f"ringline-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise EmbeddedError(f"{folder} was made by another user. Remove it, or set TMPDIR.")
    folder.chmod(0o711 if _is_root() else 0o700)
    return folder


def measure(folder: Path) -> str:
    """How many files and bytes there are below the folder, as text to compare."""
    sizes = list(_sizes(str(folder)))
    return f"{len(sizes)} files, {sum(sizes)} bytes"


def _sizes(folder: str) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(entry.path)
            else:
                yield entry.stat(follow_symlinks=False).st_size
