"""What is dear to make, made once: by whichever process asks first, while the others wait for it."""

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, filled by `make`, which is given another one; where it fails, nothing is left.

    Whoever dies while making holds the lock no longer, and the next one makes it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
                made = Path(aside, folder.name)
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


def of_this_run(factory: pytest.TempPathFactory, name: str) -> Path:
    """A place that all pytest processes of a run share, for `once`."""
    own = factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
