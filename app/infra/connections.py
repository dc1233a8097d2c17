"""Connections to PostgreSQL: what we need of each is set here, and every wait on one has an end.

The server's defaults do not matter: isolation, time zone, formats and time-outs are set when a
connection begins. The server bounds what it does (`statement_timeout`, `lock_timeout`); this side
bounds how long it waits for an answer, for a server, a firewall or a network that has gone silent
says nothing at all. A connection on which a wait was in vain is thrown away, never used again.
"""

import asyncio
import math
import socket
import time
from typing import Any, Final, cast
from weakref import WeakSet

import orjson
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from app.core.frozen import frozen
from app.infra import database_hosts
from app.infra.observe import DATABASE_CROWDED
from app.infra.outage import (
    REFUSED,
    DatabaseAway,
    DatabaseCrowded,
    is_read_only,
    lacks_schema,
    note_refusal,
)


@frozen
class Patience:
    """How long to wait, in seconds.

    `connect`: for a new connection. `slot`: for one of the pool that is free. `crowded`: the same,
    once others have waited for one without a break for CROWDED_FROM, until CALM_AFTER. `lock`: for
    a row or table that another transaction holds. `statement`: for the server to finish one.
    `answer`: for the server to say so; longer than `statement`, so that the server speaks first.
    `idle`: for a transaction whose client says nothing more, as a frozen process must not hold the
    locks of calls.
    """

    connect: float = 5.0
    slot: float = 5.0
    crowded: float = 5.0
    lock: float = 2.0
    statement: float = 5.0
    answer: float = 6.0
    idle: float = 5.0


SHORT: Final = Patience()
"""For what somebody waits for: a request, a push, a round of the sweep."""

ASKED: Final = Patience(crowded=1.0)
"""For a process that is asked by others, who give up after some seconds and ask again. Where more
is asked than it can do, whoever is served after a long wait has gone by then, and so it goes on:
who cannot be served soon is told so (docs/decisions/0039-who-cannot-be-served-soon.md)."""

CROWDED_FROM: Final = 3.0
"""Seconds: a burst is over by then."""

CALM_AFTER: Final = 10.0
"""Seconds, after somebody has waited in vain or was turned away, for which nobody has the usual
time again: who was refused comes again, and for an instant nobody waits."""

CROWD: Final = 4
"""So many may wait for each connection meanwhile: who comes then is turned away before anything is
done for it."""

LONG: Final = Patience(lock=5.0, statement=60.0, answer=65.0, idle=60.0)
"""For what nobody waits for: forgetting what is old, counting."""

UNUSED: Final = 10.0
"""Seconds after which a connection is asked for a sign of life before it is used."""

PING: Final = 0.5
"""Seconds for that sign."""

REMADE_AFTER: Final = 1.0
"""Seconds after which a session that takes no writes, or finds no table of ours, is ended when it
is wanted, for a new one: a server that serves nobody is asked for that so seldom."""

KEEPALIVE: Final = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2))
UNACKNOWLEDGED: Final = 20
"""Seconds that sent data may stay unacknowledged, on either side (TCP_USER_TIMEOUT, RFC 5482)."""


def server_settings(patience: Patience) -> dict[str, str]:
    """What every session sets at its start, whatever the server's, database's, role's default."""
    return {
        "application_name": "ringline",
        "default_transaction_isolation": "read committed",
        "TimeZone": "UTC",
        "DateStyle": "ISO, MDY",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "standard_conforming_strings": "on",
        "lock_timeout": _milliseconds(patience.lock),
        "statement_timeout": _milliseconds(patience.statement),
        "idle_in_transaction_session_timeout": _milliseconds(patience.idle),
        "idle_session_timeout": "0",  # a pool's connection may rest
        # sessions of a client that has vanished end, with the locks that they hold
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "2",
        "tcp_user_timeout": str(UNACKNOWLEDGED * 1_000),
        "jit": "off",  # costs more than it saves on short statements
        # A plan made while a table was small is kept, also by foreign keys, and would read all of
        # it for each ring until the next ANALYZE; every table is indexed for what is asked of it.
        "enable_seqscan": "off",
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1_000))


class _Pool(AsyncAdaptedQueuePool):
    """Who waits for a connection gives up early where others have waited for long: see ASKED."""

    patience = SHORT
    _waiting = 0
    _since = 0.0
    """When somebody had to wait while nobody else did."""
    _in_vain = -CALM_AFTER
    """When somebody last gave up early, or was turned away."""

    def turns_away(self) -> bool:
        """Whether who comes now is not to be let in: it would wait in vain."""
        if self._waiting < CROWD * self.size():
            return False
        if time.monotonic() >= self._in_vain + CALM_AFTER:
            return False
        self._note_refusal()
        return True

    def _note_refusal(self) -> None:
        """Somebody is told to come again: here alone they are counted."""
        self._in_vain = time.monotonic()
        DATABASE_CROWDED.inc()

    def _do_get(self) -> ConnectionPoolEntry:
        if self.checkedout() < self.size():
            return super()._do_get()
        now = time.monotonic()
        if not self._waiting:
            self._since = now
        hurries = self.patience.crowded < self.patience.slot and (
            now >= self._since + CROWDED_FROM or now < self._in_vain + CALM_AFTER
        )
        self._timeout = self.patience.crowded if hurries else self.patience.slot
        self._waiting += 1
        try:
            return super()._do_get()
        except PoolTimeout as error:
            if hurries:
                self._note_refusal()
                raise DatabaseCrowded("others have waited for a connection for long") from error
            raise
        finally:
            self._waiting -= 1


class Connections:
    """The pool of one engine, and what becomes of connections that do not answer."""

    def __init__(self, url: str, *, pool: int, patience: Patience) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            poolclass=_Pool,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=patience.slot,
            pool_use_lifo=True,
            hide_parameters=True,  # an error must not quote a token
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            connect_args={
                "async_creator_fn": database_hosts.connect,
                "timeout": patience.connect,
                "command_timeout": patience.answer,
                "server_settings": server_settings(patience),
                "prepared_statement_cache_size": 200,
            },
        )
        self._open: WeakSet[Any] = WeakSet()
        self._doubted = 0.0
        """Loop-independent time of the last wait in vain: connections used before it are asked."""
        pool_of = self.engine.sync_engine
        self._pool = cast("_Pool", pool_of.pool)
        self._pool.patience = patience
        event.listen(pool_of, "connect", self._connected)
        event.listen(pool_of, "checkout", self._taken)
        event.listen(pool_of, "checkin", self._returned)
        event.listen(pool_of, "handle_error", self._failed)

    def turns_away(self) -> bool:
        """See `Database.turns_away`."""
        return self._pool.turns_away()

    def is_sound(self, driver: Any, used: float) -> bool:
        """Whether one that was `used` then (`time.monotonic()`) need not be asked if it lives."""
        lately = used > self._doubted and time.monotonic() < used + UNUSED
        return lately and not driver.is_closed()

    def abandon(self) -> None:
        """Throw every connection away, those in use too: what waits on one fails at once."""
        for connection in list(self._open):
            connection.terminate()

    async def close(self) -> None:
        """Close what rests in the pool, and cut off what is in use.

        What is given back after this goes to a pool that nobody closes any more: it would stay open
        for as long as the process lives.
        """
        try:
            await self.engine.dispose()
        finally:
            self.abandon()
            await asyncio.sleep(0)  # a transport ends in the turn after that

    def _connected(self, adapted: Any, record: ConnectionPoolEntry) -> None:
        driver = adapted.driver_connection
        self._open.add(driver)
        record.info["used"] = time.monotonic()
        # asyncpg offers no way to set options of its socket
        transport = getattr(driver, "_transport", None)
        sock = None if transport is None else transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            _notice_silence(sock)

    def _taken(self, adapted: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        """See to it that whoever takes a connection gets one that lives: nothing was sent yet."""
        driver = adapted.driver_connection
        if driver.is_closed():  # its end was heard of while it rested
            raise DisconnectionError("the server has closed this connection")
        if time.monotonic() > record.info.get(REFUSED, math.inf) + REMADE_AFTER:
            driver.terminate()
            raise DisconnectionError("this session does not serve us: another may")
        if self.is_sound(driver, record.info.get("used", 0.0)):
            return
        try:
            adapted.run_async(lambda one: one.execute("SELECT 1", timeout=PING))
        except Exception as error:
            driver.terminate()
            raise DisconnectionError("this connection does not answer") from error

    def _returned(self, _adapted: Any, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    def _failed(self, context: ExceptionContext) -> None:
        """A wait that was in vain, or was given up: nothing more is expected of the connection."""
        error = context.original_exception
        known = context.sqlalchemy_exception or error
        if context.connection is not None and (is_read_only(known) or lacks_schema(known)):
            note_refusal(context.connection)
        if not isinstance(error, (OSError, asyncio.CancelledError)):
            return
        self._doubted = time.monotonic()
        if context.connection is not None and not context.connection.invalidated:
            driver: Any = context.connection.connection.driver_connection
            driver.terminate()
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False
        if isinstance(error, OSError):
            raise DatabaseAway("the database does not answer") from error


def _notice_silence(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (*KEEPALIVE, ("TCP_USER_TIMEOUT", UNACKNOWLEDGED * 1_000)):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
