"""What stands before servers: TLS, as before a cloud's PostgreSQL and Redis, or a pooler."""

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

    def handle(connection: socket.socket) -> None:
        connection.recv(8)
        connection.sendall(b"S")
        with (
            context.wrap_socket(connection, server_side=True) as front,
            _postgres(behind) as back,
        ):
            _pipe(front, back)

    return handle


UNSUPPORTED = b"SFATAL\0C08P01\0Munsupported startup parameter: lock_timeout\0\0"


def pooler(behind: DatabaseUrl, *, drops: bool) -> Callable[[socket.socket], None]:
    """As PgBouncer: hand a session on without what it is to begin with, or refuse it for that.

    PostgreSQL's protocol 3.0, sections 53.2.1 and 53.7: lengths with themselves, texts with a NUL.
    """

    def handle(connection: socket.socket) -> None:
        said = connection.recv(int.from_bytes(connection.recv(4), "big") - 4)
        words = said[4:].split(b"\0")
        asked = dict(zip(words[0::2], words[1::2], strict=False))
        if not drops:
            size = (len(UNSUPPORTED) + 4).to_bytes(4, "big")
            connection.sendall(b"E" + size + UNSUPPORTED)
            return
        kept = b"".join(b"%b\0%b\0" % (one, asked[one]) for one in (b"user", b"database"))
        first = said[:4] + kept + b"\0"
        with _postgres(behind) as back:
            back.sendall((len(first) + 4).to_bytes(4, "big") + first)
            _pipe(connection, back)

    return handle


def _postgres(behind: DatabaseUrl) -> socket.socket:
    (host, port) = behind.hosts[0]
    unix = host.startswith("/")
    back = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    back.connect(f"{host}/.s.PGSQL.{port or 5432}" if unix else (host, port or 5432))
    return back


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


def _pipe(front: socket.socket, back: socket.socket, heard: list[bytes] | None = None) -> None:
    while True:
        waits = isinstance(front, ssl.SSLSocket) and front.pending()
        ready = [front] if waits else select.select([front, back], [], [], 10)[0]
        for one in ready:
            data = one.recv(65_536)
            if not data:
                return
            if one is front and heard is not None:
                heard.append(data)
            (back if one is front else front).sendall(data)
