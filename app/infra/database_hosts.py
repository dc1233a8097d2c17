"""A connection to whichever of several database hosts serves: a silent one holds up no other.

And one that is a session of its own: a pooler between, such as PgBouncer, either refuses what a
session is to begin with or drops it, and then no wait is bounded any more.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import asyncpg

from app.infra.first_of import AllFailed, first_of
from app.infra.tasks import Tasks

_tasks = Tasks("database")

ANOTHER_AFTER: Final = 0.5
"""Seconds for which one host is waited for before the next is tried beside it."""

BOUNDED: Final = """
    SELECT WHERE current_setting('lock_timeout') <> '0'
        AND current_setting('idle_in_transaction_session_timeout') <> '0'
"""
"""A row of a session that has what every one of ours begins with (`app.infra.connections`).

Asked without a prepared statement: a pooler may lend one server to several sessions.
"""

NO_POOLER: Final = (
    "a pooler (PgBouncer and its like) answers there, which keeps no session as it was asked for: "
    "give PostgreSQL's own address, for each process has a pool of its own"
)


class PoolerBetween(asyncpg.ProtocolViolationError):  # type: ignore[misc]  # untyped
    """What answers for PostgreSQL keeps no session as it was asked for. A class 08 error."""


async def connect(
    *, host: Sequence[str] | str | None = None, port: Any = None, timeout: float, **options: Any
) -> asyncpg.Connection:
    """As `asyncpg.connect`, which would spend all its time on the first host if that is silent.

    Hosts are tried in their order, whatever another has said. Raises what the first of them said
    that has trouble, rather than that another is not what `target_session_attrs` asks for;
    TimeoutError after `timeout` seconds.
    """
    places = (
        [(host, port)]
        if host is None or isinstance(host, str)
        else list(zip(host, port, strict=True))
    )
    tries = [partial(_connected, host=at, port=on, timeout=timeout, **options) for at, on in places]
    try:
        async with asyncio.timeout(timeout):
            return await first_of(tries, ANOTHER_AFTER, asyncpg.Connection.terminate, _tasks)
    except AllFailed as failed:
        causes = failed.causes
    trouble = (
        one for one in causes if not isinstance(one, asyncpg.TargetServerAttributeNotMatched)
    )
    raise next(trouble, causes[0])


async def _connected(**options: Any) -> asyncpg.Connection:
    try:
        connection = await asyncpg.connect(**options)
    except asyncpg.ProtocolViolationError as error:  # "unsupported startup parameter: ..."
        raise PoolerBetween(str(error)) from error
    try:
        is_ours = await connection.execute(BOUNDED) == "SELECT 1"
    except BaseException:
        await _end(connection)
        raise
    if not is_ours:
        await _end(connection)
        raise PoolerBetween("the settings of a session were dropped on the way")
    return connection


async def _end(connection: asyncpg.Connection) -> None:
    connection.terminate()
    await asyncio.sleep(0)  # a transport ends in the turn after that
