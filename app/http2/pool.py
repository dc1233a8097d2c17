"""The exchanges of one identity with one server, and which connection each goes to.

An exchange waits for nothing but a free slot, and never beyond its deadline.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from app.core.push_policy import NoAnswer
from app.http2.connect import Endpoint
from app.http2.connection import Connection
from app.http2.deadlines import Deadlines
from app.http2.exchange import Exchange
from app.http2.http1 import Fallback
from app.http2.manager import ConnectionManager, Identity
from app.http2.timing import Timing
from app.infra.boottime import boottime

_TOO_LATE: Final = 0.025
"""Seconds before its deadline at which what has waited is not worth a stream any more."""
_CLOCK_STEP: Final = 0.002


class Listener(Protocol):
    """The sender: knows what the server's words mean."""

    def on_answer(self, connection: Connection, exchange: Exchange) -> None:
        """An exchange was answered: what does that mean for its connection?"""

    def reason_of(self, debug: bytes) -> str | None:
        """The reason that the debug data of a GOAWAY gives."""


class Pool:
    """Made and used on one running event loop."""

    def __init__(
        self,
        listener: Listener,
        *,
        endpoint: Endpoint,
        identity: Identity,
        max_connections: int,
        warm_connections: int,
        streams_per_connection: int,
        timing: Timing,
        random: Callable[[], float],
        first_stream: int = 1,
        fallback: Fallback | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.in_flight = 0
        self.waiting: OrderedDict[Exchange, float] = OrderedDict()  # since when
        self.stale: dict[Exchange, None] = {}
        self.manager = ConnectionManager(
            self,
            self.loop,
            endpoint=endpoint,
            identity=identity,
            most=max(max_connections, warm_connections),
            warm=warm_connections,
            streams_per_connection=streams_per_connection,
            timing=timing,
            random=random,
            first_stream=first_stream,
            fallback=fallback,
        )
        self.connections = self.manager.connections
        self.deadlines: Deadlines[Exchange] = Deadlines(self.loop, self._expire)
        self._listener = listener
        self.on_answer = listener.on_answer
        self._timing = timing
        self._closing: str | None = None
        self._resting = 0.0
        self._short = False
        self._quiet: asyncio.Event = asyncio.Event()
        self._opened = 0.0
        self._patience: asyncio.TimerHandle | None = None

    # What senders do.

    def submit(self, exchange: Exchange) -> None:
        """Send, or queue for the next free slot. The exchange is told its end."""
        now = exchange.started
        if self._closing is not None:
            self._reject(exchange, NoAnswer.NEVER_SENT, self._closing)
        elif exchange.deadline <= now:
            cause = "its deadline had passed before it was sent"
            self._reject(exchange, NoAnswer.OUT_OF_TIME, cause)
        else:
            self.in_flight += 1
            self._open_or_wait(exchange, now)

    def submit_all(self, exchanges: Sequence[Exchange]) -> None:
        """`submit` of each, in their order: they are as old, and share a deadline and `start_by`.

        As long as nothing is in their way they go by one connection, and it is looked for once.
        """
        for exchange in exchanges[self._open_together(exchanges) :]:
            self.submit(exchange)

    def renew(self, exchange: Exchange, start_by: float) -> None:
        """One without a stream may begin until `start_by`."""
        exchange.start_by = start_by
        if exchange in self.stale:
            del self.stale[exchange]
            self._open_or_wait(exchange, self.loop.time())

    def withdraw(self, exchange: Exchange) -> None:
        """The caller no longer wants it; nothing happens if it has its end."""
        carrier = exchange.connection
        if carrier is not None:
            if carrier.carries(exchange):
                carrier.withdraw(exchange)
        elif self._leave(exchange):
            self.on_done(exchange)

    async def drain(self, deadline: float) -> None:
        """Take nothing new, send nothing that waits, let open streams end until the deadline."""
        self._stop("the sender is draining")
        for connection in list(self.connections):
            connection.retire("the sender is draining", ours=True)
        if self.in_flight:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._quiet.wait()
        await self.close()

    async def close(self, cause: str = "the sender is closed") -> None:
        """End everything now and wait until the sockets are closed."""
        self._stop(cause)
        await self.manager.close()
        self.deadlines.close()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def has_worked(self) -> bool:
        """Whether it has a connection that did what it is for."""
        return any(one.long_lived() for one in self.connections)

    def rest(self, connection: Connection) -> None:
        """Prefer others to this connection for a while."""
        connection.rests_until = self._resting = self.loop.time() + self._timing.rest

    # What connections and their manager tell.

    def on_open(self, connection: Connection) -> None:
        self.manager.sockets.add(connection)

    def on_closed(self, connection: Connection) -> None:
        self.manager.sockets.discard(connection)

    def on_done(self, exchange: Exchange) -> None:
        self.deadlines.remove(exchange)
        self.in_flight -= 1
        if self._closing is not None and not self.in_flight:
            self._quiet.set()

    def await_all(self, exchanges: Sequence[Exchange], due: float) -> None:
        self.deadlines.add_all(exchanges, min(due, exchanges[0].deadline))

    def await_until(self, exchange: Exchange, due: float) -> None:
        self.deadlines.remove(exchange)
        exchange.due = min(due, exchange.deadline)
        self.deadlines.add(exchange)

    def on_room(self, connection: Connection) -> None:
        if not self.waiting or connection.retired is not None:
            return
        now = self.loop.time()
        too_late = now + _TOO_LATE
        while self.waiting and not connection.is_busy():
            exchange = next(iter(self.waiting))
            if exchange.deadline < too_late:
                self._expire(exchange)
            else:
                del self.waiting[exchange]
                if self._may_start(exchange):
                    self._open(connection, exchange, now)
        self.manager.ensure()

    def on_proven(self) -> None:
        self.manager.proven()

    def on_silence(self, connection: Connection, *, deaf: bool) -> None:
        """The next go by another connection."""
        if deaf:
            connection.retire("no answer in time")
        else:
            self.rest(connection)
            self.manager.want_another()

    def on_left(self, connection: Connection, cause: str) -> None:
        if self.manager.left(connection, cause):
            self.on_turned_away(connection, cause)
            self.manager.ensure()

    def on_turned_away(self, connection: Connection, cause: str) -> None:
        """If the server said why it wants nothing from us, those who wait may know."""
        if connection.refusal is not None:
            self.on_refused(cause, connection.refusal)

    def on_refused(self, cause: str, reason: str) -> None:
        if not self.connections:
            self._reject_waiting(cause, reason)

    def has_waiting(self) -> bool:
        return bool(self.waiting)

    def reason_of(self, debug: bytes) -> str | None:
        return self._listener.reason_of(debug)

    # Its own.

    def _open_or_wait(self, exchange: Exchange, now: float) -> None:
        # Those who wait already come first.
        connection = None if self.waiting else self._pick(now)
        if connection is None:
            self.waiting[exchange] = now
            self.deadlines.add(exchange)
            self._expect_progress(now)
            self.manager.ensure()
        elif self._may_start(exchange):
            self._open(connection, exchange, now)
            if self._short:
                self.manager.ensure()

    def _open_together(self, exchanges: Sequence[Exchange]) -> int:
        """How many of them have gone by the connection with the most room."""
        if not exchanges or self.waiting or self._closing is not None:
            return 0
        now = exchanges[0].started
        connection = None if exchanges[0].deadline <= now else self._pick(now, len(exchanges))
        if connection is None:
            return 0
        opened = connection.open_all(exchanges, now)
        if opened:
            self.in_flight += opened
            self._opened = now
            if self._short:
                self.manager.ensure()
        return opened

    def _open(self, connection: Connection, exchange: Exchange, now: float) -> None:
        self._opened = now
        connection.open(exchange, now)

    def _may_start(self, exchange: Exchange) -> bool:
        """Looked at in the turn in which a stream is opened: what is too old waits to be renewed.

        Since it was asked for this process may have been frozen, and it be unwanted by now.
        """
        if boottime() < exchange.start_by:
            return True
        self.stale[exchange] = None
        self.deadlines.add(exchange)
        return False

    def _leave(self, exchange: Exchange) -> bool:
        """Take one out of those without a stream; False if it is not among them."""
        for queue in (self.waiting, self.stale):
            if exchange in queue:
                del queue[exchange]
                return True
        return False

    def _pick(self, now: float, wanted: int = 1) -> Connection | None:
        """The connection with the most free slots; one that rests only if need be."""
        best = spare = None
        most = free_slots = slots = 0
        for connection in self.connections:
            free = connection.free()
            slots += connection.slots
            if free <= 0:
                continue
            free_slots += free
            if self._resting > now and connection.rests_until > now:
                spare = connection
            elif free > most:
                best, most = connection, free
        self._short = free_slots - wanted <= slots // 4
        return best or spare

    def _expect_progress(self, now: float) -> None:
        """Some wait: a stream is to be opened within `stall` seconds."""
        if self._patience is None:
            since = max(self._opened, next(iter(self.waiting.values()), now))
            self._patience = self.loop.call_at(since + self._timing.stall, self._lose_patience)

    def _lose_patience(self) -> None:
        """Nothing is opened any more: let those who wait go where they may fare better."""
        self._patience = None
        now = self.loop.time()
        before = now - self._timing.stall + _CLOCK_STEP
        if self._opened <= before:
            cause = self._why_waiting(f"for {self._timing.stall:g} s")
            while self.waiting and next(iter(self.waiting.values())) <= before:
                exchange, _ = self.waiting.popitem(last=False)
                self.on_done(exchange)
                self._reject(exchange, NoAnswer.NEVER_SENT, cause)
        if self.waiting:
            self._expect_progress(now)

    def _why_waiting(self, how_long: str) -> str:
        if self.connections:
            return f"no stream was free {how_long}"
        return f"no connection {how_long}: {self.manager.last_failure or 'still connecting'}"

    def _expire(self, exchange: Exchange) -> None:
        carrier = exchange.connection
        if carrier is not None:
            if carrier.carries(exchange):
                carrier.expire(exchange)
        elif self._leave(exchange):
            self.on_done(exchange)
            cause = self._why_waiting("before the deadline")
            self._reject(exchange, NoAnswer.OUT_OF_TIME, cause)

    def _reject(
        self, exchange: Exchange, kind: NoAnswer, cause: str, reason: str | None = None
    ) -> None:
        exchange.unanswered(kind, cause, now=self.loop.time(), reason=reason)

    def _reject_waiting(self, cause: str, reason: str | None = None) -> None:
        while self.waiting or self.stale:
            exchange = next(iter(self.waiting or self.stale))
            self._leave(exchange)
            self.on_done(exchange)
            self._reject(exchange, NoAnswer.NEVER_SENT, cause, reason)

    def _stop(self, cause: str) -> None:
        self._closing = self._closing or cause
        self.manager.stop()
        self._reject_waiting(self._closing)
