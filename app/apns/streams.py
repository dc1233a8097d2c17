"""The streams of one connection: each carries one push, and ends in one outcome.

Keyed by stream id, never by apns-id. However a stream ends (an answer, RST_STREAM, the deadline,
the caller's cancellation, the connection's end), its push is concluded once and its slot is free.
Source: RFC 9113 sections 5.1, 6.4, 6.9, 8.1, 8.7.
"""

import asyncio
import math
from typing import TYPE_CHECKING, Final

from app.apns import frames as f
from app.apns.answer import Answer, well_formed
from app.apns.flight import Flight
from app.apns.frames import HEAD, WireError
from app.apns.headers import RequestEncoder
from app.apns.outcome import PushOutcome
from app.apns.timing import Timing
from app.apns.wire import Http2Wire
from app.core.push_policy import NoAnswer
from app.infra.boottime import boottime

if TYPE_CHECKING:
    from app.apns.pool import ApnsPool

_MAX_BODY: Final = 16_384

_FROZEN: Final = 1.0
"""Seconds between a write and the end of its turn that only a process that was stopped needs."""


class PushStreams(Http2Wire):
    """Pushes on streams. `streams` are those that are owed an outcome, by stream id."""

    def __init__(
        self,
        pool: "ApnsPool",
        loop: asyncio.AbstractEventLoop,
        *,
        authority: str,
        timing: Timing,
        first_stream: int,
    ) -> None:
        super().__init__(loop)
        self.pool = pool
        self.timing = timing
        self.streams: dict[int, Flight] = {}
        self.next_stream = first_stream
        self.encoder = RequestEncoder(authority)
        self.burst = 0  # bytes of payload since the last flush
        self._flushed = 0
        self._flush_by = math.inf
        self._blocked: dict[Flight, None] = {}

    def on_answer(self, flight: Flight, outcome: PushOutcome) -> None:
        """A push has its answer; what else does that mean?"""
        raise NotImplementedError

    def on_silence(self, flight: Flight) -> None:
        """A push has got no answer within the time that one may take."""
        raise NotImplementedError

    def retire(self, cause: str) -> None:
        """Open no more streams; close once the open ones have ended."""
        raise NotImplementedError

    def on_slot(self) -> None:
        """A stream has ended."""
        raise NotImplementedError

    def send(self, flight: Flight, authorization: bytes) -> None:
        """Open a stream for this push; `authorization` is a finished header field or empty."""
        stream = self.next_stream
        self.next_stream = stream + 2
        if self._flush_by == math.inf:
            self._flush_by = boottime() + _FROZEN
        flight.stream = stream
        self.streams[stream] = flight
        request = flight.request
        block = self.encoder.block(request, authorization)
        head = HEAD.pack(len(block) << 8 | f.HEADERS, f.END_HEADERS, stream)
        body = request.payload
        size = len(body)
        if size <= self.send_window and size <= self.initial_window and size <= self.max_frame:
            self.send_window -= size
            self.write(head, block, HEAD.pack(size << 8, f.END_STREAM, stream), body)
            self.burst += size
        else:
            self.write(head, block)
            flight.unsent = body
            self._blocked[flight] = None
            self._send_blocked(flight)
        if self.send_window <= 0:
            self._stalled()

    def expire(self, flight: Flight) -> None:
        """What it waits for has not come in time: reset the stream, report what is known."""
        self._cancel_stream(flight)
        unsent, in_time = flight.unsent is not None, flight.due < flight.deadline
        if flight.code:
            self._conclude_answered(flight)
        elif not in_time:
            # What is written but not flushed still goes out, before the reset.
            self.conclude_unanswered(
                flight, NoAnswer.OUT_OF_TIME, "no answer before the deadline", reached=not unsent
            )
        elif unsent:
            cause = "the server gives no window"
            self.conclude_unanswered(flight, NoAnswer.NEVER_SENT, cause)
            self.retire(cause)
        else:
            cause = f"no answer within {self.timing.answer:g} s"
            self.conclude_unanswered(flight, NoAnswer.LOST, cause, reached=True)
            self.on_silence(flight)

    def withdraw(self, flight: Flight) -> None:
        """The caller has gone: reset the stream, tell nobody."""
        self._cancel_stream(flight)
        self._forget(flight)

    def conclude_all(self, cause: str) -> None:
        """The connection has ended: report of each push what is known."""
        for flight in list(self.streams.values()):
            if flight.code:
                self._conclude_answered(flight)
                continue
            reached = self._may_have_reached(flight)
            kind = NoAnswer.LOST if reached else NoAnswer.NEVER_SENT
            self.conclude_unanswered(flight, kind, cause, reached=reached)

    def flush(self) -> None:
        """Hand everything to the transport, unless this process was frozen since it was written.

        Then the pushes in it may be unwanted by now: they end as never sent.
        """
        if self._flush_by < boottime() and self.ended is None:
            self._flush_by = math.inf
            self.end("what was written had waited too long", abort=True)
        else:
            super().flush()

    def on_flush(self) -> None:
        """What has been written so far may reach the server."""
        self._flushed = self.next_stream - 2
        self._flush_by = math.inf
        self.burst = 0
        if self.pool.waiting:
            self.loop.call_soon(self.on_slot)

    # What the server says.

    def on_headers(self, stream: int, block: list[tuple[bytes, bytes, bool]], end: bool) -> None:
        flight = self._flight(stream)
        if flight is None:
            return
        if flight.code:  # trailers
            if end and well_formed(block):
                self._conclude_answered(flight)
            else:
                self._malformed(flight, "trailers that are none")
            return
        answer = Answer.read(block, self.pool.wall_clock)
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
        if answer.malformed:
            self._malformed(flight, "a field that no answer may have")
        elif end:
            self._conclude_answered(flight)
        else:
            self.pool.await_until(flight, self.loop.time() + self.timing.body)

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
            self.conclude_unanswered(flight, NoAnswer.NEVER_SENT, "RST_STREAM REFUSED_STREAM")
        else:
            cause = f"RST_STREAM {f.error_name(code)}"
            self.conclude_unanswered(flight, NoAnswer.LOST, cause, reached=flight.unsent is None)

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
        self.on_slot()

    # Streams.

    def _flight(self, stream: int) -> Flight | None:
        """The push of this stream; None for one that has ended, whose late frames mean nothing."""
        flight = self.streams.get(stream)
        if flight is None and (not stream & 1 or stream >= self.next_stream):
            raise WireError(f.PROTOCOL_ERROR, "a frame on a stream that was never opened")
        return flight

    def _may_have_reached(self, flight: Flight) -> bool:
        """Whether the whole request has been given to the network."""
        return flight.unsent is None and flight.stream <= self._flushed

    def _send_blocked(self, flight: Flight) -> None:
        """Send as much of the payload as the windows allow (section 6.9)."""
        rest, moved = flight.unsent or b"", False
        while True:
            room = min(self.send_window, self.initial_window + flight.window, self.max_frame)
            size = min(len(rest), max(room, 0))
            if not size and rest:
                flight.unsent = rest
                if self.send_window <= 0:
                    self._stalled()
                if moved and flight.opened:
                    self._await_window(flight)
                return
            self.send_window -= size
            flight.window -= size
            last = size == len(rest)
            moved = True
            self.write(HEAD.pack(size << 8, f.END_STREAM if last else 0, flight.stream))
            self.write(rest[:size])
            rest = rest[size:]
            if last:
                flight.unsent = None
                self._blocked.pop(flight, None)
                self.pool.await_until(flight, self.loop.time() + self.timing.answer)
                return

    def _await_window(self, flight: Flight) -> None:
        """More of the body is to go soon, and all of it before an answer would be overdue."""
        soon = self.loop.time() + self.timing.stall
        self.pool.await_until(flight, min(soon, flight.opened + self.timing.answer))

    def _stalled(self) -> None:
        """The connection's window is used up: since when, is for the heartbeat to judge."""
        if self.stalled_since is None:
            self.stalled_since = self.loop.time()

    def _cancel_stream(self, flight: Flight) -> None:
        self.write(f.rst_stream(flight.stream, f.CANCEL))

    def _malformed(self, flight: Flight, why: str) -> None:
        """A stream error (section 8.1.1): reset it, keep the connection."""
        self.write(f.rst_stream(flight.stream, f.PROTOCOL_ERROR))
        if flight.code:
            self._conclude_answered(flight)
        else:
            self.conclude_unanswered(
                flight, NoAnswer.LOST, f"the server sent {why}", reached=flight.unsent is None
            )

    def _conclude_answered(self, flight: Flight) -> None:
        if flight.unsent is not None:  # answered before it had all: stop sending (section 8.1)
            self._cancel_stream(flight)
        age = None if flight.issued_at is None else self.pool.wall_clock() - flight.issued_at
        outcome = flight.answered(self.loop.time(), age)
        self.conclude(flight, outcome)
        self.on_answer(flight, outcome)

    def conclude_unanswered(
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
        self.conclude(flight, outcome)

    def conclude(self, flight: Flight, outcome: PushOutcome) -> None:
        self._forget(flight)
        if not flight.future.done():
            flight.future.set_result(outcome)

    def _forget(self, flight: Flight) -> None:
        self.streams.pop(flight.stream, None)
        if flight.unsent is not None:
            self._blocked.pop(flight, None)
        self.pool.landed(flight)
        self.on_slot()
