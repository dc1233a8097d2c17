"""Statements written in SQL, handed to the driver without what SQLAlchemy does for any other.

The connection, its transaction, its prepared statements, how values are read and what errors mean
are SQLAlchemy's as ever. Left out are the greenlet for each statement, its context and the making
of a result, which cost more than all that the driver does for it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NoReturn

from sqlalchemy import Connection, Executable, TextClause, text
from sqlalchemy.dialects.postgresql.asyncpg import (
    AsyncAdapt_asyncpg_cursor,
    AsyncAdapt_asyncpg_dbapi,
    PGDialect_asyncpg,
)
from sqlalchemy.ext.asyncio import AsyncConnection

_NAME = itemgetter(0)
_ARRAY = re.compile(r"CAST\(:(\w+) AS (\w+)\[\]\)")


def planned_once(statement: str) -> TextClause:
    """SQL that is asked of one row as of many, by one plan for any number.

    Of an array that is a parameter the planner is told how long it is. A plan for one then seems
    to be so much cheaper than that for any number, ten, that each statement is planned anew, which
    costs several times what it does. So its arrays come out of a SELECT.
    """
    return text(_ARRAY.sub(r"CAST((SELECT CAST(:\1 AS \2[])) AS \2[])", statement))


Values = Mapping[str, Any]
Answer = tuple[tuple[str, ...], Sequence[Any]]
"""Names of columns, and rows, whose values are in this order."""

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
_STALE = (
    AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError,
    AsyncAdapt_asyncpg_dbapi.InternalServerError,
)
"""What a statement that was prepared before its tables changed may end in: it is prepared anew."""

KNOWN = all(
    hasattr(of, name)
    for of, name in (
        (AsyncAdapt_asyncpg_cursor, "_prepare_and_execute"),
        (AsyncAdapt_asyncpg_cursor, "_invalidate_schema_cache_asof"),
        (Connection, "_handle_dbapi_exception"),
        (PGDialect_asyncpg, "_invalidate_schema_cache"),
    )
)
"""Whether SQLAlchemy's inside is as it was (docs/decisions/0032-statements-past-sqlalchemy.md)."""


async def answer(
    session: AsyncConnection, statement: Executable, values: Values | None = None
) -> Answer:
    """Execute a statement; of one that is not SQL's text, by SQLAlchemy."""
    inner = session.sync_connection
    assert inner is not None
    # who listens to statements, as tests do, hears of all
    if (
        not KNOWN
        or type(statement) is not TextClause
        or inner.invalidated
        or inner.dispatch.before_cursor_execute
    ):
        result = await session.execute(statement, values)
        return (tuple(result.keys()), result.all()) if result.returns_rows else ((), ())
    sql, names = _compiled(statement.text)
    given = [values[name] for name in names] if values else ()
    cursor: Any = inner.connection.cursor()
    dialect: Any = inner.dialect
    cursor._invalidate_schema_cache_asof = dialect._invalidate_schema_cache_asof  # noqa: SLF001
    try:
        await cursor._prepare_and_execute(sql, given)  # noqa: SLF001  (what `execute` waits for)
    except BaseException as error:
        await session.run_sync(_failed, error)
        raise
    return tuple(map(_NAME, cursor.description or ())), cursor._rows  # noqa: SLF001


def dicts(found: Answer) -> list[dict[str, Any]]:
    """Each row by the names of its columns."""
    # by position: a mapping looks up each name of each row, which costs five times as much
    names, rows = found
    return [dict(zip(names, row, strict=True)) for row in rows]


@lru_cache(maxsize=2_048)
def _compiled(statement: str) -> tuple[str, Iterable[str]]:
    """The SQL as the driver takes it, and which value is at which place."""
    made: Any = text(statement).compile(dialect=_DIALECT)
    return made.string, tuple(made.positiontup or ())


def _failed(inner: Connection, error: BaseException) -> NoReturn:
    """Raise what SQLAlchemy makes of it, after its listeners have heard."""
    if isinstance(error, _STALE):
        dialect: Any = inner.dialect
        dialect._invalidate_schema_cache()  # noqa: SLF001
    try:
        raise error  # noqa: TRY301  (it is looked for where errors are handled)
    except BaseException as raised:  # noqa: BLE001  (always raised again)
        inner._handle_dbapi_exception(raised, None, None, None, None)  # noqa: SLF001
