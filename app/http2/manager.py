"""Keeps connections ready: opens, replaces, backs off. Knows nothing of what they carry.

Connecting happens in one task of its own, so nobody ever waits behind it; between failures it
waits 0.1 to 30 s, with jitter, and the latest failure's cause is kept in words.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from app.http2.connect import Endpoint
from app.http2.connection import Connection, Owner
from app.http2.http1 import Fallback, Http1
from app.http2.streams import HeaderWriter
from app.http2.timing import Timing
from app.infra.tasks import Tasks

_tasks = Tasks("http2")

TLS_GOODBYE: Final = 1.0


class Refused(Exception):
    """The service has said, before a connection was opened, that it does not want us: `reason`."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


class Identity(Protocol):
    """With what connections are opened, and as whom."""

    @property
    def context(self) -> ssl.SSLContext: ...
    @property
    def one_stream_first(self) -> bool:
        """Whether the server takes one stream until it has accepted us."""

    async def prepare(self) -> None:
        """What is needed before a connection: trust anchors, say. Raises Refused, or any error."""

    def header_writer(self, authority: str) -> HeaderWriter:
        """A writer of header blocks for a new connection."""


class ManagerOwner(Owner, Protocol):
    """Whose connections these are."""

    def has_waiting(self) -> bool:
        """Whether anybody waits for a connection."""

    def on_turned_away(self, connection: Connection, cause: str) -> None:
        """A connection ended before it was put to use."""

    def on_refused(self, cause: str, reason: str) -> None:
        """The service does not want us, and has said so before there was a connection."""


class ConnectionManager:
    """The connections of one pool. `connections` take exchanges; `sockets` are all open ones."""

    def __init__(
        self,
        owner: ManagerOwner,
        loop: asyncio.AbstractEventLoop,
        *,
        endpoint: Endpoint,
        identity: Identity,
        most: int,
        warm: int,
        streams_per_connection: int,
        timing: Timing,
        random: Callable[[], float],
        first_stream: int,
        fallback: Fallback | None,
    ) -> None:
        self.identity = identity
        self.connections: list[Connection] = []
        self.sockets: set[Connection] = set()
        self.handshakes = 0
        self.failures = 0
        self.last_failure: str | None = None
        self._owner = owner
        self._loop = loop
        self._endpoint = endpoint
        self._most = most
        self._warm = warm
        self._cap = streams_per_connection
        self._timing = timing
        self._random = random
        self._first_stream = first_stream
        self._fallback = fallback
        self._stopped = False
        self._connector: asyncio.Task[None] | None = None
        self._asked_for = 0
        self._failed_in_a_row = 0
        self._not_before = 0.0
        self._tried = 0.0
        self._hurry = asyncio.Event()
        self._made = 0
        self._waiters: set[asyncio.Future[bool]] = set()

    def ensure(self) -> None:
        """See to it that there are as many connections as are wanted now."""
        if self._connector is not None:
            if self._owner.has_waiting():
                self._hurry.set()
        elif self._wanted():
            self._connector = _tasks.spawn("connect", self._connect_as_wanted(), of_all=True)
            self._connector.add_done_callback(self._connector_done)

    def want_another(self) -> None:
        """Open one more connection than there are, if there may be more."""
        self._asked_for = min(self._current() + 1, self._most)
        self.ensure()

    async def warm(self, within: float) -> bool:
        """Have the warm connections ready. False if that takes longer than `within` seconds."""
        if self._current() >= self._warm or self._stopped:
            return not self._stopped
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiters.add(waiter)
        self.ensure()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    return await waiter
            return False
        finally:
            self._waiters.discard(waiter)

    def proven(self) -> None:
        """A connection did what it is for: the next failure is a first one."""
        self._failed_in_a_row = 0

    def left(self, connection: Connection, cause: str) -> bool:
        """Let a connection go that takes no more exchanges. False if it had gone before."""
        if connection not in self.connections:
            return False
        self.connections.remove(connection)
        if not connection.ours and not connection.long_lived():
            self._failed(cause)
        return True

    def stop(self) -> None:
        """Open nothing more."""
        self._stopped = True
        if self._connector is not None:
            self._connector.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(False)

    async def close(self) -> None:
        """End all connections and wait until their sockets are closed."""
        for connection in list(self.sockets):
            connection.close()
        going: set[asyncio.Future[None]] = {x.wire.closed for x in self.sockets}
        if self._connector is not None:
            going.add(self._connector)
        if going:
            await asyncio.wait(going, timeout=TLS_GOODBYE)
        deaf = list(self.sockets)
        for connection in deaf:
            connection.abort("closed")
        if deaf:
            await asyncio.wait({x.wire.closed for x in deaf}, timeout=TLS_GOODBYE)

    def _current(self) -> int:
        """How many there are. One that allows no streams does not count."""
        return sum(x.slots > 0 for x in self.connections)

    def _wanted(self) -> bool:
        """Whether one more connection should be opened now: before the last slot has gone."""
        if self._stopped:
            return False
        current = self._current()
        if current < max(self._warm, self._asked_for):
            return True
        if current >= self._most:
            return False
        if self._owner.has_waiting():
            return True
        slots = sum(x.slots for x in self.connections)
        return slots > 0 and sum(x.free() for x in self.connections) <= slots // 4

    def _connector_done(self, task: asyncio.Task[None]) -> None:
        self._connector = None
        if task.cancelled():
            self.ensure()
        else:
            task.result()

    async def _connect_as_wanted(self) -> None:
        while self._wanted():
            if self._back_off() > 0:
                self._hurry.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._back_off()):
                        await self._hurry.wait()
                continue
            self._tried = self._loop.time()
            try:
                connection = await self.open()
            except Exception as error:  # noqa: BLE001 - whatever it was, those who wait have the next
                self.failures += 1
                self._failed(f"connecting failed: {_in_words(error)}")
                if isinstance(error, Refused):
                    self._owner.on_refused(str(error), error.reason)
            else:
                self._admit(connection)

    def _back_off(self) -> float:
        """Seconds until the next try; fewer while somebody waits."""
        until = self._not_before
        if self._owner.has_waiting():
            until = min(until, self._tried + self._timing.backoff_waiting)
        return until - self._loop.time()

    async def open(self) -> Connection:
        """Open one connection, to where the server has said its SETTINGS. Raises OSError."""
        identity, limit = self.identity, self._timing.connect
        made: list[Connection] = []
        try:
            async with asyncio.timeout(limit):
                await identity.prepare()
                sock = await self._endpoint.connect(self._loop, limit, self._random)
                # From here on the transport owns the socket, whatever happens.
                connection = self._make(identity)
                made.append(connection)
                await self._loop.create_connection(
                    lambda: connection.wire,
                    sock=sock,
                    ssl=identity.context,
                    server_hostname=self._endpoint.host,
                    ssl_handshake_timeout=limit,
                    ssl_shutdown_timeout=TLS_GOODBYE,
                )
                self.handshakes += 1
                await connection.wire.greeted
        except BaseException:
            for connection in made:
                connection.abort("the connection was not completed")
                self._owner.on_closed(connection)  # uvloop does not say so of one given up in TLS
            raise
        return connection

    def _make(self, identity: Identity) -> Connection:
        self._made += 1
        return Connection(
            self._owner,
            self._loop,
            number=self._made,
            identity=identity,
            writer=identity.header_writer(self._endpoint.authority),
            timing=self._timing,
            stream_cap=self._cap,
            first_stream=self._first_stream,
            one_first=identity.one_stream_first,
            fallback=self._fallback,
        )

    def _admit(self, connection: Connection) -> None:
        """Put a connection to use."""
        if connection.retired is not None:
            self._failed(connection.retired)
            self._owner.on_turned_away(connection, connection.retired)
            return
        self._asked_for = 0
        self.connections.append(connection)
        if self._fallback is not None and isinstance(connection.wire, Http1):
            self._most = max(self._most, self._fallback.most)
        if not connection.slots:
            self._failed("the server allows no streams")
        connection.heartbeat.start()
        if self._current() >= self._warm:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(True)
        self._owner.on_room(connection)

    def _failed(self, cause: str) -> None:
        self._asked_for = 0
        self.last_failure = cause
        step = self._timing.backoff_first * 2 ** min(self._failed_in_a_row, 16)
        self._failed_in_a_row += 1
        wait = min(step, self._timing.backoff_most) * (0.5 + self._random() / 2)
        self._not_before = self._loop.time() + wait


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no connection in time"
    return str(error) or type(error).__name__
