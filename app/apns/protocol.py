"""One connection to APNs: when it takes pushes, when it stops, and with which provider token.

Nothing here retries. A connection that is to go is retired: it takes no new pushes, lives until
those it has are concluded, then closes. Source: RFC 9113 section 6.8; APNS.md's "Connections".
"""

import asyncio
from typing import TYPE_CHECKING, Final

from app.apns import frames as f
from app.apns.credential import Identity
from app.apns.flight import Flight
from app.apns.headers import authorization_field
from app.apns.heartbeat import Heartbeat
from app.apns.outcome import PushOutcome, read_body
from app.apns.streams import PushStreams
from app.apns.timing import Timing
from app.core.push_policy import NoAnswer

if TYPE_CHECKING:
    from app.apns.pool import ApnsPool

_LARGEST_BURST: Final = 1 << 20
"""Bytes in one turn of the loop; then the transport has a say (its high-water mark)."""
_PROVES: Final = frozenset((200, 400, 410))


class ApnsConnection(PushStreams):
    """A connection of a pool; `number` counts them from 1."""

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
        super().__init__(pool, loop, authority=authority, timing=timing, first_stream=first_stream)
        self.number = number
        self.identity = identity
        self.retired: str | None = None
        self.ours = False
        self.refusal: str | None = None
        self.rests_until = 0.0
        self.slots = 0
        self.slotless_since: float | None = None
        self.answered = 0  # the highest stream that was
        self.heartbeat = Heartbeat(self, timing, self._unresponsive)
        self._cap = stream_cap
        self._proven = False
        self._locked = identity.tokens is not None
        self._authorization = b""
        self._issued_at: int | None = None
        self._born = loop.time()

    # What the pool asks.

    def free(self) -> int:
        """How many more pushes this connection would take now."""
        if self.paused or self.send_window <= 0 or self.burst > _LARGEST_BURST:
            return 0
        return self.slots - len(self.streams)

    @property
    def is_busy(self) -> bool:
        """aioapns's word for having no free slot."""
        return self.retired is not None or self.free() <= 0

    def open(self, flight: Flight, now: float) -> None:
        """Send this push. Only for a connection that is not retired and has a free slot."""
        flight.connection = self
        flight.opened = now
        if self.identity.tokens is not None:
            token, flight.issued_at = self.identity.tokens.current()
            if flight.issued_at != self._issued_at:
                self._issued_at = flight.issued_at
                self._authorization = authorization_field(token)
        if not self.streams:
            self.heartbeat.expect_answers()
        self.send(flight, self._authorization)
        whole = flight.unsent is None
        self.pool.await_until(flight, now + (self.timing.answer if whole else self.timing.stall))
        if self.next_stream > f.LARGEST_STREAM:
            self.retire("no stream ids are left", ours=True)

    def retire(self, cause: str, *, ours: bool = False) -> None:
        """Take no new pushes; close once the open ones have their outcomes.

        `ours`: we want it so, and nobody has failed.
        """
        if self.retired is None:
            self.retired = cause
            self.ours = ours
            self.pool.connection_left(self, cause)
        if not self.streams and self.ended is None:
            self.write(f.goaway(f.NO_ERROR))
            self.end(cause)

    def close(self) -> None:
        """Close now; pushes in flight are lost. (aioapns's name.)"""
        if self.ended is None:
            self.ours = True
            self.write(f.goaway(f.NO_ERROR))
            self.end("closed")

    def long_lived(self) -> bool:
        """Whether it has worked, or stood long enough to count as working."""
        return self._proven or self.loop.time() - self._born >= self.timing.proven

    # What the transport and the server say.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.pool.keeper.sockets.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pool.keeper.sockets.discard(self)
        super().connection_lost(exc)

    def on_goaway(self, last_stream: int, code: int, debug: bytes) -> None:
        reason, _ = read_body(debug)
        cause = f"GOAWAY {f.error_name(code)}" + (f" {reason}" if reason else "")
        self.retired = self.retired or cause
        self.refusal = reason
        for flight in [x for x in self.streams.values() if x.stream > last_stream]:
            self.conclude_unanswered(flight, NoAnswer.NEVER_SENT, cause, reason=reason)
        self.pool.connection_left(self, cause)
        if not self.streams:
            self.end(cause)

    def on_settings(self, table_size: int | None) -> None:
        if table_size is not None:
            self.encoder.set_table_size(table_size)
        if self.greeted.done() and self.max_streams > 1:
            self._locked = False  # raised since the first SETTINGS: the token was accepted
        self._count_slots()
        if self._blocked:
            self.on_room(0, 0)
        elif self.greeted.done():
            self.pool.room(self)

    def on_answer(self, flight: Flight, outcome: PushOutcome) -> None:
        code = outcome.code
        self.answered = max(self.answered, flight.stream)
        if code in _PROVES and (self._locked or not self._proven):
            # The connection works, and so does its provider token.
            self._proven = True
            self._locked = False
            self._count_slots()
            self.pool.proven()
            self.pool.room(self)
        if code != 200:
            self.pool.refused(self, code, outcome.reason, flight.issued_at)

    def on_silence(self, flight: Flight) -> None:
        self.pool.silent(self, deaf=self.answered < flight.stream)

    def on_slot(self) -> None:
        if self.retired is not None and not self.streams and self.ended is None:
            # Not at once: whoever concluded the last push may not have done with this connection.
            self.loop.call_soon(self.retire, self.retired)
        else:
            self.pool.room(self)

    def on_end(self, cause: str) -> None:
        self.retired = self.retired or cause
        self.heartbeat.stop()
        self.conclude_all(cause)
        self.pool.connection_left(self, cause)

    # Its own.

    def _count_slots(self) -> None:
        most = min(self.max_streams, self._cap)
        # Apple takes one stream until the first valid token, whatever SETTINGS say until then.
        self.slots = min(most, 1) if self._locked else most
        if self.slots:
            self.slotless_since = None
        elif self.slotless_since is None:
            self.slotless_since = self.loop.time()
            self.heartbeat.expect_answers()

    def _unresponsive(self, asked: float) -> None:
        """A PING went unanswered. If answers still come, let those in flight have theirs."""
        cause = "a PING was not answered"
        if self.last_heard > asked:
            self.pong_due = None
            self.retire(cause)
        else:
            self.end(cause, abort=True)
