"""Prometheus's text of this process, or of all that serve one address together.

With several processes each writes its numbers to files in a folder that prometheus-client takes
from the environment, `PROMETHEUS_MULTIPROC_DIR`, before it is imported; whichever is asked adds up.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
LIVE: Final = re.compile(r"gauge_live\w*_(\d+)\.db")


@contextlib.contextmanager
def for_several_processes() -> Iterator[None]:
    """Have processes that are begun meanwhile, by `spawn`, count together."""
    with tempfile.TemporaryDirectory(prefix="ringline-metrics-") as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def exposition() -> bytes:
    """All metrics as text."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return generate_latest()
    for file in Path(folder).iterdir():
        number = LIVE.fullmatch(file.name)
        if number is not None and not _lives(int(number[1])):
            file.unlink(missing_ok=True)  # what a process has now is nothing once it is gone
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
