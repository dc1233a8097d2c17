"""The connections of one credential in one environment.

Holds at least one connection ready, opens the next before the last slot has gone, replaces those
that end, and never lets a push wait for anything but a slot: connecting happens in one task that
backs off by itself, while pushes keep their own deadlines.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from aioapns.connection import APNsBaseConnectionPool

from app.core.reaction import ConnectionAction, NoAnswer, connection_after
from app.push.apns.connect import Endpoint
from app.push.apns.credential import Identity
from app.push.apns.deadlines import Deadlines
from app.push.apns.flight import Flight
from app.push.apns.protocol import ApnsConnection
from app.push.apns.request import PushRequest
from app.push.apns.timing import Timing

_TLS_GOODBYE: Final = 1.0
T = TypeVar("T")


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
        self.connections: list[ApnsConnection] = []  # type: ignore[assignment]
        self.wall_clock = wall_clock
        self.identity = identity
        self.handshakes = 0
        self.connect_failures = 0
        self.last_failure: str | None = None
        self.in_flight = 0
        self.waiting: OrderedDict[Flight, None] = OrderedDict()
        self.sockets: set[ApnsConnection] = set()
        self._endpoint = endpoint
        self._warm = warm_connections
        self._cap = streams_per_connection
        self._timing = timing
        self._random = random
        self._first_stream = first_stream
        self._deadlines: Deadlines[Flight] = Deadlines(self.loop, self._expire)
        self._started = False
        self._closing: str | None = None
        self._connector: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._resting = 0.0
        self._made = 0
        self._warm_waiters: list[asyncio.Future[bool]] = []
        self._quiet_waiters: list[asyncio.Future[None]] = []

    # Pushes.

    def submit(self, request: PushRequest, deadline: float) -> Flight:
        """Send, or queue for the next free slot. The flight's future gets the outcome."""
        now = self.loop.time()
        flight = Flight(request, deadline, now, self.loop.create_future())
        if self._closing is not None:
            self._reject(flight, NoAnswer.NEVER_SENT, self._closing)
        elif deadline <= now:
            self._reject(flight, NoAnswer.OUT_OF_TIME, "its deadline had passed before it was sent")
        else:
            self.in_flight += 1
            self._deadlines.add(flight)
            # Those who wait already come first.
            connection = None if self.waiting else self._pick(now)
            if connection is None:
                self.waiting[flight] = None
                self._ensure()
            else:
                connection.open(flight)
        return flight

    def withdraw(self, flight: Flight) -> None:
        """The caller no longer wants this push; nothing happens if it has its outcome."""
        connection = flight.connection
        if connection is None:
            if self.waiting.pop(flight, self) is None:
                self.landed(flight)
        elif connection.streams.get(flight.stream) is flight:
            connection.withdraw(flight)

    def landed(self, flight: Flight) -> None:
        """A push has left the engine."""
        self._deadlines.remove(flight)
        self.in_flight -= 1
        if not self.in_flight and self._quiet_waiters:
            _wake(self._quiet_waiters, None)

    def hasten(self, flight: Flight, deadline: float) -> None:
        """Bring a push's deadline forward."""
        if deadline < flight.deadline:
            self._deadlines.remove(flight)
            flight.deadline = deadline
            self._deadlines.add(flight)

    def room(self, connection: ApnsConnection) -> None:
        """A connection may have free slots: give them to those who wait."""
        if self.waiting and connection.retired is None:
            for _ in range(min(connection.free(), len(self.waiting))):
                if connection.is_busy:
                    break
                flight, _ = self.waiting.popitem(last=False)
                connection.open(flight)
            self._ensure()

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
        if free_slots - 1 <= slots // 4:
            self._ensure()
        return best or spare

    def _expire(self, flight: Flight) -> None:
        if flight.connection is not None:
            if flight.connection.streams.get(flight.stream) is flight:
                flight.connection.expire(flight)
        elif flight in self.waiting:
            del self.waiting[flight]
            self.landed(flight)
            if self.connections:
                cause = "no stream was free before the deadline"
            else:
                cause = f"no connection before the deadline: {self.last_failure or 'connecting'}"
            self._reject(flight, NoAnswer.OUT_OF_TIME, cause)

    def _reject(
        self, flight: Flight, kind: NoAnswer, cause: str, reason: str | None = None
    ) -> None:
        if not flight.future.done():
            now = self.loop.time()
            flight.future.set_result(flight.unanswered(kind, cause, now=now, reason=reason))

    def _reject_waiting(self, cause: str, reason: str | None = None) -> None:
        while self.waiting:
            flight, _ = self.waiting.popitem(last=False)
            self.landed(flight)
            self._reject(flight, NoAnswer.NEVER_SENT, cause, reason)

    # What connections report.

    def proven(self) -> None:
        """A connection got an answer: the way is open."""
        self._failures = 0

    def refused(
        self, connection: ApnsConnection, code: int, reason: str | None, issued_at: int | None
    ) -> None:
        """An answer other than 200: do what it means for the connection and the provider token."""
        action = connection_after(code, reason)
        if action is ConnectionAction.KEEP:
            return
        if action is ConnectionAction.SPARE:
            connection.rests_until = self._resting = self.loop.time() + self._timing.rest
            return
        tokens = self.identity.tokens
        if reason == "ExpiredProviderToken" and tokens is not None and issued_at is not None:
            tokens.refused_as_expired(issued_at)
        connection.retire(f"the server answered {code} {reason}")

    def connection_left(
        self, connection: ApnsConnection, cause: str, reason: str | None = None
    ) -> None:
        """A connection takes no more pushes. Called again when it has ended: no harm."""
        if connection in self.connections:
            self.connections.remove(connection)
            if not connection.long_lived():
                self._failed(cause)
            if not self.connections and reason is not None:
                # The server has said why it wants nothing from us: those who wait may know.
                self._reject_waiting(cause, reason)
            self._ensure()

    # Connections.

    async def warm(self, within: float) -> bool:
        """Have the warm connections ready. False if that takes longer than `within` seconds."""
        if self._is_warm():
            return True
        if self._closing is not None:
            return False
        waiter: asyncio.Future[bool] = self.loop.create_future()
        self._warm_waiters.append(waiter)
        self._ensure()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                return await waiter
        return False

    def replace_identity(self, identity: Identity) -> None:
        """Push with another credential: old connections serve until a new one is ready."""
        self.identity = identity
        self._failures = 0
        self._not_before = 0.0
        if self._started:
            self._ensure()

    async def drain(self, deadline: float) -> None:
        """Take nothing new, send nothing that waits, let open streams end until the deadline."""
        self._stop("the sender is draining")
        for connection in list(self.connections):
            connection.retire("the sender is draining")
        if self.in_flight:
            waiter: asyncio.Future[None] = self.loop.create_future()
            self._quiet_waiters.append(waiter)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await waiter
        await self.aclose()

    async def aclose(self) -> None:
        """End everything now and wait until the sockets are closed."""
        self.close()
        open_sockets = [connection.closed for connection in self.sockets]
        if open_sockets:
            await asyncio.wait(open_sockets, timeout=_TLS_GOODBYE)
        for connection in list(self.sockets):
            connection.end("closed", abort=True)

    def close(self) -> None:
        """End everything now: pushes in flight are lost, those that wait never sent."""
        self._stop("the sender is closed")
        for connection in list(self.sockets):
            connection.close()
        self._deadlines.close()

    def _stop(self, cause: str) -> None:
        self._closing = self._closing or cause
        if self._connector is not None:
            self._connector.cancel()
        self._reject_waiting(self._closing)
        _wake(self._warm_waiters, result=False)

    def _current(self) -> int:
        return sum(x.identity is self.identity for x in self.connections)

    def _is_warm(self) -> bool:
        return self._current() >= self._warm

    def _wanted(self) -> bool:
        """Whether one more connection should be opened now."""
        if self._closing is not None:
            return False
        current = self._current()
        if current < self._warm:
            return True
        if current >= self.max_connections:
            return False
        slots = sum(x.slots for x in self.connections)
        return bool(self.waiting) or sum(x.free() for x in self.connections) <= slots // 4

    def _ensure(self) -> None:
        self._started = True
        if self._connector is None and self._wanted():
            self._connector = self.loop.create_task(self._connect_as_wanted())
            self._connector.add_done_callback(self._connector_done)

    def _connector_done(self, task: asyncio.Task[None]) -> None:
        self._connector = None
        if not task.cancelled():
            task.result()
            self._ensure()

    async def _connect_as_wanted(self) -> None:
        while self._wanted():
            delay = self._not_before - self.loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
                continue
            try:
                connection = await self.create_connection()
            except Exception as error:  # noqa: BLE001 - whatever it is, pushes wait for the next try
                self.connect_failures += 1
                self._failed(f"connecting failed: {_in_words(error)}")
            else:
                self._admit(connection)

    async def create_connection(self) -> ApnsConnection:
        """Open one connection, to where the server has said its SETTINGS. Raises OSError."""
        identity = self.identity
        made: list[ApnsConnection] = []
        try:
            async with asyncio.timeout(self._timing.connect):
                await self.loop.run_in_executor(None, identity.load_trust)
                sock = await self._endpoint.connect(self.loop, self._timing.connect, self._random)
                try:
                    _, connection = await self.loop.create_connection(
                        lambda: self._make(identity, made),
                        sock=sock,
                        ssl=identity.context,
                        server_hostname=self._endpoint.host,
                        ssl_handshake_timeout=self._timing.connect,
                        ssl_shutdown_timeout=_TLS_GOODBYE,
                    )
                except BaseException:
                    sock.close()
                    raise
                self.handshakes += 1
                await connection.greeted
        except BaseException:
            for connection in made:
                connection.end("the connection was not completed", abort=True)
            raise
        return connection

    def _make(self, identity: Identity, made: list[ApnsConnection]) -> ApnsConnection:
        self._made += 1
        connection = ApnsConnection(
            self,
            self.loop,
            number=self._made,
            identity=identity,
            authority=self._endpoint.authority,
            timing=self._timing,
            stream_cap=self._cap,
            first_stream=self._first_stream,
        )
        made.append(connection)
        self.sockets.add(connection)
        connection.closed.add_done_callback(lambda _: self.sockets.discard(connection))
        return connection

    def _admit(self, connection: ApnsConnection) -> None:
        """Put a connection to use; those of an older credential have done their service."""
        if connection.retired is not None:
            self._failed(connection.retired)
            return
        self.connections.append(connection)
        connection.watch()
        for other in list(self.connections):
            if other.identity is not self.identity and connection.identity is self.identity:
                other.retire("the credential was replaced")
        if self._is_warm():
            _wake(self._warm_waiters, result=True)
        self.room(connection)

    def _failed(self, cause: str) -> None:
        self.last_failure = cause
        step = min(self._timing.backoff_first * 2**self._failures, self._timing.backoff_most)
        self._failures = min(self._failures + 1, 32)
        self._not_before = self.loop.time() + step * (0.5 + self._random() / 2)


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return str(error) or type(error).__name__


def _wake(waiters: list[asyncio.Future[T]], result: T) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(result)
    waiters.clear()
