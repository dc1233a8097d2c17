"""What a connection may cost before anybody is known: bytes, seconds and how many there are.

uvicorn bounds neither the headers that it takes nor the time that a request may take to arrive.
This is its own protocol with these bounds; what a proxy in front must do is in deploy/README.md.
"""

import asyncio
import resource
from collections.abc import Iterable
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.http.refusals import (
    AGAIN,
    BODY_WITHIN,
    BUSY,
    HEAD_WITHIN,
    MOST_HEAD,
    MOST_HEADERS,
    NO_HOST,
    is_host,
    refusal,
)
from app.http.sockets import Handshake
from app.http.upgrades import head_without_offer, new_parser
from app.http.whole import Door, Whole

LONGEST_MESSAGE: Final = 32 * 1024
MOST_WAITING_MESSAGES: Final = 4
BAD_HOST: Final = 2
SPARE_FILES: Final = 64
"""Files that a process needs besides its connections: to PostgreSQL, Redis, logs."""


class BoundedConnection(HttpToolsProtocol):
    """One connection of HTTP/1.1, with bounds on what it may take and how long."""

    _timer: asyncio.TimerHandle | None = None
    _head = 0
    _in_head = True
    _rest: asyncio.TimerHandle | None = None
    _rests_since = 0.0
    _body: bytes | None = None
    """Of a request that goes through the app's door if it is whole with these bytes."""
    _hosts = 0
    """Host headers of this head; one that will not do counts as many."""
    _host = b""
    _offered = False
    """This head offers another protocol, and is about to be read anew without that."""
    _added_of: object = None
    _added = b""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._door: Door | None = getattr(self.app, "door", None)
        self._most, self.limit_concurrency = self.limit_concurrency, None  # told as all refusals

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection is taken, or refused where there are too many."""
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most:
            self._refuse(503, AGAIN)
            return
        self._arm(HEAD_WITHIN)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._disarm()
        self._rest_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests; more of a head than may be ends the connection."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head += len(data)
        self._feed(data)
        if self._body is not None:
            self._by_messages()  # more of it is still to come
        if self._in_head and self._head > MOST_HEAD:
            self._refuse(431)
        elif self._timer is None and (self._head or not self._in_head):
            # a request that came whole, as nearly all do, needs no clock
            self._arm(HEAD_WITHIN if self._in_head else BODY_WITHIN)

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(400)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            elif self._offered:
                self._go_on_as_it_is(data[upgrade.args[0] :])

    def _go_on_as_it_is(self, rest: bytes) -> None:
        parser, self._offered, self._in_head = self.parser, False, True
        self.parser = new_parser(self)
        head = head_without_offer(
            parser.get_method(), self.url, parser.get_http_version(), self.headers
        )
        self._feed(head + rest)

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        super().on_url(url)
        if len(self.url) > MOST_HEAD:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer, which nobody reads, is counted and not kept."""
        if not self._in_head:
            self._head += len(name) + len(value)
            if self._head > MOST_HEAD:
                self._refuse(431)
            return
        if len(self.headers) >= MOST_HEADERS:
            self._refuse(431)
            return
        name = name.lower()
        if name == b"host":
            # of a kept connection it is the same each time
            is_good = value == self._host or is_host(value)
            self._hosts += 1 if is_good else BAD_HOST
            self._host = value if is_good else b""
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))  # what the server does, for a call less each

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._disarm()
        if self.transport.is_closing():
            return
        hosts, self._hosts = self._hosts, 0
        if self._head > MOST_HEAD and _size(self.url, self.headers) > MOST_HEAD:
            self._refuse(431)
            return
        if self.parser.should_upgrade() and self._is_offer():
            self._offered = True
            return
        if hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            self._refuse(400, why=NO_HOST)
            return
        if self._most is not None and len(self.tasks) >= self._most:
            self._refuse(503, AGAIN)
            return
        door = self._door
        if door is not None and self.url not in door.aside and door.turns_away():
            self._refuse(503, AGAIN, BUSY, "busy")
        elif door is not None and self.url == door.path and self._fits_the_door():
            self._body = b""
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._body is not None:
            self._body += body
        elif not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._offered:
            return
        self._disarm()
        self._in_head, self._head = True, 0
        if self._body is not None and self._is_taken(self._body):
            return
        if not self.transport.is_closing():
            super().on_message_complete()

    def _is_offer(self) -> bool:
        """Whether this head offers a protocol that is not spoken here (which no CONNECT does)."""
        return self.parser.get_method() != b"CONNECT" and not self._should_upgrade()

    def _fits_the_door(self) -> bool:
        parser = self.parser
        return (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.root_path
            and (self.cycle is None or self.cycle.response_complete)
        )

    def _is_taken(self, body: bytes) -> bool:
        assert self._door is not None
        if self.transport.is_closing():
            self._body = None
            return True  # nobody reads an answer any more
        before = self.cycle
        whole = Whole(self, self.scope, self.url, body)
        self.cycle = whole  # type: ignore[assignment]
        if self._door.take(whole):
            self._body = None
            return True
        self.cycle = before
        self._by_messages()
        return False

    def _by_messages(self) -> None:
        """What the door does not take goes on as if there were none."""
        body, self._body = self._body, None
        if self.transport.is_closing():
            return
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def write_whole(self, whole: Whole, head: bytes, body: bytes) -> bool:
        """See `Whole.answer`."""
        gone = whole.disconnected or self.transport.is_closing()
        if not gone and (not whole.keep_alive or self.flow.write_paused):
            return False
        whole.response_started = whole.response_complete = True
        if not gone:
            self.transport.write(b"".join((head, self._lines_added(), b"\r\n", body)))
        self.on_response_complete()
        return True

    def _lines_added(self) -> bytes:
        """Headers that the server adds; it makes them anew each second."""
        headers = self.server_state.default_headers
        if headers is not self._added_of:
            self._added_of = headers
            self._added = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return self._added

    def begin_by_messages(self, whole: Whole, scope: Any, app: Any) -> None:
        """See `Whole.go_on`."""
        cycle = RequestResponseCycle(
            scope=scope, transport=self.transport, flow=self.flow, logger=self.logger,
            access_logger=self.access_logger, access_log=self.access_log,
            default_headers=self.server_state.default_headers, message_event=asyncio.Event(),
            expect_100_continue=False, keep_alive=whole.keep_alive,
            on_response=self.on_response_complete,
        )  # fmt: skip
        cycle.body += whole.body
        cycle.more_body, cycle.disconnected = False, whole.disconnected
        cycle.message_event.set()
        current: object = self.cycle
        if current is whole:  # else the next is waiting already
            self.cycle = cycle
        self._start_asgi_task(cycle, app)

    def handle_websocket_upgrade(self) -> None:
        """From now on it is a WebSocket's."""
        if self.transport.is_closing():
            return  # it was refused
        self._disarm()
        self._rest_no_more()
        self._in_head, self._head = True, 0
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """An answer has gone. One timer watches how long a connection rests, not one each rest."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._rests_since = self.loop.time()
        if self._rest is None:
            self._rest = self.loop.call_later(self.timeout_keep_alive, self._rested)

    def _rested(self) -> None:
        self._rest = None
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self._head or not self._in_head:
            return  # it is watched again after the next answer
        left = self._rests_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._rest = self.loop.call_later(left, self._rested)
        else:
            self.timeout_keep_alive_handler()

    def _rest_no_more(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

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
            self._refuse(408)
        else:
            self.transport.close()  # nothing was asked

    def _refuse(
        self, status: int, headers: bytes = b"", why: str | None = None, code: str | None = None
    ) -> None:
        """Answer, if nothing has been answered yet, and close."""
        self._disarm()
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if not (answering and self.cycle.response_started):
            self.transport.write(refusal(status, headers, why, code))
        self.transport.close()


def _size(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Bytes of a head: of what came with it in one piece nobody knows yet where the body begins."""
    return len(target) + sum(len(name) + len(value) + len(b": \r\n") for name, value in headers)


def limits(most_connections: int) -> dict[str, Any]:
    """What uvicorn's Config is given so that the bounds hold; raises the limit of open files.

    No compression of WebSocket messages: a small one can unpack to megabytes.
    """
    return {
        "http": BoundedConnection,
        "limit_concurrency": _possible(most_connections),
        "ws": Handshake,
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
