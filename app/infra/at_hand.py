"""A connection at hand: one that stays out of its pool between two uses.

To take a connection from a pool and give it back there costs a lone statement as much as all else
that is done for it here: locks, listeners, options set and unset. Who asks one statement after
another, each a transaction of its own, has no need of that.
"""

import time
from typing import Any

import asyncpg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.infra.connections import Connections
from app.infra.observe import DATABASE_WAIT
from app.infra.outage import (
    REFUSED,
    DatabaseAway,
    DatabaseCrowded,
    Outage,
    is_away,
    refuses_writes,
)

OF_DRIVER = (asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError)
"""What SQLAlchemy passes on as it is when a connection ends while it is being set up."""

KNOWN_ERRORS = (SQLAlchemyError, OSError, *OF_DRIVER)


class AtHand:
    """One connection of a pool at most, and only while the pool has more to give."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._pool: Any = connections.engine.sync_engine.pool
        self._rests: AsyncConnection | None = None
        self._known: AsyncConnection | None = None
        self._driver: Any = None
        self._since = 0.0
        self._closed = False

    async def take(self) -> AsyncConnection | None:
        """The connection, for one use; None where there is none, or where it may be dead."""
        session, self._rests = self._rests, None
        if session is None or self._connections.is_sound(self._driver, self._since):
            return session
        await self._give_back(session)  # whoever takes it there looks whether it lives
        return None

    async def keep(self, session: AsyncConnection) -> bool:
        """Have it rest here after its use; False where that cannot be: it goes to its pool.

        It is in no transaction but what SQLAlchemy calls so where each statement is one.
        """
        if self._closed or self._rests is not None or self._is_used_up():
            return False
        inner = session.sync_connection
        if inner is None or inner.invalidated or REFUSED in inner.connection.info:
            return False
        if session.in_transaction():
            await session.rollback()  # says nothing to the server
        if session is not self._known:
            self._known = session
            self._driver = inner.connection.driver_connection
        self._since = time.monotonic()
        self._rests = session
        return True

    async def give_up(self) -> None:
        """Give it back if it rests: who has a transaction takes the one that was used last too.

        So one connection serves all that comes alone, and what is rehearsed on it is prepared for
        all; nor is it held back from who would have to wait for one of the pool.
        """
        session, self._rests = self._rests, None
        if session is not None:
            await self._give_back(session)

    async def close(self) -> None:
        """Give it back, and keep none from now on."""
        self._closed = True
        await self.give_up()

    def _is_used_up(self) -> bool:
        return bool(self._pool.checkedout() >= self._pool.size())

    async def _give_back(self, session: AsyncConnection) -> None:
        inner = session.sync_connection
        info = None if inner is None or inner.invalidated else inner.connection.info
        self._known = self._driver = None
        await session.close()
        if info is not None:
            info["used"] = self._since  # to rest here was no use of it


class Use:
    """A connection for the length of a block.

    Raises DatabaseAway when none can be had, or it does not answer in time. Tells of outages, once
    for all who meet them. No generator: a lone statement's way in and out is a large part of it.
    """

    __slots__ = ("_at_hand", "_each", "_engine", "_outage", "_session")
    _session: AsyncConnection

    def __init__(self, engine: AsyncEngine, at_hand: AtHand, outage: Outage, *, each: bool) -> None:
        self._engine = engine
        self._at_hand = at_hand
        self._outage = outage
        self._each = each

    async def __aenter__(self) -> AsyncConnection:
        found = await self._at_hand.take() if self._each else None
        self._session = await self._of_pool() if found is None else found
        return self._session

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        refused = False
        try:
            if error is None:
                refused = await self._end()
            else:
                await self._session.__aexit__(None, None, None)
        except KNOWN_ERRORS as another:
            self._note(another)
            raise
        if error is not None:
            self._note(error)
        elif not refused:
            self._outage.over()

    async def _of_pool(self) -> AsyncConnection:
        begun = time.perf_counter()
        try:
            if not self._each:
                await self._at_hand.give_up()
            session = await self._engine.connect()
        except DatabaseCrowded:  # which is told as it is
            raise
        except KNOWN_ERRORS as error:
            self._outage.seen(error)
            raise DatabaseAway("no connection to the database") from error
        DATABASE_WAIT.observe(time.perf_counter() - begun)
        return session

    async def _end(self) -> bool:
        """Whether the server takes no writes. The connection is at hand again, or in its pool.

        Where no transaction is left that must be rolled back, that waits for nothing, and needs no
        task of its own which nobody's being cancelled can interrupt: two turns of the loop.
        """
        session = self._session
        try:
            refused = self._outage.is_of_writes and await refuses_writes(session)
            if self._each and await self._at_hand.keep(session):
                return refused
        except BaseException:
            await session.__aexit__(None, None, None)
            raise
        if session.in_transaction():
            await session.__aexit__(None, None, None)
        else:
            await session.close()
        return refused

    def _note(self, error: BaseException) -> None:
        if isinstance(error, KNOWN_ERRORS) and is_away(error):
            self._outage.seen(error)
