"""The pushes of one credential in one environment, and which connection each goes to.

A push waits for nothing but a free slot, and never beyond its deadline.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aioapns.connection import APNsBaseConnectionPool

from app.apns.connect import Endpoint
from app.apns.credential import Identity
from app.apns.deadlines import Deadlines
from app.apns.flight import Flight
from app.apns.keeper import Keeper
from app.apns.policy import connection_after
from app.apns.protocol import ApnsConnection
from app.apns.request import PushRequest
from app.apns.timing import Timing
from app.core.push_policy import ConnectionAction, NoAnswer
from app.infra.boottime import boottime

_TOO_LATE: Final = 0.025
"""Seconds before its deadline at which a push that has waited is not worth a stream any more."""
_CLOCK_STEP: Final = 0.002


class ApnsPool(APNsBaseConnectionPool):
    """See the module. Made and used on one running event loop."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        identity: Identity,
        max_connections: int,
        warm_connections: int,
        streams_per_connection: int,
        timing: Timing,
        wall_clock: Callable[[], float],
        random: Callable[[], float],
        first_stream: int = 1,
    ) -> None:
        super().__init__(max_connections=max_connections, max_connection_attempts=1)
        self.wall_clock = wall_clock
        self.in_flight = 0
        self.waiting: OrderedDict[Flight, float] = OrderedDict()  # since when
        self.stale: dict[Flight, None] = {}
        self.keeper = Keeper(
            self,
            endpoint=endpoint,
            identity=identity,
            most=max_connections,
            warm=warm_connections,
            streams_per_connection=streams_per_connection,
            timing=timing,
            random=random,
            first_stream=first_stream,
        )
        self.connections: list[ApnsConnection] = self.keeper.connections  # type: ignore[assignment]
        self._timing = timing
        self._deadlines: Deadlines[Flight] = Deadlines(self.loop, self._expire)
        self._closing: str | None = None
        self._resting = 0.0
        self._short = False
        self._quiet: asyncio.Event = asyncio.Event()
        self._opened = 0.0
        self._patience: asyncio.TimerHandle | None = None

    # What senders do.

    def submit(self, request: PushRequest, deadline: float, start_by: float = math.inf) -> Flight:
        """Send, or queue for the next free slot. The flight's future gets the outcome."""
        now = self.loop.time()
        flight = Flight(request, deadline, now, self.loop.create_future(), start_by)
        if self._closing is not None:
            self._reject(flight, NoAnswer.NEVER_SENT, self._closing)
        elif deadline <= now:
            self._reject(flight, NoAnswer.OUT_OF_TIME, "its deadline had passed before it was sent")
        else:
            self.in_flight += 1
            self._deadlines.add(flight)
            self._open_or_wait(flight, now)
        return flight

    def renew(self, flight: Flight, start_by: float) -> None:
        """A push without a stream may begin until `start_by`."""
        flight.start_by = start_by
        if flight in self.stale:
            del self.stale[flight]
            self._open_or_wait(flight, self.loop.time())

    def _open_or_wait(self, flight: Flight, now: float) -> None:
        # Those who wait already come first.
        connection = None if self.waiting else self._pick(now)
        if connection is None:
            self.waiting[flight] = now
            self._expect_progress(now)
            self.keeper.ensure()
        elif self._may_start(flight):
            self._open(connection, flight, now)
            if self._short:
                self.keeper.ensure()

    def _open(self, connection: ApnsConnection, flight: Flight, now: float) -> None:
        self._opened = now
        connection.open(flight, now)

    def _may_start(self, flight: Flight) -> bool:
        """Looked at in the turn in which a stream is opened: what is too old waits to be renewed.

        Since it was claimed this process may have been frozen, its ring cancelled, its claim taken
        over by another.
        """
        if boottime() < flight.start_by:
            return True
        self.stale[flight] = None
        return False

    def withdraw(self, flight: Flight) -> None:
        """The caller no longer wants this push; nothing happens if it has its outcome."""
        connection = flight.connection
        if connection is not None:
            if connection.streams.get(flight.stream) is flight:
                connection.withdraw(flight)
        elif self._leave(flight):
            self.landed(flight)

    def _leave(self, flight: Flight) -> bool:
        """Take a push out of those without a stream; False if it is not among them."""
        for queue in (self.waiting, self.stale):
            if flight in queue:
                del queue[flight]
                return True
        return False

    async def create_connection(self) -> ApnsConnection:
        """Open one connection (aioapns's name); the keeper decides when."""
        return await self.keeper.open()

    async def drain(self, deadline: float) -> None:
        """Take nothing new, send nothing that waits, let open streams end until the deadline."""
        self._stop("the sender is draining")
        for connection in list(self.connections):
            connection.retire("the sender is draining", ours=True)
        if self.in_flight:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._quiet.wait()
        await self.aclose()

    async def aclose(self) -> None:
        """End everything now and wait until the sockets are closed."""
        self._stop("the sender is closed")
        await self.keeper.close()
        self._deadlines.close()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    # What connections report.

    def landed(self, flight: Flight) -> None:
        """A push has left the engine."""
        self._deadlines.remove(flight)
        self.in_flight -= 1
        if self._closing is not None and not self.in_flight:
            self._quiet.set()

    def await_until(self, flight: Flight, due: float) -> None:
        """What a push waits for now must come until then, or until its deadline if that is sooner.

        Else its connection's `expire` is called.
        """
        self._deadlines.remove(flight)
        flight.due = min(due, flight.deadline)
        self._deadlines.add(flight)

    def room(self, connection: ApnsConnection) -> None:
        """A connection may have free slots: give them to those who wait."""
        if not self.waiting or connection.retired is not None:
            return
        now = self.loop.time()
        too_late = now + _TOO_LATE
        while self.waiting and not connection.is_busy:
            flight = next(iter(self.waiting))
            if flight.deadline < too_late:
                self._expire(flight)
            else:
                del self.waiting[flight]
                if self._may_start(flight):
                    self._open(connection, flight, now)
        self.keeper.ensure()

    def proven(self) -> None:
        """A connection got an answer that shows that it works."""
        self.keeper.proven()

    def refused(
        self, connection: ApnsConnection, code: int, reason: str | None, issued_at: int | None
    ) -> None:
        """An answer other than 200: do what it means for the connection and the provider token."""
        action = connection_after(code, reason)
        if action is ConnectionAction.SPARE:
            connection.rests_until = self._resting = self.loop.time() + self._timing.rest
        elif action is ConnectionAction.REPLACE:
            tokens = connection.identity.tokens
            if reason == "ExpiredProviderToken" and tokens is not None and issued_at is not None:
                tokens.refused_as_expired(issued_at)
            connection.retire(f"the server answered {code} {reason or ''}".rstrip())

    def silent(self, connection: ApnsConnection, *, deaf: bool) -> None:
        """A push got no answer in time: the next go by another connection.

        `deaf`: nothing that was sent since has been answered either.
        """
        if deaf:
            connection.retire("no answer in time")
        else:
            connection.rests_until = self._resting = self.loop.time() + self._timing.rest
            self.keeper.want_another()

    def connection_left(self, connection: ApnsConnection, cause: str) -> None:
        """A connection takes no more pushes. Called again when it has ended: no harm."""
        if self.keeper.left(connection, cause):
            self.turned_away(connection, cause)
            self.keeper.ensure()

    def turned_away(self, connection: ApnsConnection, cause: str) -> None:
        """If the server said why it wants nothing from us, those who wait may know."""
        if connection.refusal is not None and not self.connections:
            self._reject_waiting(cause, connection.refusal)

    # Its own.

    def _pick(self, now: float) -> ApnsConnection | None:
        """The connection with the most free slots; one that just answered 5xx only if need be."""
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
        self._short = free_slots - 1 <= slots // 4
        return best or spare

    def _expect_progress(self, now: float) -> None:
        """Pushes wait: some stream is to be opened within `stall` seconds."""
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
                flight, _ = self.waiting.popitem(last=False)
                self.landed(flight)
                self._reject(flight, NoAnswer.NEVER_SENT, cause)
        if self.waiting:
            self._expect_progress(now)

    def _why_waiting(self, how_long: str) -> str:
        if self.connections:
            return f"no stream was free {how_long}"
        return f"no connection {how_long}: {self.keeper.last_failure or 'still connecting'}"

    def _expire(self, flight: Flight) -> None:
        if flight.connection is not None:
            if flight.connection.streams.get(flight.stream) is flight:
                flight.connection.expire(flight)
        elif self._leave(flight):
            self.landed(flight)
            cause = self._why_waiting("before the deadline")
            self._reject(flight, NoAnswer.OUT_OF_TIME, cause)

    def _reject(
        self, flight: Flight, kind: NoAnswer, cause: str, reason: str | None = None
    ) -> None:
        if not flight.future.done():
            now = self.loop.time()
            flight.future.set_result(flight.unanswered(kind, cause, now=now, reason=reason))

    def _reject_waiting(self, cause: str, reason: str | None = None) -> None:
        while self.waiting or self.stale:
            flight = next(iter(self.waiting or self.stale))
            self._leave(flight)
            self.landed(flight)
            self._reject(flight, NoAnswer.NEVER_SENT, cause, reason)

    def _stop(self, cause: str) -> None:
        self._closing = self._closing or cause
        self.keeper.stop()
        self._reject_waiting(self._closing)
