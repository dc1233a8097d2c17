"""How migrations run: one process at a time, and without anybody who works waiting behind them.

Whoever asks for a table after a migration has asked for it waits behind that. So a migration waits
for `MOMENT` at a time, then gives its transaction up and begins it again a little later. An
autovacuum lets nobody by who waits for less than a second (PostgreSQL's `deadlock_timeout`): it is
sent away by a lock that conflicts with it and with no reader or writer.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from sqlalchemy import Connection, pool, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.infra import database_hosts
from app.infra.at_hand import OF_DRIVER
from app.infra.connections import SHORT, Patience, server_settings
from app.infra.errors import AppError
from app.infra.locks import MIGRATING as LOCK
from app.infra.outage import DatabaseAway, sqlstate
from app.infra.postgresql import LIKE, unfit

MOMENT: Final = 0.06
"""Seconds for which a migration waits for a lock, and others behind it."""

MIGRATING: Final = Patience(lock=MOMENT, statement=3_600.0, answer=3_660.0, idle=60.0)
"""A statement may read a large table."""

AGAIN_AFTER: Final = 0.25
TRIES: Final = 3_600
"""For a quarter of an hour at least; then a person has to look."""

TOLD_AFTER: Final = 10
"""Tries in vain after which it is said who is in the way."""

IN_THE_WAY: Final = frozenset({"55P03", "40P01"})
"""Lock not available, deadlock."""

Say = Callable[[str], object]

VACUUMED = text("""
    SELECT DISTINCT l.relation::regclass::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
    WHERE l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND c.relkind IN ('r', 'p')
        AND l.pid <> pg_backend_pid()
""")
SEND_AWAY = """
    DO $$ BEGIN
    PERFORM set_config('lock_timeout', '3s', true);
    LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE;
    END $$
"""
OLDEST = text("""
    SELECT a.pid, coalesce(nullif(a.application_name, ''), a.usename, 'unknown') AS name,
        extract(epoch FROM clock_timestamp() - a.xact_start)::int AS seconds
    FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() AND a.pid IN (
        SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
        WHERE l.granted)
    ORDER BY a.xact_start NULLS LAST LIMIT 1
""")


class Held(AppError):
    """Another session is in the way, and was for as long as it is waited for."""

    status = 409


class Unfit(AppError):
    """A server or a database in which Ringline's tables are not to be begun."""

    status = 409


async def run(url: str, migrate: Callable[[Connection], None], say: Say) -> None:
    """Run `migrate` on a connection of its own, alone, and again while tables are held.

    Raises DatabaseAway when there is no connection to be had, Unfit, Held.
    """
    async with _connected(url) as connection:
        await _look(connection)
        await _alone(connection, say)
        await connection.run_sync(
            lambda sync: by_moments(sync, lambda: migrate(sync), say, after=sync.rollback)
        )


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[AsyncConnection]:
    settings = server_settings(MIGRATING) | {"enable_seqscan": "on", "jit": "on"}
    engine = create_async_engine(
        url,
        poolclass=pool.NullPool,
        connect_args={
            "async_creator_fn": database_hosts.connect,
            "timeout": SHORT.connect,
            "command_timeout": MIGRATING.answer,
            "server_settings": settings,
        },
    )
    had = False
    try:
        async with engine.connect() as connection:
            had = True
            yield connection
    except (SQLAlchemyError, OSError, *OF_DRIVER) as error:
        if had:
            raise
        raise DatabaseAway("no connection to the database") from error
    finally:
        await engine.dispose()


async def _look(connection: AsyncConnection) -> None:
    """Let no tables be made where they would not do; those that are there are migrated."""
    found = (await connection.execute(LIKE)).mappings().one()
    begun = await connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    await connection.rollback()
    if not begun and (why := unfit(dict(found))):
        raise Unfit("unfit_database", why)


async def _alone(connection: AsyncConnection, say: Say) -> None:
    """Hold the migrations' lock until this connection ends.

    Tried again and again: who waits for it in PostgreSQL has a transaction that the other's
    CREATE INDEX CONCURRENTLY waits for.
    """
    lock = text("SELECT pg_try_advisory_lock(:space, :lock)")
    for tried in range(TRIES):
        found = await connection.execute(lock, LOCK)
        held = bool(found.scalar_one())
        await connection.commit()
        if held:
            return
        if not tried:
            say("Another process migrates this database; waiting for it ...")
        await asyncio.sleep(1.0)
    raise Held("migrating", "another process has been migrating this database for an hour")


def by_moments(
    connection: Connection,
    work: Callable[[], object],
    say: Say,
    *,
    after: Callable[[], object] = lambda: None,
    tries: int = TRIES,
) -> None:
    """Do `work`, and again when a lock was not to be had in a moment; `after` ends what is left.

    Raises Held when it was in vain each time.
    """
    for tried in range(tries):
        try:
            work()
        except DBAPIError as error:
            after()
            if sqlstate(error) not in IN_THE_WAY:
                raise
            whom = holder(connection) if tried in {TOLD_AFTER, tries - 1} else None
            after()
            if tried == tries - 1:
                raise Held("tables_held", _held(whom)) from error
            if tried == TOLD_AFTER:
                say(f"Waiting, and trying again: {_held(whom)} ...")
            _send_vacuums_away(connection, after)
            time.sleep(AGAIN_AFTER)
        else:
            return


def holder(connection: Connection, *, least: int = 0) -> str | None:
    """Who has had locks of our tables for the longest, for `least` seconds or more."""
    found = connection.execute(OLDEST).one_or_none()
    if found is None or (found.seconds or 0) < least:
        return None
    since = "" if found.seconds is None else f", for {found.seconds} s"
    return f"session {found.pid} of PostgreSQL ({found.name}{since})"


def _held(whom: str | None) -> str:
    if whom is None:
        return "another session holds what is to be changed"
    return f"{whom} holds what is to be changed: let it end, or end it by pg_terminate_backend()"


def _send_vacuums_away(connection: Connection, after: Callable[[], object]) -> None:
    for table in list(connection.execute(VACUUMED).scalars()):
        after()
        with suppress(DBAPIError):  # it does not go, being against wraparound: time will tell
            connection.exec_driver_sql(SEND_AWAY.format(table=table))
    after()
