"""One connection: when it takes exchanges, when it stops, and when it has failed.

Nothing here retries. A connection that is to go is retired: it takes no new exchanges, lives until
those it has are concluded, then closes. Source: RFC 9113 section 6.8.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from app.core.push_policy import NoAnswer
from app.http2 import frames as f
from app.http2.exchange import Exchange
from app.http2.heartbeat import Heartbeat
from app.http2.http1 import Fallback, Http1
from app.http2.streams import LARGEST_BURST, HeaderWriter, Streams
from app.http2.timing import Timing
from app.http2.wire import Wire
from app.infra.boottime import boottime


class Owner(Protocol):
    """Who has the connection, and is told what becomes of it and of what it carries."""

    def on_open(self, connection: "Connection") -> None:
        """Its transport is there."""

    def on_closed(self, connection: "Connection") -> None:
        """Its transport is gone."""

    def on_left(self, connection: "Connection", cause: str) -> None:
        """It takes no more exchanges. Told again when it has ended."""

    def on_room(self, connection: "Connection") -> None:
        """It may have free slots."""

    def on_proven(self) -> None:
        """It did what it is for."""

    def on_answer(self, connection: "Connection", exchange: Exchange) -> None:
        """An exchange has its answer."""

    def on_silence(self, connection: "Connection", *, deaf: bool) -> None:
        """An exchange got no answer in time; `deaf`: nor did any that was sent since."""

    def on_done(self, exchange: Exchange) -> None:
        """An exchange has left it."""

    def await_until(self, exchange: Exchange, due: float) -> None:
        """What an exchange waits for now must come until then."""

    def await_all(self, exchanges: Sequence[Exchange], due: float) -> None:
        """The same of some that share a deadline and have waited for nothing yet."""

    def reason_of(self, debug: bytes) -> str | None:
        """The reason that the debug data of a GOAWAY gives."""


class Connection:
    """A connection of a pool; `number` counts them from 1.

    `identity` is whatever it was opened with. `one_first`: the server takes one stream at a time
    until it has given an answer that proves us (`prove`), whatever its SETTINGS say until then.
    `fallback` is for a server that does not speak HTTP/2; without it, such a one is left.
    """

    def __init__(
        self,
        owner: Owner,
        loop: asyncio.AbstractEventLoop,
        *,
        number: int,
        identity: object,
        writer: HeaderWriter,
        timing: Timing,
        stream_cap: int,
        first_stream: int,
        one_first: bool,
        fallback: Fallback | None = None,
    ) -> None:
        self.loop = loop
        self.number = number
        self.identity = identity
        wire = Wire(loop)
        wire.streams, wire.listener = Streams(wire, writer, self, timing, first_stream), self
        self.wire: Wire | Http1 = wire
        self.streams: Streams | Http1 = wire.streams
        self.retired: str | None = None
        self.ours = False
        self.refusal: str | None = None
        self.rests_until = 0.0
        self.slots = 0
        self.slotless_since: float | None = None
        self.heartbeat = Heartbeat(self, timing, self._unresponsive)
        self.on_done, self.await_until = owner.on_done, owner.await_until  # theirs, as they are
        self._owner = owner
        self._writer = writer
        self._timing = timing
        self._cap = stream_cap
        self._fallback = fallback
        self._answered = 0  # the highest stream that was
        self._proven = False
        self._locked = one_first
        self._born = loop.time()

    # What its pool asks.

    def free(self) -> int:
        """How many more exchanges this connection would take now."""
        wire, streams = self.wire, self.streams
        if wire.paused or wire.send_window <= 0 or streams.burst > LARGEST_BURST:
            return 0
        return self.slots - len(streams.open)

    def is_busy(self) -> bool:
        """Whether it has no free slot."""
        return self.retired is not None or self.free() <= 0

    def open(self, exchange: Exchange, now: float) -> None:
        """Send this. Only for a connection that is not retired and has a free slot."""
        streams, timing = self.streams, self._timing
        exchange.connection = self
        exchange.opened = now
        if not streams.open:
            self.heartbeat.expect_answers()
        streams.send(exchange)
        limit = timing.answer if exchange.unsent is None else timing.stall
        self._owner.await_until(exchange, now + limit)
        if streams.next_stream > f.LARGEST_STREAM:
            self.retire("no stream ids are left", ours=True)

    def open_all(self, exchanges: Sequence[Exchange], now: float) -> int:
        """As `open`, of as many of these as find nothing in their way, in their order: how many.

        They share a deadline, and have waited for nothing yet. What is in the way of the next
        (`start_by`, slots, windows) is for whoever asks for it alone.
        """
        streams, wire, opened = self.streams, self.wire, 0
        for exchange in exchanges[: max(self.free(), 0)]:
            if wire.send_window <= 0 or streams.burst > LARGEST_BURST:
                break
            if boottime() >= exchange.start_by or streams.next_stream > f.LARGEST_STREAM:
                break
            if not streams.open:
                self.heartbeat.expect_answers()
            exchange.connection = self
            exchange.opened = now
            streams.send(exchange)
            opened += 1
            if exchange.unsent is not None:
                break
        self._await_answers(exchanges[:opened], now)
        if streams.next_stream > f.LARGEST_STREAM:
            self.retire("no stream ids are left", ours=True)
        return opened

    def _await_answers(self, opened: Sequence[Exchange], now: float) -> None:
        if opened and opened[-1].unsent is not None:
            self._owner.await_until(opened[-1], now + self._timing.stall)
            opened = opened[:-1]
        if opened:
            self._owner.await_all(opened, now + self._timing.answer)

    def carries(self, exchange: Exchange) -> bool:
        """Whether this exchange is still owed its end here."""
        return self.streams.open.get(exchange.stream) is exchange

    def expire(self, exchange: Exchange) -> None:
        """What it waits for has not come in time."""
        self.streams.expire(exchange)

    def withdraw(self, exchange: Exchange) -> None:
        """Nobody wants it any more."""
        self.streams.withdraw(exchange)

    def prove(self) -> None:
        """An answer shows that the connection works, and who we are is accepted."""
        if self._locked or not self._proven:
            self._proven = True
            self._locked = False
            self._count_slots()
            self._owner.on_proven()
            self._owner.on_room(self)

    def retire(self, cause: str, *, ours: bool = False) -> None:
        """Take no new exchanges; close once the open ones have their ends.

        `ours`: we want it so, and nobody has failed.
        """
        if self.retired is None:
            self.retired = cause
            self.ours = ours
            self._owner.on_left(self, cause)
        if not self.streams.open and self.wire.ended is None:
            self.wire.leave(cause)

    def close(self) -> None:
        """Close now; exchanges in flight are lost."""
        if self.wire.ended is None:
            self.ours = True
            self.wire.leave("closed")

    def abort(self, cause: str) -> None:
        """Close now, without a word."""
        self.wire.end(cause, abort=True)

    def long_lived(self) -> bool:
        """Whether it has worked, or stood long enough to count as working."""
        return self._proven or self.loop.time() - self._born >= self._timing.proven

    # What its heartbeat asks.

    @property
    def last_heard(self) -> float:
        return self.wire.last_heard

    @property
    def pong_due(self) -> float | None:
        return self.wire.pong_due

    @property
    def stalled_since(self) -> float | None:
        return self.wire.stalled_since

    @property
    def owes_answers(self) -> bool:
        return bool(self.streams.open)

    def is_over(self) -> bool:
        return self.wire.ended is not None

    def ping(self) -> None:
        self.wire.ping()

    # What the wire tells.

    def on_open(self) -> None:
        self._owner.on_open(self)

    def on_closed(self) -> None:
        self._owner.on_closed(self)

    def on_older(self, transport: asyncio.Transport) -> bool:
        if self._fallback is None:
            return False
        self.wire = self.streams = older = Http1(
            self._fallback.request, self, self._timing, self.streams.next_stream
        )
        transport.set_protocol(older)
        older.connection_made(transport)
        self._count_slots()
        return True

    def on_goaway(self, last_stream: int, code: int, debug: bytes) -> None:
        reason = self._owner.reason_of(debug)
        cause = f"GOAWAY {f.error_name(code)}" + (f" {reason}" if reason else "")
        self.retired = self.retired or cause
        self.refusal = reason
        streams = self.streams
        for exchange in [x for x in streams.open.values() if x.stream > last_stream]:
            streams.conclude_unanswered(exchange, NoAnswer.NEVER_SENT, cause, reason=reason)
        self._owner.on_left(self, cause)
        if not streams.open:
            self.wire.end(cause)

    def on_settings(self, table_size: int | None) -> None:
        if table_size is not None:
            self._writer.set_table_size(table_size)
        greeted = self.wire.greeted.done()
        if greeted and self.wire.max_streams > 1:
            self._locked = False  # raised since the first SETTINGS: we are accepted
        self._count_slots()
        if self.streams.blocked:
            self.streams.on_room(0, 0)
        elif greeted:
            self._owner.on_room(self)

    def on_end(self, cause: str) -> None:
        self.retired = self.retired or cause
        self.heartbeat.stop()
        self.streams.conclude_all(cause)
        self._owner.on_left(self, cause)

    # What the streams tell.

    def on_answer(self, exchange: Exchange) -> None:
        self._answered = max(self._answered, exchange.stream)
        self._owner.on_answer(self, exchange)

    def on_silence(self, exchange: Exchange) -> None:
        self._owner.on_silence(self, deaf=self._answered < exchange.stream)

    def on_no_window(self, cause: str) -> None:
        self.retire(cause)

    def on_slot(self) -> None:
        if self.retired is not None and not self.streams.open and self.wire.ended is None:
            # Not at once: whoever concluded the last one may not have done with this connection.
            self.loop.call_soon(self.retire, self.retired)
        else:
            self._owner.on_room(self)

    # Its own.

    def _count_slots(self) -> None:
        most = min(self.wire.max_streams, self._cap)
        self.slots = min(most, 1) if self._locked else most
        if self.slots:
            self.slotless_since = None
        elif self.slotless_since is None:
            self.slotless_since = self.loop.time()
            self.heartbeat.expect_answers()

    def _unresponsive(self, asked: float) -> None:
        """A PING went unanswered. If answers still come, let those in flight have theirs."""
        cause = "a PING was not answered"
        if self.wire.last_heard > asked:
            self.wire.pong_due = None
            self.retire(cause)
        else:
            self.abort(cause)
