"""What a connection may cost before anybody is known: bytes, seconds and how many there are.

uvicorn bounds neither the headers that it takes nor the time that a request may take to arrive.
This is its own protocol with these bounds; what a proxy in front must do is in deploy/README.md.
"""

import asyncio
import resource
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD: Final = 32 * 1024
"""Bytes of a request's line and headers, its trailers too. nginx and Apache take 8 KiB a line."""
MOST_HEADERS: Final = 100
HEAD_WITHIN: Final = 10.0
BODY_WITHIN: Final = 30.0
"""Seconds for the head, from the connection or the first byte on, and for the body after it."""
LONGEST_MESSAGE: Final = 32 * 1024
MOST_WAITING_MESSAGES: Final = 4
SPARE_FILES: Final = 64
"""Files that a process needs besides its connections: to PostgreSQL, Redis, logs."""


class BoundedConnection(HttpToolsProtocol):
    """One connection of HTTP/1.1, with bounds on what it may take and how long."""

    _timer: asyncio.TimerHandle | None = None
    _head = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection is taken, or refused where there are too many."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > self.limit_concurrency:
            self._refuse(b"503 Service Unavailable", b"retry-after: 1\r\n")
            return
        self._arm(HEAD_WITHIN)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests; more of a head than may be ends the connection."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > MOST_HEAD:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._timer is None and (self._head or not self._in_head):
            # a request that came whole, as nearly all do, needs no clock
            self._arm(HEAD_WITHIN if self._in_head else BODY_WITHIN)

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        super().on_url(url)
        if len(self.url) > MOST_HEAD:
            self._refuse(b"414 URI Too Long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer, which nobody reads, is counted and not kept."""
        if not self._in_head:
            self._head += len(name) + len(value)
            if self._head > MOST_HEAD:
                self._refuse(b"431 Request Header Fields Too Large")
            return
        if len(self.headers) >= MOST_HEADERS:
            self._refuse(b"431 Request Header Fields Too Large")
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._disarm()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._disarm()
        self._in_head, self._head = True, 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """From now on it is a WebSocket's."""
        self._disarm()
        self._in_head, self._head = True, 0
        super().handle_websocket_upgrade()

    def _arm(self, seconds: float) -> None:
        if not self.transport.is_closing():
            self._timer = self.loop.call_later(seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        answering = self.cycle is not None and not self.cycle.response_complete
        if self._head or (answering and not self._in_head):
            self._refuse(b"408 Request Timeout")
        else:
            self.transport.close()  # nothing was asked

    def _refuse(self, status: bytes, headers: bytes = b"") -> None:
        """Answer, if nothing has been answered yet, and close."""
        self._disarm()
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if not (answering and self.cycle.response_started):
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\n" + headers + b"content-length: 0\r\n"
                b"connection: close\r\n\r\n"
            )
        self.transport.close()


def limits(most_connections: int) -> dict[str, Any]:
    """What uvicorn's Config is given so that the bounds hold; raises the limit of open files.

    No compression of WebSocket messages: a small one can unpack to megabytes.
    """
    return {
        "http": BoundedConnection,
        "limit_concurrency": _possible(most_connections),
        "ws_max_size": LONGEST_MESSAGE,
        "ws_max_queue": MOST_WAITING_MESSAGES,
        "ws_per_message_deflate": False,
    }


def _possible(wanted: int) -> int:
    """As many connections as the system lets a process have files, at most `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted + SPARE_FILES:
        most = wanted + SPARE_FILES
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - SPARE_FILES))
