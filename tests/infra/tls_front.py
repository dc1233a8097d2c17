"""TLS in front of servers that speak none: what a cloud's PostgreSQL and Redis look like."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from app.infra.server_urls import DatabaseUrl, RedisUrl
from devkit.simulator.certificates import Authority


def server_context(
    authority: Authority, folder: Path, names: Sequence[str] = ("localhost",)
) -> ssl.SSLContext:
    """The context of a server of these names whose certificate this authority has signed."""
    pem = folder / "server.pem"
    pem.write_bytes(authority.server(names=names).pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@contextlib.contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve on a port of the loopback, each connection on a thread."""
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # ssl.SSLError is one
            handle(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)
                threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for thread in (accepting, *threads):
            thread.join(10)


def postgres_over_tls(
    behind: DatabaseUrl, context: ssl.SSLContext
) -> Callable[[socket.socket], None]:
    """Hand a connection on to this PostgreSQL, which is asked for TLS in its own way (SSLRequest)."""
    (host, port) = behind.hosts[0]

    def handle(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S")
        unix = host.startswith("/")
        place = f"{host}/.s.PGSQL.{port or 5432}" if unix else (host, port or 5432)
        with (
            context.wrap_socket(connection, server_side=True) as front,
            socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as back,
        ):
            back.connect(place)
            _pipe(front, back)

    return handle


def redis_over_tls(
    behind: RedisUrl, context: ssl.SSLContext, heard: list[bytes]
) -> Callable[[socket.socket], None]:
    """Hand a connection on to this Redis; what clients say is put into `heard`."""

    def handle(connection: socket.socket) -> None:
        unix = behind.path is not None
        with (
            context.wrap_socket(connection, server_side=True) as front,
            socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as back,
        ):
            back.connect(behind.path or (behind.host, behind.port))
            _pipe(front, back, heard)

    return handle


def _pipe(front: ssl.SSLSocket, back: socket.socket, heard: list[bytes] | None = None) -> None:
    while True:
        ready = [front] if front.pending() else select.select([front, back], [], [], 10)[0]
        for one in ready:
            data = one.recv(65_536)
            if not data:
                return
            if one is front and heard is not None:
                heard.append(data)
            (back if one is front else front).sendall(data)
