"""One connection to APNs: pushes out, outcomes in, keyed by stream id. Nothing here retries.

Every way in which a stream can end concludes its push exactly once and gives the slot back:
an answer, RST_STREAM, GOAWAY, the deadline, the caller's cancellation, the connection's end.
Source: RFC 9113 sections 5.1, 6.4, 6.8, 6.9, 8.1, 8.7.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from app.core.reaction import NoAnswer
from app.push.apns import frames as f
from app.push.apns.answer import Answer
from app.push.apns.credential import Identity
from app.push.apns.flight import Flight
from app.push.apns.frames import HEAD, WireError
from app.push.apns.headers import RequestEncoder, authorization_field
from app.push.apns.outcome import PushOutcome, read_body
from app.push.apns.timing import Timing
from app.push.apns.wire import Http2Wire

if TYPE_CHECKING:
    from app.push.apns.pool import ApnsPool

_MAX_BODY: Final = 16_384


class ApnsConnection(Http2Wire):
    """A connection of a pool. `streams` are the pushes that it owes an outcome."""

    def __init__(
        self,
        pool: "ApnsPool",
        loop: asyncio.AbstractEventLoop,
        *,
        number: int,
        identity: Identity,
        authority: str,
        timing: Timing,
        stream_cap: int,
        first_stream: int,
    ) -> None:
        super().__init__(loop)
        self.number = number
        self.identity = identity
        self.streams: dict[int, Flight] = {}
        self.retired: str | None = None
        self.rests_until = 0.0
        self.proven = False
        self.slots = 0
        self._pool = pool
        self._tokens = identity.tokens
        self._timing = timing
        self._cap = stream_cap
        self._next = first_stream
        self._flushed = 0
        self._locked = identity.tokens is not None
        self._blocked: dict[Flight, None] = {}
        self._encoder = RequestEncoder(authority)
        self._authorization = b""
        self._issued_at: int | None = None
        self._born = loop.time()
        self._pulse_timer: asyncio.TimerHandle | None = None
        self._pulse_at = 0.0

    # What the pool asks.

    def free(self) -> int:
        """How many more pushes this connection would take now."""
        if self.paused or self._blocked or self.send_window <= 0:
            return 0
        return self.slots - len(self.streams)

    @property
    def is_busy(self) -> bool:
        """aioapns's word for having no free slot."""
        return self.retired is not None or self.free() <= 0

    def open(self, flight: Flight) -> None:
        """Send this push. Only for a connection that is not retired and has a free slot."""
        stream = self._next
        self._next = stream + 2
        flight.connection = self
        flight.stream = stream
        if self._tokens is not None:
            self._authorize(flight)
        if not self.streams:
            self._expect_answers()
        self.streams[stream] = flight
        request = flight.request
        block = self._encoder.block(request, self._authorization)
        head = HEAD.pack(len(block) << 8 | f.HEADERS, f.END_HEADERS, stream)
        body = request.payload
        size = len(body)
        if size <= self.send_window and size <= self.initial_window and size <= self.max_frame:
            self.send_window -= size
            self.write(head, block, HEAD.pack(size << 8, f.END_STREAM, stream), body)
        else:
            self.write(head, block)
            flight.unsent = body
            self._blocked[flight] = None
            self._send_blocked(flight)
        if self._next > f.LARGEST_STREAM:
            self.retire("no stream ids are left")

    def expire(self, flight: Flight) -> None:
        """The deadline has come: reset the stream, report what is known."""
        self._cancel_stream(flight)
        if flight.code:
            self._conclude_answered(flight)
            return
        reached = flight.unsent is None and flight.stream <= self._flushed
        self._conclude_unanswered(
            flight, NoAnswer.OUT_OF_TIME, "no answer before the deadline", reached=reached
        )

    def withdraw(self, flight: Flight) -> None:
        """The caller has gone: reset the stream, tell nobody."""
        self._cancel_stream(flight)
        self._forget(flight)

    def retire(self, cause: str) -> None:
        """Take no new pushes; close once the open ones have their outcomes."""
        if self.retired is None:
            self.retired = cause
            self._pool.connection_left(self, cause)
        if not self.streams and self.ended is None:
            self.write(f.goaway(f.NO_ERROR))
            self.end(cause)

    def close(self) -> None:
        """Close now; pushes in flight are lost. (aioapns's name.)"""
        if self.ended is None:
            self.write(f.goaway(f.NO_ERROR))
            self.end("closed")

    # What the server says.

    def on_headers(self, stream: int, block: list[tuple[bytes, bytes, bool]], end: bool) -> None:
        flight = self._flight(stream)
        if flight is None:
            return
        if flight.code:  # trailers
            if end:
                self._conclude_answered(flight)
            else:
                self._malformed(flight, "trailers that do not end the stream")
            return
        answer = Answer.read(block, self._pool.wall_clock)
        if answer is None:
            self._malformed(flight, "an answer without a status")
            return
        if answer.code < 200:
            if end:
                self._malformed(flight, "an informational answer that ends the stream")
            return
        flight.code = answer.code
        flight.unique_id = answer.unique_id
        flight.retry_after = answer.retry_after
        if end:
            self._conclude_answered(flight)
        else:
            self._pool.hasten(flight, self.loop.time() + self._timing.body)

    def on_data(self, stream: int, data: bytes, end: bool) -> None:
        flight = self._flight(stream)
        if flight is None:
            return
        if not flight.code:
            self._malformed(flight, "a body before its headers")
            return
        flight.body += data
        if end:
            self._conclude_answered(flight)
        elif len(flight.body) > _MAX_BODY:
            # The status says enough; what is this long is not Apple's reason.
            self._cancel_stream(flight)
            self._conclude_answered(flight)

    def on_reset(self, stream: int, code: int) -> None:
        flight = self._flight(stream)
        if flight is None:
            return
        if flight.code:
            self._conclude_answered(flight)
        elif code == f.REFUSED_STREAM:  # not processed, says section 8.7
            self._conclude_unanswered(flight, NoAnswer.NEVER_SENT, "RST_STREAM REFUSED_STREAM")
        else:
            cause = f"RST_STREAM {f.error_name(code)}"
            self._conclude_unanswered(flight, NoAnswer.LOST, cause, reached=flight.unsent is None)

    def on_goaway(self, last_stream: int, code: int, debug: bytes) -> None:
        reason, _ = read_body(debug)
        cause = f"GOAWAY {f.error_name(code)}" + (f" {reason}" if reason else "")
        self.retired = self.retired or cause
        for flight in [x for x in self.streams.values() if x.stream > last_stream]:
            self._conclude_unanswered(flight, NoAnswer.NEVER_SENT, cause, reason=reason)
        self._pool.connection_left(self, cause, reason)
        if not self.streams:
            self.end(cause)

    def on_room(self, stream: int, increment: int) -> None:
        if stream:
            flight = self._flight(stream)
            if flight is None or flight.unsent is None:
                return
            flight.window += increment
            if not increment or self.initial_window + flight.window > f.LARGEST_WINDOW:
                self._malformed(flight, "a window update of nothing or beyond 2^31-1")
                return
            self._send_blocked(flight)
        else:
            for flight in list(self._blocked):
                self._send_blocked(flight)
        self._pool.room(self)

    def on_settings(self, table_size: int | None) -> None:
        if table_size is not None:
            self._encoder.set_table_size(table_size)
        self._count_slots()
        if self._blocked:
            self.on_room(0, 0)
        elif self.greeted.done():
            self._pool.room(self)

    def on_end(self, cause: str) -> None:
        self.retired = self.retired or cause
        if self._pulse_timer is not None:
            self._pulse_timer.cancel()
        for flight in list(self.streams.values()):
            if flight.code:
                self._conclude_answered(flight)
                continue
            reached = flight.unsent is None and flight.stream <= self._flushed
            kind = NoAnswer.LOST if reached else NoAnswer.NEVER_SENT
            self._conclude_unanswered(flight, kind, cause, reached=reached)
        self._pool.connection_left(self, cause)

    def flush(self) -> None:
        self._flushed = self._next - 2
        super().flush()

    # Streams.

    def _flight(self, stream: int) -> Flight | None:
        """The push of this stream; None for one that has ended, whose late frames mean nothing."""
        flight = self.streams.get(stream)
        if flight is None and (not stream & 1 or stream >= self._next):
            raise WireError(f.PROTOCOL_ERROR, "a frame on a stream that was never opened")
        return flight

    def _send_blocked(self, flight: Flight) -> None:
        """Send as much of the payload as the windows allow (section 6.9)."""
        rest = flight.unsent or b""
        while True:
            room = min(self.send_window, self.initial_window + flight.window, self.max_frame)
            size = min(len(rest), max(room, 0))
            if not size and rest:
                flight.unsent = rest
                return
            self.send_window -= size
            flight.window -= size
            last = size == len(rest)
            self.write(HEAD.pack(size << 8, f.END_STREAM if last else 0, flight.stream))
            self.write(rest[:size])
            rest = rest[size:]
            if last:
                flight.unsent = None
                self._blocked.pop(flight, None)
                return

    def _cancel_stream(self, flight: Flight) -> None:
        self.write(f.rst_stream(flight.stream, f.CANCEL))

    def _malformed(self, flight: Flight, why: str) -> None:
        """A stream error (section 8.1.1): reset it, keep the connection."""
        self.write(f.rst_stream(flight.stream, f.PROTOCOL_ERROR))
        if flight.code:
            self._conclude_answered(flight)
        else:
            self._conclude_unanswered(
                flight, NoAnswer.LOST, f"the server sent {why}", reached=flight.unsent is None
            )

    def _conclude_answered(self, flight: Flight) -> None:
        code = flight.code
        reason, timestamp = read_body(flight.body) if flight.body else (None, None)
        if flight.unsent is not None:  # answered before it had all: stop sending (section 8.1)
            self._cancel_stream(flight)
        if not self.proven or self._locked:
            self._prove(code)
        issued_at = flight.issued_at
        outcome = PushOutcome(
            flight.request.notification_id,
            started=flight.started,
            ended=self.loop.time(),
            code=code,
            reason=reason,
            timestamp=timestamp,
            apns_unique_id=flight.unique_id,
            retry_after=flight.retry_after,
            connection=self.number,
            provider_token_age=(
                None if issued_at is None or self._tokens is None else self._tokens.age(issued_at)
            ),
        )
        self._conclude(flight, outcome)
        if code != 200:
            self._pool.refused(self, code, reason, issued_at)

    def _conclude_unanswered(
        self,
        flight: Flight,
        kind: NoAnswer,
        cause: str,
        *,
        reached: bool = False,
        reason: str | None = None,
    ) -> None:
        outcome = flight.unanswered(
            kind, cause, now=self.loop.time(), may_have_reached=reached, reason=reason
        )
        self._conclude(flight, outcome)

    def _conclude(self, flight: Flight, outcome: PushOutcome) -> None:
        self._forget(flight)
        if not flight.future.done():
            flight.future.set_result(outcome)

    def _forget(self, flight: Flight) -> None:
        self.streams.pop(flight.stream, None)
        if flight.unsent is not None:
            self._blocked.pop(flight, None)
        self._pool.landed(flight)
        if self.retired is not None and not self.streams and self.ended is None:
            self.loop.call_soon(self.retire, self.retired)
        else:
            self._pool.room(self)

    # Slots, provider tokens, signs of life.

    def _count_slots(self) -> None:
        most = min(self.max_streams, self._cap)
        # Apple takes one stream until the first valid token, whatever SETTINGS say until then.
        self.slots = min(most, 1) if self._locked else most

    def _prove(self, code: int) -> None:
        """An answer: the connection works. Not a 403, 429 or 5xx: so does its provider token."""
        if not self.proven:
            self.proven = True
            self._pool.proven()
        if self._locked and code in (200, 400, 410):
            self._locked = False
            self._count_slots()

    def _authorize(self, flight: Flight) -> None:
        assert self._tokens is not None
        token, issued_at = self._tokens.current()
        if issued_at != self._issued_at:
            self._issued_at = issued_at
            self._authorization = authorization_field(token)
        flight.issued_at = issued_at

    def long_lived(self) -> bool:
        """Whether it has worked, or stood long enough to count as working."""
        return self.proven or self.loop.time() - self._born >= self._timing.proven

    def watch(self) -> None:
        """Begin to look after the connection, once the server has greeted."""
        self._pulse_in(self._timing.ping_idle)

    def _expect_answers(self) -> None:
        """From no stream to one: silence is now worth a PING sooner."""
        if self._pulse_at > self.loop.time() + self._timing.ping_busy:
            self._pulse_in(self._timing.ping_busy)

    def _pulse_in(self, delay: float) -> None:
        if self._pulse_timer is not None:
            self._pulse_timer.cancel()
        self._pulse_at = self.loop.time() + delay
        self._pulse_timer = self.loop.call_at(self._pulse_at, self._pulse)

    def _pulse(self) -> None:
        if self.ended is not None:
            return
        now = self.loop.time()
        if self.pong_due is not None:
            left = self.pong_due + self._timing.ping_timeout - now
            if left <= 0.001:
                self._unresponsive(self.pong_due)
                return
            self._pulse_in(left)
            return
        quiet = self._timing.ping_busy if self.streams else self._timing.ping_idle
        left = self.last_heard + quiet - now
        if left <= 0.001:
            self.ping()
            left = self._timing.ping_timeout
        self._pulse_in(left)

    def _unresponsive(self, asked: float) -> None:
        cause = "a PING was not answered"
        if self.last_heard > asked:  # it lives and answers pushes: let those finish
            self.pong_due = None
            self.retire(cause)
            self._pulse_in(self._timing.ping_busy)
        else:
            self.end(cause, abort=True)
