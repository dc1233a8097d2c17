"""CPU time and memory of a process and all that it has started."""

import contextlib
from collections.abc import Iterator

import psutil


class Group:
    """A process with its descendants, those that have ended included."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def _members(self) -> Iterator[psutil.Process]:
        yield self._root
        yield from self._root.children(recursive=True)

    def cpu(self) -> float:
        """Seconds of user and system time since their start."""
        total = 0.0
        for process in self._members():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
                total += getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
        return total

    def megabytes(self) -> float:
        """Resident memory."""
        total = 0
        for process in self._members():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / 2**20
