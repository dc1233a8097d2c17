"""What PostgreSQL and Valkey have in common: folders, locks, and a life of starts and stops."""

import abc
import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from devkit.embedded.children import USE_YOUR_OWN, Child, EmbeddedError, await_ready
from devkit.embedded.locks import FolderLock
from devkit.embedded.places import ShortFolder, temp_folder, throw_away_folder


class Server(contextlib.AbstractContextManager["Server"], abc.ABC):
    """A server process that ends with this one.

    With a `folder` its data stays there; without one it is thrown away. `url` and `socket` are
    known before the first start, and the same after a restart.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder.absolute() if folder else None
        self._short: ShortFolder | None = None
        self._lock: FolderLock | None = None
        self._child: Child | None = None

    @property
    def home(self) -> Path:
        """Where the data and the log are."""
        return self.folder or self._short_folder().path / "home"

    @property
    def sockets(self) -> Path:
        """The folder of the Unix socket, whose path is short; only the server's user may enter."""
        return self._short_folder().path / "s"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.home / f"{self.name.lower()}.log"

    @property
    def pid(self) -> int:
        """The (first) server process, running or not. EmbeddedError before the first start."""
        if self._child is None:
            raise EmbeddedError(f"{self.name} has not been started")
        return self._child.pid

    def is_running(self) -> bool:
        """Whether that process lives; it may be frozen."""
        return self._child is not None and self._child.exit_status() is None

    def start(self) -> None:
        """Start it and wait until it answers. From any thread, but from one at a time.

        No-op while it runs; after a crash, a new start with the same data. EmbeddedError if the
        folder is in use or the server does not come up.
        """
        if self.is_running():
            return
        self._release()  # and anew: children of a crashed server may hold it a little longer
        try:
            self._start()
        except OSError as error:
            self.stop()
            raise EmbeddedError(
                f"{self.name} could not start in {self.home}: {error}. {USE_YOUR_OWN}"
            ) from error
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FolderLock(self.home)
        lock.acquire()
        self._lock = lock
        locks = [lock, self._short_folder().lock]
        self._child = self._spawn([lock.descriptor for lock in locks])
        for lock in locks:
            lock.name_server(self._child.pid)
        await_ready(self._child, self._is_ready, name=self.name)

    def stop(self) -> None:
        """End the server; its data stays. No-op if it does not run."""
        if self._child is not None:
            self._child.end(self._farewell())
        self._release()

    def close(self) -> None:
        """Stop it and remove what lies in the temp folder: the socket, and throw-away data."""
        self.stop()
        if self._short is not None:
            self._short.remove()
            self._short = None

    def __enter__(self) -> Self:
        """Start it."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @abc.abstractmethod
    def _spawn(self, keep_open: Sequence[int]) -> Child:
        """Make the folders ready and start the process, which inherits those descriptors."""

    @abc.abstractmethod
    def _is_ready(self) -> bool:
        """Whether it takes commands."""

    @abc.abstractmethod
    def _farewell(self) -> Sequence[tuple[signal.Signals, float]]:
        """The signals that end it, each with the seconds to wait before the next; then SIGKILL."""

    def _short_folder(self) -> ShortFolder:
        if self._short is None:
            self._short = ShortFolder(temp_folder() if self.folder else throw_away_folder())
        return self._short

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
