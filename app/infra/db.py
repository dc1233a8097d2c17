"""The database: engine, Base, transaction() - the only place that commits.

PostgreSQL 15 or later, READ COMMITTED. A store takes a `Session` and never commits.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Executable, FromClause, Table, TextClause, Uuid, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import DateTime

from app.infra.at_hand import AtHand, Use
from app.infra.clock import ask
from app.infra.connections import LONG, SHORT, Connections, Patience
from app.infra.outage import Outage
from app.infra.settings import Settings
from app.infra.statements import answer, dicts

Connection = AsyncConnection
"""What a store works on: one connection inside one transaction, with no ORM objects."""

Row = Mapping[str, Any]


class Base(DeclarativeBase):
    """Root of all models. Constraint names are fixed, so that migrations can name them."""

    metadata_naming = {  # noqa: RUF012  (read once below)
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
    type_annotation_map = {  # noqa: RUF012
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        dict[str, Any]: JSONB,
        list[str]: JSONB,
    }


Base.metadata.naming_convention = Base.metadata_naming


class Database:
    """The connections of one process; belongs to one event loop. See `app.infra.connections`."""

    def __init__(
        self,
        url: str,
        *,
        pool: int = 10,
        patience: Patience = SHORT,
        outage: Outage | None = None,
    ) -> None:
        self._url = url
        self._connections = Connections(url, pool=pool, patience=patience)
        self._outage = outage or Outage("database")
        self._patient: Database | None = None
        self._vital: Database | None = None
        self.engine = self._connections.engine
        self._each = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._at_hand = AtHand(self._connections)

    def turns_away(self) -> bool:
        """Whether who comes now is to be told to come again: more is asked than it can do."""
        return self._connections.turns_away()

    @property
    def patient(self) -> "Database":
        """The same database by two connections of its own, for statements that may take a minute.

        What nobody waits for must not use up what others wait for, nor be cut off as they are.
        """
        if self._patient is None:
            self._patient = Database(self._url, pool=2, patience=LONG, outage=self._outage)
        return self._patient

    @property
    def vital(self) -> "Database":
        """The same database by three connections of its own, for what a process lives by.

        A worker's lease, its looks at what waits and its records, and whether a process is ready,
        one statement of each at a time: no burst of other work makes them wait for a connection.
        """
        if self._vital is None:
            self._vital = Database(self._url, pool=3, outage=self._outage)
        return self._vital

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        async with self._connected(self.engine) as session, session.begin():
            yield session

    def autocommit(self) -> "Use":
        """A connection on which each statement is a transaction, committed when it is answered."""
        return self._connected(self._each)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A connection for reading by several statements that all see the same moment."""
        async with self._connected(self.engine) as session:
            yield await session.execution_options(isolation_level="REPEATABLE READ")

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[Connection]:
        """A transaction that is rolled back whatever happens: for statements to be prepared.

        The pool hands out the connection used last, so what is prepared here serves the first
        request that comes.
        """
        async with self._connected(self.engine) as session, session.begin() as transaction:
            try:
                yield session
            finally:
                await transaction.rollback()

    async def learn_time(self) -> None:
        """Have this process's clock (`app.infra.clock`) learn the database's time."""
        async with self.autocommit() as session:
            await ask(session)

    def abandon(self) -> None:
        """Throw every connection away, those in use too: they are silent, and new ones may do."""
        self._connections.abandon()
        if self._vital is not None:
            self._vital.abandon()

    async def close(self) -> None:
        """Close every connection; whoever is still at work on one loses it."""
        async with AsyncExitStack() as pools:  # each, also when another's closing fails
            for other in (self._patient, self._vital):
                if other is not None:
                    pools.push_async_callback(other.close)
            pools.push_async_callback(self._connections.close)
            pools.push_async_callback(self._at_hand.close)

    def _connected(self, engine: AsyncEngine) -> "Use":
        return Use(engine, self._at_hand, self._outage, each=engine is self._each)


def connect(settings: Settings, patience: Patience = SHORT) -> Database:
    """The database of these settings; nothing is opened yet."""
    return Database(settings.sqlalchemy_url, pool=settings.database_pool, patience=patience)


def dump_json(value: Any) -> str:
    """JSON text for a jsonb column."""
    return orjson.dumps(value).decode()


async def clock(session: Connection) -> datetime:
    """The database's wall clock now (`now()` is the transaction's start: stale after a wait)."""
    return await ask(session)


async def one(
    session: Connection, statement: Executable, values: Row | None = None
) -> dict[str, Any] | None:
    """The first row of an answer; None when there is none."""
    names, rows = await answer(session, statement, values)
    return dict(zip(names, rows[0], strict=True)) if rows else None


async def many(
    session: Connection, statement: Executable, values: Row | None = None
) -> list[dict[str, Any]]:
    """Every row of an answer."""
    return dicts(await answer(session, statement, values))


@dataclass(frozen=True, slots=True)
class Joined:
    """Columns that the server finds itself: SQL that joins tables to the rows, which are `r`."""

    join: str
    columns: tuple[tuple[str, str], ...] = ()
    """(column, expression)"""
    source: str = ""
    """Where rows are not read from JSON: a SELECT of them. They are given as one row of arrays, of
    which each is `:rows{n}_` and its name."""
    instead: str = ""
    """With a source the whole statement, for rows that are not written one by one; `{rows}` are
    these, named `r`."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Rows for one table; `suffix` is SQL such as `ON CONFLICT`.

    All have the keys of the first, or some of `columns` and NULL for what they lack. `same`: what
    those columns hold of a row that does not say, none of them NULL: written and read once, and not
    with each row.
    """

    table: FromClause
    rows: Sequence[Row]
    suffix: str = ""
    joined: Joined = Joined("")
    columns: tuple[str, ...] = ()
    same: Row = field(default_factory=dict)

    def shape(self) -> "Shape":
        """All that its SQL depends on."""
        columns = self.columns or tuple(self.rows[0])
        return self.table, columns, self.suffix, self.joined, tuple(self.same)


def said_apart(row: Row, names: Sequence[str], own: tuple[Any, ...], same: tuple[Any, ...]) -> Row:
    """A row of an Insert, which says what is its `own` under these names only where it differs."""
    return row if own == same else {**row, **dict(zip(names, own, strict=True))}


Shape = tuple[FromClause, tuple[str, ...], str, Joined, tuple[str, ...]]


async def insert_rows(
    session: Connection, table: FromClause, rows: Sequence[Row], *, suffix: str = ""
) -> Sequence[Row]:
    """Insert any number of rows with one statement, whose text does not depend on their number.

    All have the keys of the first. `suffix` is SQL (`RETURNING id`, say), whose rows are returned.
    """
    if not rows:
        return []
    one = Insert(table, rows, suffix)
    return dicts(await answer(session, _insert_all((one.shape(),)), _values([one])))


async def insert_all(session: Connection, inserts: Sequence[Insert]) -> None:
    """Insert rows into several tables with one statement: a round trip is dearer than a row.

    A table may refer to one before it. Locks are taken in no order: rows that exist already must
    be guarded by a lock that this transaction holds.
    """
    some = [one for one in inserts if one.rows]
    if some:
        await answer(session, _insert_all(tuple(one.shape() for one in some)), _values(some))


async def insert_with(
    session: Connection, first: Insert, inserts: Sequence[Insert], *, by: str
) -> set[UUID]:
    """Insert `first`, and of the others what belongs to a row of it that was taken, in one go.

    It belongs whose column `by` is that row's `id`. Returns the ids that were taken.
    """
    some = [first, *(one for one in inserts if one.rows)]
    statement = _insert_with(tuple(one.shape() for one in some), by)
    _, rows = await answer(session, statement, _values(some))
    return {row[0] for row in rows}


def _values(inserts: Sequence[Insert]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for n, one in enumerate(inserts):
        if one.joined.source:
            values |= {f"rows{n}_{name}": array for name, array in one.rows[0].items()}
        else:
            values[f"rows{n}"] = as_json(one.rows)
        for name, value in one.same.items():
            values[f"same{n}_{name}"] = value
    return values


@lru_cache(maxsize=256)
def _insert_all(shapes: tuple[Shape, ...]) -> TextClause:
    *named, last = (_insert(n, shape) for n, shape in enumerate(shapes))
    with_ = ", ".join(f"i{n} AS ({one})" for n, one in enumerate(named))
    return text(f"WITH {with_} {last}" if named else last)


@lru_cache(maxsize=64)
def _insert_with(shapes: tuple[Shape, ...], by: str) -> TextClause:
    return text(insert_with_sql(shapes, by))


def insert_with_sql(shapes: tuple[Shape, ...], by: str) -> str:
    """The statement of `insert_with`, of rows `:rows0` and on, and of `:same0_...`."""
    # OFFSET 0: what belongs is found first, by a hash. Joined together with other tables, by a plan
    # that knew nothing of their number, each row was compared with each call.
    taken = f"WHERE r.{by} IN (SELECT id FROM i0) OFFSET 0"  # noqa: S608  (names of ours)
    parts = [_insert(n, shape, taken if n else "") for n, shape in enumerate(shapes)]
    parts[0] += " RETURNING id"
    with_ = ", ".join(f"i{n} AS ({one})" for n, one in enumerate(parts))
    return f"WITH {with_} SELECT id FROM i0"  # noqa: S608


def insert_sql(shape: Shape) -> str:
    """The statement of an `Insert` of this shape, of rows `:rows0` and of `:same0_...`."""
    return _insert(0, shape)


def _insert(n: int, shape: Shape, where: str = "") -> str:
    """SQL that takes rows as one JSON document, `:rows{n}`.

    To encode them so costs a tenth of what an array for each column does, and a server reads it
    nearly as fast; as jsonb, since of json it reads what is nested in a row twice.
    """
    table, columns, suffix, joined, same = shape
    assert isinstance(table, Table)
    if joined.source:
        some = f"(SELECT * FROM ({joined.source.format(n=n)}) AS r {where}) AS r"  # noqa: S608
        return joined.instead.format(rows=some)
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    all_of_them = (*columns, *same)
    names = ", ".join((*all_of_them, *(name for name, _ in joined.columns)))
    found = ", ".join((*(f"r.{c}" for c in all_of_them), *(sql for _, sql in joined.columns)))
    types = {c: table.c[c].type.compile(dialect=dialect) for c in all_of_them}
    typed = ", ".join(f"{c} {kind}" for c, kind in types.items())
    rows = f"jsonb_to_recordset(CAST(:rows{n} AS jsonb)) AS r({typed})"
    own = [f"r.{c}" for c in columns]
    own += [f"coalesce(r.{c}, CAST(:same{n}_{c} AS {types[c]})) AS {c}" for c in same]
    some = f"(SELECT {', '.join(own)} FROM {rows} {where}) AS r" if where or same else rows  # noqa: S608  (names of ours)
    return f"INSERT INTO {table.name} ({names}) SELECT {found} FROM {some} {joined.join} {suffix}"  # noqa: S608


def as_json(rows: Sequence[Row | Sequence[Any]] | Row) -> str:
    """Rows, or a document of some, as JSON for the server to read; bytes as PostgreSQL writes."""
    return orjson.dumps(rows, default=_plain).decode()


def _plain(value: Any) -> str:
    if isinstance(value, UUID):  # asyncpg's own, of ids that were read
        return str(value)
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    raise TypeError(f"a column cannot hold a {type(value).__name__}")
