"""The streams of one connection: each carries one exchange, and ends in one end of it.

Keyed by stream id alone. However a stream ends (an answer, RST_STREAM, the deadline, the caller's
withdrawal, the connection's end), its exchange is concluded once and its slot is free.
Source: RFC 9113 sections 5.1, 6.4, 6.9, 8.1, 8.7.
"""

import asyncio
import math
from typing import Any, Final, Protocol

from app.core.push_policy import NoAnswer
from app.http2 import frames as f
from app.http2.exchange import Exchange
from app.http2.frames import HEAD, WireError
from app.http2.head import Block, Head, is_plain_ok, well_formed
from app.http2.timing import Timing
from app.http2.wire import Wire
from app.infra.boottime import boottime

LARGEST_BURST: Final = 1 << 20
"""Bytes in one turn of the loop; then the transport has a say (its high-water mark)."""

MOST_OF_BODY: Final = 16_384
"""Bytes of an answer's body that are kept."""

_FROZEN: Final = 1.0
"""Seconds between a write and the end of its turn that only a process that was stopped needs."""


class HeaderWriter(Protocol):
    """Writes the header blocks of one connection, of the sender's own kind of exchange."""

    def set_table_size(self, size: int) -> None:
        """Follow the server's SETTINGS_HEADER_TABLE_SIZE."""

    def block(self, exchange: Any, /) -> bytes:
        """The header block of this exchange."""


class StreamsListener(Protocol):
    """Who is told what becomes of exchanges."""

    def on_answer(self, exchange: Exchange) -> None:
        """It has its answer; what else does that mean?"""

    def on_silence(self, exchange: Exchange) -> None:
        """It has got no answer within the time that one may take."""

    def on_no_window(self, cause: str) -> None:
        """One could not send its body."""

    def on_done(self, exchange: Exchange) -> None:
        """It has its end, or nobody wants it: its stream is free."""

    def await_until(self, exchange: Exchange, due: float) -> None:
        """What it waits for now must come until then."""

    def on_slot(self) -> None:
        """There may be room for another stream."""


class Streams:
    """Exchanges on streams. `open` are those that are owed their end, by stream id."""

    def __init__(
        self,
        wire: Wire,
        writer: HeaderWriter,
        listener: StreamsListener,
        timing: Timing,
        first_stream: int,
    ) -> None:
        self.open: dict[int, Exchange] = {}
        self.next_stream = first_stream
        self.writer = writer
        self.burst = 0  # bytes of payload since the last flush
        self.blocked: dict[Exchange, None] = {}
        self._wire = wire
        self._loop: asyncio.AbstractEventLoop = wire.loop
        self._listener = listener
        self._timing = timing
        self._flushed = 0
        self.flush_by = math.inf

    def send(self, exchange: Exchange) -> None:
        """Open a stream for this exchange."""
        wire = self._wire
        stream = self.next_stream
        self.next_stream = stream + 2
        if self.flush_by == math.inf:
            self.flush_by = boottime() + _FROZEN
        exchange.stream = stream
        self.open[stream] = exchange
        block = self.writer.block(exchange)
        head = HEAD.pack(len(block) << 8 | f.HEADERS, f.END_HEADERS, stream)
        body = exchange.payload
        size = len(body)
        if size <= wire.send_window and size <= wire.initial_window and size <= wire.max_frame:
            wire.send_window -= size
            wire.write(head, block, HEAD.pack(size << 8, f.END_STREAM, stream), body)
            self.burst += size
        else:
            wire.write(head, block)
            exchange.unsent = body
            self.blocked[exchange] = None
            self._send_blocked(exchange)
        if wire.send_window <= 0:
            self._stalled()

    def expire(self, exchange: Exchange) -> None:
        """What it waits for has not come in time: reset the stream, report what is known."""
        self._cancel_stream(exchange)
        unsent, in_time = exchange.unsent is not None, exchange.due < exchange.deadline
        if exchange.code:
            self._conclude_answered(exchange)
        elif not in_time:
            # What is written but not flushed still goes out, before the reset.
            self.conclude_unanswered(
                exchange, NoAnswer.OUT_OF_TIME, "no answer before the deadline", reached=not unsent
            )
        elif unsent:
            cause = "the server gives no window"
            self.conclude_unanswered(exchange, NoAnswer.NEVER_SENT, cause)
            self._listener.on_no_window(cause)
        else:
            cause = f"no answer within {self._timing.answer:g} s"
            self.conclude_unanswered(exchange, NoAnswer.LOST, cause, reached=True)
            self._listener.on_silence(exchange)

    def withdraw(self, exchange: Exchange) -> None:
        """The caller has gone: reset the stream, tell nobody."""
        self._cancel_stream(exchange)
        self._forget(exchange)

    def conclude_all(self, cause: str) -> None:
        """The connection has ended: report of each exchange what is known."""
        for exchange in list(self.open.values()):
            if exchange.code:
                self._conclude_answered(exchange)
                continue
            reached = self._may_have_reached(exchange)
            kind = NoAnswer.LOST if reached else NoAnswer.NEVER_SENT
            self.conclude_unanswered(exchange, kind, cause, reached=reached)

    def on_flush(self) -> bool:
        """What has been written so far may reach the server; False if it must not.

        If this process was frozen since it was written, it may be unwanted by now: it ends as never
        sent.
        """
        fresh = boottime() <= self.flush_by
        self.flush_by = math.inf
        if fresh:
            self._flushed = self.next_stream - 2
            if self.burst > LARGEST_BURST:  # now the transport has had its say
                self._loop.call_soon(self._listener.on_slot)
            self.burst = 0
        return fresh

    # What the server says.

    def on_headers(self, stream: int, block: Block, end: bool) -> None:
        exchange = self.open.get(stream) or self._open_exchange(stream)
        if exchange is None:
            return
        if end and not exchange.code and is_plain_ok(block):
            exchange.code, exchange.fields = 200, block[1:]
            self._conclude_answered(exchange)
            return
        if exchange.code:  # trailers
            if end and well_formed(block):
                self._conclude_answered(exchange)
            else:
                self._malformed(exchange, "trailers that are none")
            return
        answer = Head.read(block)
        if answer is None:
            self._malformed(exchange, "an answer without a status")
            return
        if answer.code < 200:
            if end:
                self._malformed(exchange, "an informational answer that ends the stream")
            return
        exchange.code = answer.code
        exchange.fields = answer.fields
        if answer.malformed:
            self._malformed(exchange, "a field that no answer may have")
        elif end:
            self._conclude_answered(exchange)
        else:
            self._listener.await_until(exchange, self._loop.time() + self._timing.body)

    def on_data(self, stream: int, data: bytes, end: bool) -> None:
        exchange = self._open_exchange(stream)
        if exchange is None:
            return
        if not exchange.code:
            self._malformed(exchange, "a body before its headers")
            return
        exchange.body += data
        if end:
            self._conclude_answered(exchange)
        elif len(exchange.body) > MOST_OF_BODY:
            # The status says enough; what is this long is no reason in words.
            self._cancel_stream(exchange)
            self._conclude_answered(exchange)

    def on_reset(self, stream: int, code: int) -> None:
        exchange = self._open_exchange(stream)
        if exchange is None:
            return
        if exchange.code:
            self._conclude_answered(exchange)
        elif code == f.REFUSED_STREAM:  # not processed, says section 8.7
            self.conclude_unanswered(exchange, NoAnswer.NEVER_SENT, "RST_STREAM REFUSED_STREAM")
        else:
            cause = f"RST_STREAM {f.error_name(code)}"
            self.conclude_unanswered(
                exchange, NoAnswer.LOST, cause, reached=exchange.unsent is None
            )

    def on_room(self, stream: int, increment: int) -> None:
        if stream:
            exchange = self._open_exchange(stream)
            if exchange is None or exchange.unsent is None:
                return
            exchange.window += increment
            if not increment or self._wire.initial_window + exchange.window > f.LARGEST_WINDOW:
                self._malformed(exchange, "a window update of nothing or beyond 2^31-1")
                return
            self._send_blocked(exchange)
        else:
            for exchange in list(self.blocked):
                self._send_blocked(exchange)
        self._listener.on_slot()

    # Streams.

    def _open_exchange(self, stream: int) -> Exchange | None:
        """What this stream carries; None if it has ended: its late frames mean nothing."""
        exchange = self.open.get(stream)
        if exchange is None and (not stream & 1 or stream >= self.next_stream):
            raise WireError(f.PROTOCOL_ERROR, "a frame on a stream that was never opened")
        return exchange

    def _may_have_reached(self, exchange: Exchange) -> bool:
        """Whether the whole request has been given to the network."""
        return exchange.unsent is None and exchange.stream <= self._flushed

    def _send_blocked(self, exchange: Exchange) -> None:
        """Send as much of the payload as the windows allow (section 6.9)."""
        wire, rest, moved = self._wire, exchange.unsent or b"", False
        while True:
            stream_window = wire.initial_window + exchange.window
            room = min(wire.send_window, stream_window, wire.max_frame)
            size = min(len(rest), max(room, 0))
            if not size and rest:
                exchange.unsent = rest
                if wire.send_window <= 0:
                    self._stalled()
                if moved and exchange.opened:
                    self._await_window(exchange)
                return
            wire.send_window -= size
            exchange.window -= size
            last = size == len(rest)
            moved = True
            wire.write(HEAD.pack(size << 8, f.END_STREAM if last else 0, exchange.stream))
            wire.write(rest[:size])
            rest = rest[size:]
            if last:
                exchange.unsent = None
                self.blocked.pop(exchange, None)
                self._listener.await_until(exchange, self._loop.time() + self._timing.answer)
                return

    def _await_window(self, exchange: Exchange) -> None:
        """More of the body is to go soon, and all of it before an answer would be overdue."""
        soon = self._loop.time() + self._timing.stall
        self._listener.await_until(exchange, min(soon, exchange.opened + self._timing.answer))

    def _stalled(self) -> None:
        """The connection's window is used up: since when, is for the heartbeat to judge."""
        if self._wire.stalled_since is None:
            self._wire.stalled_since = self._loop.time()

    def _cancel_stream(self, exchange: Exchange) -> None:
        self._wire.write(f.rst_stream(exchange.stream, f.CANCEL))

    def _malformed(self, exchange: Exchange, why: str) -> None:
        """A stream error (section 8.1.1): reset it, keep the connection."""
        self._wire.write(f.rst_stream(exchange.stream, f.PROTOCOL_ERROR))
        if exchange.code:
            self._conclude_answered(exchange)
        else:
            self.conclude_unanswered(
                exchange, NoAnswer.LOST, f"the server sent {why}", reached=exchange.unsent is None
            )

    def _conclude_answered(self, exchange: Exchange) -> None:
        if exchange.unsent is not None:  # answered before it had all: stop sending (section 8.1)
            self._cancel_stream(exchange)
        self._forget(exchange)
        exchange.answered(self._loop.time())
        self._listener.on_answer(exchange)

    def conclude_unanswered(
        self,
        exchange: Exchange,
        kind: NoAnswer,
        cause: str,
        *,
        reached: bool = False,
        reason: str | None = None,
    ) -> None:
        self._forget(exchange)
        exchange.unanswered(
            kind, cause, now=self._loop.time(), may_have_reached=reached, reason=reason
        )

    def _forget(self, exchange: Exchange) -> None:
        self.open.pop(exchange.stream, None)
        if exchange.unsent is not None:
            self.blocked.pop(exchange, None)
        self._listener.on_done(exchange)
        self._listener.on_slot()
