"""HTTP/1.1 as a client: connections that are kept, and answers whose cost is bounded.

The reading is llhttp's (httptools). A connection carries one request at a time; whatever is not an
answer, whole and within its bounds, ends it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

from app.core.frozen import frozen

MOST_READ: Final = 64 * 1024
"""Bytes of an answer's body that are read: with more the connection ends."""

MOST_ON_WIRE: Final = 256 * 1024
"""Bytes that one answer may cost, with its headers and all that comes before it (1xx)."""

LONGEST_KNOWN: Final = 1024
"""Bytes of an answer, or its head, that is known again: most of one server's are alike."""

KEPT_FOR: Final = 30.0
"""Seconds for which a connection is kept without being used."""

LONGEST_LIFE: Final = 300.0
"""Seconds after which a connection is used no more: its name may lead elsewhere by now."""

SWITCHING = 101
SAYS_LENGTH = frozenset({b"content-length", b"transfer-encoding"})

Origin = tuple[str, str, int]
"""Scheme, host, port."""


class NotHttp(Exception):
    """What came is no answer by RFC 9112."""


class Lost(ConnectionError):
    """The connection ended before the answer was whole; `unanswered`: before its first byte."""

    def __init__(self, *, unanswered: bool) -> None:
        super().__init__("the connection ended before the answer was whole")
        self.unanswered = unanswered


@dataclass(slots=True)
class Reply:
    """An answer; `body` has at most MOST_READ bytes and what came with the last of them.

    `meaning`: for who reads it, what it says; of the next answer that is the same it is known.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    meaning: object = field(default=None, compare=False)


@frozen
class Known:
    """The head of the last answer, which came whole with its body, and all that it says.

    The same bytes say the same: `size` is that of head and body. `whole`: both, if they are short.
    """

    head: bytes
    size: int
    whole: bytes
    said: Reply


class Asked(asyncio.Protocol):
    """A connection to one server, which is asked one thing at a time.

    `concluded` is told the end of each request that was begun, once, in the turn that brings it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waits = False
        self._end: Reply | Exception | None = None
        self._known: Known | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._born = self._loop.time()
        self._read = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._until_end = False
        self._reusable = False

    def begin(self, request: bytes) -> None:
        """Send a request. Raises Lost when the connection has ended."""
        transport = self._transport
        assert transport is not None
        self._read, self._until_end, self._reusable = 0, False, False
        if transport.is_closing():
            raise Lost(unanswered=True)
        self._waits = True
        transport.write(request)

    def concluded(self, end: Reply | Exception) -> None:
        """A request has its answer, or has none: Lost or NotHttp."""
        raise NotImplementedError

    @property
    def fresh(self) -> bool:
        """Whether it may be asked again."""
        return self.fresh_at(self._loop.time())

    def fresh_at(self, now: float) -> bool:
        """The same, for who knows the loop's time."""
        transport = self._transport
        lives = self._reusable and now < self._born + LONGEST_LIFE
        return lives and transport is not None and not transport.is_closing()

    def close(self) -> None:
        """End it; what is asked now gets no answer."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, *, reusable: bool) -> None:
        self._reusable = reusable
        self._conclude(Reply(self._parser.get_status_code(), self._headers, self._body))

    def _fail(self, error: Exception) -> None:
        self._reusable = False
        self._conclude(error)

    def _conclude(self, end: Reply | Exception) -> None:
        if self._waits:
            self._waits, self._end = False, end

    def _tell(self) -> None:
        """Once the parser has returned: whoever is told may ask the next thing at once."""
        end, self._end = self._end, None
        if end is not None:
            self.concluded(end)

    # --- what the transport tells --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class

    def data_received(self, data: bytes) -> None:
        """Read what has come; nobody asked for more than one answer."""
        known = self._known
        if known is not None and self._waits and data == known.whole:
            self._waits, self._reusable = False, True
            self.concluded(known.said)
            return
        self._read += len(data)
        if not self._waits:
            self.close()
        elif self._read > MOST_ON_WIRE:
            self._fail(Lost(unanswered=False))
        elif known is not None and len(data) == known.size and data.startswith(known.head):
            self._reusable = True
            said = known.said
            self._conclude(Reply(said.status, said.headers, data[len(known.head) :]))
        else:
            self._parse(data)
        self._tell()

    def _parse(self, data: bytes) -> None:
        whole = self._read == len(data)  # nothing of this answer came before
        if whole:
            self._headers, self._body = [], b""
            self._parser = httptools.HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finish(reusable=False)
        except httptools.HttpParserError as error:
            self._fail(NotHttp(str(error)))
        else:
            self._known = self._to_know(data) if whole else None

    def _to_know(self, data: bytes) -> Known | None:
        """What these bytes say, if they are one answer whose head says how long it is."""
        end, length = self._end, data.find(b"\r\n\r\n") + 4
        if not (isinstance(end, Reply) and self._reusable and length <= LONGEST_KNOWN):
            return None
        if len(data) != length + len(end.body) or b"transfer-encoding" in dict(end.headers):
            return None
        whole = data if len(data) <= LONGEST_KNOWN else b""
        return Known(data[:length], len(data), whole, end)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended: so has a body that says no length of its own (RFC 9112, 6.3)."""
        if exc is None and self._until_end:
            self._finish(reusable=False)
        self._fail(Lost(unanswered=not self._read))
        self._tell()

    # --- what the parser tells -----------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the answer."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """All of them; 1xx is followed by another answer."""
        if self._informs():
            self._headers = []
        else:
            self._until_end = not any(name in SAYS_LENGTH for name, _ in self._headers)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._body += data
        if len(self._body) > MOST_READ:
            self._finish(reusable=False)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._waits and not self._informs():
            reusable = self._parser.should_keep_alive()
            self._finish(reusable=reusable and self._parser.get_status_code() != SWITCHING)
        elif not self._waits:
            self._reusable = False

    def _informs(self) -> bool:
        status = self._parser.get_status_code()
        return 100 <= status < 200 and status != SWITCHING


Told = Callable[[Reply | Exception], object]


class Connection(Asked):
    """One that tells who asked, and is kept for the next who asks."""

    def __init__(self) -> None:
        super().__init__()
        self._told: Told | None = None
        self.kept: Kept | None = None
        """Where it rests; None: it is in use."""
        self.used = self._born
        """The loop's time when it came to rest."""

    def ask(self, request: bytes, told: Told) -> None:
        """Send a request; `told` hears its end, once. Raises Lost when the connection has ended."""
        self.begin(request)
        self._told = told

    def give_up(self) -> None:
        """End it; who asked hears nothing more."""
        self._told = None
        self.close()

    def concluded(self, end: Reply | Exception) -> None:
        """Whoever asked hears it."""
        told, self._told = self._told, None
        if told is not None:
            told(end)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, and rests nowhere."""
        if self.kept is not None:
            self.kept.forget(self)
        super().connection_lost(exc)


class Kept:
    """Connections that rest until they are used again: so many at most, the last used longest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._resting: dict[Origin, dict[Connection, None]] = {}
        self._by_use: dict[Connection, Origin] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._time = asyncio.get_running_loop().time

    def __len__(self) -> int:
        return len(self._by_use)

    def take(self, origin: Origin) -> Connection | None:
        """The connection to that server that was used last, if there is one."""
        some = self._resting.get(origin)
        while some:
            connection, _ = some.popitem()
            del self._by_use[connection]
            connection.kept = None
            if not some:
                del self._resting[origin]
            if connection.fresh_at(self._time()):
                return connection
            connection.close()
        return None

    def give(self, origin: Origin, connection: Connection) -> None:
        """Keep it, if it may be asked again; who has rested longest makes room."""
        now = self._time()
        if not connection.fresh_at(now):
            connection.close()
            return
        connection.kept, connection.used = self, now
        some = self._resting.get(origin)
        if some is None:
            some = self._resting[origin] = {}
        some[connection] = None
        self._by_use[connection] = origin
        if len(self._by_use) > self._most:
            self.shrink(self._most)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEPT_FOR, self._expire)

    def forget(self, connection: Connection) -> None:
        """It rests here no more."""
        connection.kept = None
        origin = self._by_use.pop(connection)
        some = self._resting[origin]
        del some[connection]
        if not some:
            del self._resting[origin]

    def shrink(self, most: int) -> None:
        """Keep so many at most."""
        while len(self._by_use) > max(0, most):
            self._end(next(iter(self._by_use)))

    def close(self) -> None:
        """End them all."""
        self.shrink(0)
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, connection: Connection) -> None:
        self.forget(connection)
        connection.close()

    def _expire(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        while self._by_use:
            oldest = next(iter(self._by_use))
            if oldest.used + KEPT_FOR > loop.time():
                self._timer = loop.call_at(oldest.used + KEPT_FOR, self._expire)
                return
            self._end(oldest)
