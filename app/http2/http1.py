"""HTTP/1.1 in the place of HTTP/2, to a server that speaks nothing newer.

Wire and streams of a connection in one: it carries one exchange at a time, is kept for the next,
and is ended by whatever cannot be taken back. Source: RFC 9112 sections 6.3, 9.3 and 9.6.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from app.core.frozen import frozen
from app.core.push_policy import NoAnswer
from app.http2.exchange import Exchange
from app.http2.streams import MOST_OF_BODY, StreamsListener
from app.http2.timing import Timing
from app.http2.wire import WireListener
from app.infra.http1 import Asked, Lost, Reply


@frozen
class Fallback:
    """How a server is spoken to that does not choose HTTP/2.

    `request` writes a whole request; `most` connections are opened, each for one at a time.
    """

    request: Callable[[Any], bytes]
    most: int = 8


class Listener(WireListener, StreamsListener, Protocol):
    """Who is told of both."""

    def retire(self, cause: str, *, ours: bool = False) -> None:
        """Take no new exchanges."""


class Http1(Asked):
    """What a connection asks of its wire and of its streams; `open` holds one exchange or none."""

    max_streams: Final = 1
    send_window: Final = 1
    burst: Final = 0
    paused: Final = False
    pong_due: float | None = None
    stalled_since: Final[float | None] = None

    def __init__(
        self, request: Callable[[Any], bytes], listener: Listener, timing: Timing, first: int
    ) -> None:
        super().__init__()
        self.loop = self._loop
        self.open: dict[int, Exchange] = {}
        self.blocked: dict[Exchange, None] = {}
        self.next_stream = first
        self.ended: str | None = None
        self.greeted: asyncio.Future[None] = self.loop.create_future()
        self.greeted.set_result(None)  # no server of HTTP/1.1 speaks first
        self.closed: asyncio.Future[None] = self.loop.create_future()
        self.last_heard = self.loop.time()
        self._request = request
        self._listener = listener
        self._timing = timing

    # What its connection asks, as of a wire.

    def end(self, cause: str, *, abort: bool = False) -> None:
        """Conclude what is open, and close."""
        if self.ended is None:
            self.ended = cause
            self._listener.on_end(cause)
        if self._transport is not None:
            if abort:
                self._transport.abort()
            else:
                self._transport.close()

    leave = end

    def ping(self) -> None:
        """There is none: a connection that nobody has used for as long is not kept."""
        if not self.open:
            self._listener.retire("it was not used any more", ours=True)

    # What its connection asks, as of streams.

    def send(self, exchange: Exchange) -> None:
        """Ask this: for a connection on which nothing is open."""
        exchange.stream = self.next_stream
        self.next_stream += 2
        self.open[exchange.stream] = exchange
        try:
            self.begin(self._request(exchange))
        except Lost:  # it is closing: who carries this is told so in a moment
            exchange.unsent = exchange.payload

    def expire(self, exchange: Exchange) -> None:
        """What it waits for has not come in time: nothing else can come on this connection."""
        if exchange.due < exchange.deadline:
            kind, cause = NoAnswer.LOST, f"no answer within {self._timing.answer:g} s"
        else:
            kind, cause = NoAnswer.OUT_OF_TIME, "no answer before the deadline"
        self._listener.retire(cause, ours=kind is NoAnswer.OUT_OF_TIME)
        self.conclude_unanswered(exchange, kind, cause, reached=exchange.unsent is None)
        self.end(cause, abort=True)

    def withdraw(self, exchange: Exchange) -> None:
        """The caller has gone."""
        self._listener.retire("its request was withdrawn", ours=True)
        self._forget(exchange)
        self.end("its request was withdrawn", abort=True)

    def conclude_all(self, cause: str) -> None:
        """The connection has ended: report what is known."""
        for exchange in list(self.open.values()):
            reached = exchange.unsent is None
            kind = NoAnswer.LOST if reached else NoAnswer.NEVER_SENT
            self.conclude_unanswered(exchange, kind, cause, reached=reached)

    def conclude_unanswered(
        self,
        exchange: Exchange,
        kind: NoAnswer,
        cause: str,
        *,
        reached: bool = False,
        reason: str | None = None,
    ) -> None:
        """Say that nobody has answered it."""
        self._forget(exchange)
        exchange.unanswered(
            kind, cause, now=self.loop.time(), may_have_reached=reached, reason=reason
        )

    def on_room(self, stream: int, increment: int) -> None:
        """There are no windows."""

    def _forget(self, exchange: Exchange) -> None:
        self.open.pop(exchange.stream, None)
        self._listener.on_done(exchange)
        self._listener.on_slot()

    # What the server does.

    def concluded(self, end: Reply | Exception) -> None:
        """The answer, whole; or there will be none."""
        exchange = next(iter(self.open.values()), None)
        if exchange is None:  # withdrawn
            return
        if not isinstance(end, Reply):
            self.end(str(end), abort=True)
            return
        if not self.fresh:  # before its slot is free: it is no slot any more
            self._listener.retire("it carries no more requests", ours=True)
        exchange.code = end.status
        exchange.fields = [(name, value, False) for name, value in end.headers]
        exchange.body = end.body[:MOST_OF_BODY]
        self._forget(exchange)
        exchange.answered(self.loop.time())
        self._listener.on_answer(exchange)

    def data_received(self, data: bytes) -> None:
        """A sign of life, and perhaps an answer."""
        self.last_heard = self.loop.time()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        super().connection_lost(exc)
        self._listener.on_closed()
        self.end(f"connection lost: {exc}" if exc else "the server closed the connection")
        if not self.closed.done():
            self.closed.set_result(None)
