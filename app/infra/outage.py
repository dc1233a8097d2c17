"""Is the database away, or is it the row's fault? The one place that says so, and that tells of it.

| error                                                           | meaning                      |
|-----------------------------------------------------------------|------------------------------|
| no connection, none free in time, no answer in time, SQLSTATE   | away: wait and try again, or |
| classes 08, 53, 57 and 25006 (read-only); one's own was lost    | answer 503 with Retry-After  |
| 55P03 (lock not available), 57014 (statement took too long),    | busy: the same               |
| 40001, 40P01 (deadlock), 25P03; a migration has changed a table |                              |
| since the statement was prepared                                |                              |
| classes 22 and 23                                               | the row's fault, no other is |
| 42P01, 42703 (no such table, no such column)                    | the schema is not migrated   |
| 42883 (no such function)                                        | the same; what it does is    |
|                                                                 | done without it              |

SQLSTATE: PostgreSQL's documentation, appendix A.
"""

import time
from typing import Final
from weakref import WeakSet

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from app.infra.errors import Unavailable
from app.infra.observe import AWAY

log = structlog.get_logger(__name__)

AWAY_CLASSES = frozenset({"08", "53", "57"})
OF_A_LOST_CONNECTION = "8s2b"
"""SQLAlchemy's code of what is raised by whoever goes on after its connection has been lost."""

QUERY_CANCELED = "57014"
"""A statement took too long: for what it was to do, or for what another held."""

READ_ONLY = "25006"
ENDED_FOR_ANOTHER = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock: nothing is left of the transaction, and it may be done anew."""

BUSY = ENDED_FOR_ANOTHER | {"55P03", "25P03", QUERY_CANCELED}
LACKING = frozenset({"42P01", "42703"})
"""No such table, no such column."""

NO_FUNCTION = "42883"
PROTOCOL_VIOLATION = "08P01"

NOT_MIGRATED = "the database lacks tables of this version: run `ringline migrate`"
ROW_CLASSES = frozenset({"22", "23"})

QUIET = 5.0
"""Seconds without a failure after which a server is back that had no room for some of what it was
asked, or was back and failed again: meanwhile it may serve all else."""

TOLD_EVERY = 60.0
"""Seconds between two log lines while something stays away."""


class DatabaseAway(ConnectionError):
    """No connection could be had, or one that was had did not answer in time; `__cause__` says."""


class DatabaseCrowded(DatabaseAway):
    """This process is asked for more than its connections can do: the server may be well."""


def is_away(error: BaseException) -> bool:
    """Whether this means that the database cannot serve now, whoever asks."""
    if isinstance(error, (DatabaseAway, PoolTimeout)):
        return True
    if isinstance(error, PendingRollbackError):  # the loss itself was passed over
        return error.code == OF_A_LOST_CONNECTION
    state = sqlstate(error)
    if state == QUERY_CANCELED:
        return False
    if state[:2] in AWAY_CLASSES or state == READ_ONLY:
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_read_only(error: BaseException) -> bool:
    """Whether this means that the server takes no writes: a standby, or one whose disk is full."""
    return sqlstate(error) == READ_ONLY


def is_of_a_pooler(error: BaseException) -> bool:
    """Whether this means that what answers is no server, but lends out a server's sessions."""
    return sqlstate(error) == PROTOCOL_VIOLATION


def lacks_room(error: BaseException) -> bool:
    """Whether this means that the server had no disk, memory or connection left for this."""
    return sqlstate(error).startswith("53")


def lacks_schema(error: BaseException) -> bool:
    """Whether this means that the database lacks a table or column of this version."""
    return sqlstate(error) in LACKING


def lacks_function(error: BaseException) -> bool:
    """Whether this means that the database lacks a function that a statement calls."""
    return sqlstate(error) == NO_FUNCTION


def is_busy(error: BaseException) -> bool:
    """Whether this means that another transaction was in the way: the same may succeed soon.

    A migration, too, that has changed a table since a statement was prepared.
    """
    return sqlstate(error) in BUSY or (
        isinstance(error, DBAPIError)
        and isinstance(error.orig, AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError)
    )


def ended_for_another(error: BaseException) -> bool:
    """Whether PostgreSQL ended the transaction so that another one could go on."""
    return sqlstate(error) in ENDED_FOR_ANOTHER


def is_transient(error: BaseException) -> bool:
    """Whether to wait and try again; to a client it is 503 with Retry-After."""
    return is_away(error) or is_busy(error)


def unavailable(error: BaseException) -> Unavailable | None:
    """What a client is told of a transient error; None of any other."""
    if isinstance(error, DatabaseCrowded):
        return Unavailable("busy", "more is asked of this process than it can do; try again")
    if is_away(error):
        how = "takes no writes" if is_read_only(error) else "does not answer"
        return Unavailable("database_unavailable", f"the database {how}; try again")
    if is_busy(error):
        return Unavailable("busy", "another request holds what this one needs; try again")
    return None


def is_row_fault(error: BaseException) -> bool:
    """Whether what was to be written is itself at fault, and never can be written."""
    return sqlstate(error)[:2] in ROW_CLASSES


def sqlstate(error: BaseException) -> str:
    """The five characters that PostgreSQL sent; empty when the error is not the server's.

    Of SQLAlchemy's error, or of the driver's own: that comes where a connection is set up or given
    back.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(cause, "sqlstate", None) or "")


READ_ONLY_NOW = text("SELECT current_setting('transaction_read_only') = 'on'")


REFUSED = "refused_since"
"""In what is known of a connection: since when it is known to take no writes, or to find no table
of ours (`time.monotonic()`).

A session keeps what its server, database or role had it begin with, a default of read-only or a
path to other tables, and the address may lead to another server by now: a new one may do.
"""


def note_refusal(inner: Connection) -> None:
    """This connection takes no writes, or finds no table of ours."""
    if not inner.invalidated:
        inner.connection.info.setdefault(REFUSED, time.monotonic())


async def refuses_writes(session: AsyncConnection) -> bool:
    """Whether the server takes no writes: a standby, or one that was told to take none.

    Also where it does not say: what is only read is answered all the while.
    """
    try:
        refused = bool((await session.execute(READ_ONLY_NOW)).scalar_one())
    except Exception as error:
        if not is_transient(error):
            raise
        return True
    if refused and session.sync_connection is not None:
        note_refusal(session.sync_connection)
    return refused


class Outage:
    """Tells that something is away: a line when it begins, one a minute, one when it is over.

    What serves one and fails the next, as when its sessions are ended again and again, is told of
    as one outage from its second beginning on: it is over when nothing has failed for a while.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._since: float | None = None
        self._told = 0.0
        self._seen = 0
        self._last: tuple[float, BaseException] | None = None
        self._ended: float | None = None
        self._flaps = False
        self._tell()

    def seen(self, error: BaseException) -> None:
        """It was found to be away: not where only connections were short, for who has one."""
        if isinstance(error, DatabaseCrowded):
            return
        now = time.monotonic()
        self._seen += 1
        self._last = now, error
        if self._since is None:
            self._since, self._told, self._seen = now, now, 1
            self._flaps = self._ended is not None and now < self._ended + QUIET
            _away.add(self)
            self._tell()
            log.error("server_away", server=self._what, error=name_of(error))
        elif now > self._told + TOLD_EVERY:
            self._told = now
            log.error(
                "server_still_away",
                server=self._what,
                error=name_of(error),
                seconds=round(now - self._since),
                failures=self._seen,
            )

    @property
    def is_of_writes(self) -> bool:
        """Whether it is away for writes alone, as far as is known: it may answer reads."""
        return self._last is not None and is_read_only(self._last[1])

    def over(self) -> None:
        """It has answered, and takes writes."""
        now = time.monotonic()
        serves_some = self._last is not None and (self._flaps or lacks_room(self._last[1]))
        if self._last is not None and serves_some and now < self._last[0] + QUIET:
            return
        if self._since is not None:
            seconds = round(now - self._since, 1)
            self._since = self._last = None
            self._ended = now
            _away.discard(self)
            self._tell()
            log.warning("server_back", server=self._what, seconds=seconds, failures=self._seen)

    def _tell(self) -> None:
        """What the metric says: it is away as long as it is so for anybody in this process."""
        AWAY.labels(self._what).set(any(one._what == self._what for one in _away))  # noqa: SLF001


_away: Final[WeakSet[Outage]] = WeakSet()


def name_of(error: BaseException) -> str:
    """What went wrong in a few words that hold no statement and no value: classes, SQLSTATE."""
    cause = error.__cause__ if isinstance(error, DatabaseAway) and error.__cause__ else error
    if isinstance(cause, DBAPIError):
        of_driver = getattr(cause.orig, "__cause__", None) or cause.orig
        return f"{type(of_driver).__name__} {sqlstate(cause)}".strip()
    if isinstance(cause, PoolTimeout):
        return "PoolTimeout"  # SQLAlchemy's has the name of a connection's that took too long
    return type(cause).__name__
