"""Tables in partitions by the week: made ahead, and dropped whole when all in them is old.

A week is from Monday to Monday, UTC, and its partition is named by its first day. What fits no
week, as when one could not be made in time, goes to the default partition: nothing is refused, and
`worker.partitions` fails until it is mended, an alarm. A lock that a writer might wait behind is
waited for no longer than `MOST`; what finds no moment is tried again in the next round.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import text

from app.core.frozen import frozen
from app.infra.db import Connection, Database, clock, many
from app.infra.ids import least_uuid7
from app.infra.observe import DEFAULT_ROWS, PARTITIONS_AHEAD
from app.infra.outage import is_busy

log = structlog.get_logger(__name__)

WEEK: Final = timedelta(days=7)
A_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)
AHEAD: Final = timedelta(days=21)
"""So much time to come has its partitions."""

LEAST: Final = timedelta(days=14)
DAY: Final = timedelta(days=1)
MOST: Final = "60ms"
"""For a lock that others wait behind."""

MOVED: Final = 2_000
"""Rows of the default partition that move, at most, to the week that they belong to."""

READ: Final = 100_000
"""Rows of it that are read, at most, under the lock that keeps writers from it."""

EVER: Final = datetime.min.replace(tzinfo=UTC)
NEVER: Final = datetime.max.replace(tzinfo=UTC)
DROP = f"""DO $$ BEGIN
    PERFORM set_config('lock_timeout', '{MOST}', true);
    DROP TABLE {{name}};
    END $$"""
BOUND = re.compile(r"FROM \((.+?)\) TO \((.+?)\)")
PARTS = text("""
    SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(:table)
""")


@frozen
class Weekly:
    """A table in partitions by `key`: a time, or with `of_ids` a UUIDv7, which says its own.

    `ended`: the time by which its rows grow old. There is an index of it, which begins with
    `tenant_id` where the rows have one (`of_tenants`).
    """

    table: str
    key: str
    of_ids: bool
    ended: str = "at"
    of_tenants: bool = True

    @property
    def default(self) -> str:
        """Its partition for what fits no other."""
        return f"{self.table}_default"

    def bound(self, at: datetime) -> str:
        """A time as SQL writes a bound of the key."""
        return f"'{least_uuid7(at) if self.of_ids else at.isoformat()}'"

    def time_of(self, bound: str) -> datetime:
        """The time of a bound as PostgreSQL shows it."""
        told = bound.strip("'")
        if bound in {"MINVALUE", "MAXVALUE"}:
            return EVER if bound == "MINVALUE" else NEVER
        if not self.of_ids:
            return datetime.fromisoformat(told)
        milliseconds = UUID(told).int >> 80
        return datetime.fromtimestamp(min(milliseconds / 1_000, NEVER.timestamp() - 1), UTC)


@frozen
class Part:
    """A partition of what is from `begin` to before `until`."""

    name: str
    begin: datetime
    until: datetime


def week_of(at: datetime) -> datetime:
    """When the week began that `at` is in."""
    return at - (at - A_MONDAY) % WEEK


def missing(parts: Sequence[Part], now: datetime) -> list[datetime]:
    """The weeks that lack a partition, by when they begin: from this one on, until `AHEAD`."""
    weeks = (week_of(now) + n * WEEK for n in range(AHEAD // WEEK + 2))
    return [
        week
        for week in weeks
        if week < now + AHEAD and not any(one.begin <= week < one.until for one in parts)
    ]


def made_until(parts: Sequence[Part], now: datetime) -> datetime:
    """The end of the last of the partitions that follow each other, from now on."""
    end = now
    for part in sorted(parts, key=lambda part: part.begin):
        if part.begin <= end < part.until:
            end = part.until
    return end


async def parts_of(session: Connection, one: Weekly) -> list[Part]:
    """Its partitions but the default one; none while the table is whole."""
    found = []
    for row in await many(session, PARTS, {"table": one.table}):
        bound = BOUND.search(row["bound"])
        if bound is not None:
            found.append(Part(row["name"], *map(one.time_of, bound.groups())))
    return found


async def make_ahead(database: Database, one: Weekly) -> None:
    """Make the partitions that are missing. What others hold is left for the next round.

    Rows of a week that wait in the default partition move to it; where there are too many of them
    they stay. Raises what else fails, after the others.
    """
    async with database.autocommit() as session:
        parts, now = await parts_of(session, one), await clock(session)
    weeks = missing(parts, now) if parts else ()
    await each(partial(_make_or_put_off, database, one, begin) for begin in weeks)


async def each(works: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Do one after another; raises what has failed last, when the others have had their turn."""
    failed: Exception | None = None
    for work in works:
        try:
            await work()
        except Exception as error:  # noqa: BLE001  (the others have their turn first)
            failed = error
    if failed is not None:
        raise failed


async def _make_or_put_off(database: Database, one: Weekly, begin: datetime) -> None:
    try:
        async with database.autocommit() as session:
            await _make(session, one, begin)
    except Exception as error:
        if not is_busy(error):
            raise
        log.info("partition_put_off", table=one.table, begins=begin.isoformat())


async def _make(session: Connection, one: Weekly, begin: datetime) -> None:
    low, high = one.bound(begin), one.bound(begin + WEEK)
    of_week = f"{one.key} >= {low} AND {one.key} < {high}"
    name = f"{one.table}_{begin:%Y%m%d}"
    # all is done by one statement, or locks would be held while this process has its turn
    make = f"""
        DO $$ BEGIN
        PERFORM set_config('lock_timeout', '{MOST}', true);
        CREATE TABLE {name} (LIKE {one.table} INCLUDING ALL);
        LOCK TABLE ONLY {one.table} IN SHARE UPDATE EXCLUSIVE MODE;
        LOCK TABLE {one.default} IN ACCESS EXCLUSIVE MODE;
        WITH moved AS (DELETE FROM {one.default} WHERE {of_week} RETURNING *)
            INSERT INTO {name} SELECT * FROM moved;
        ALTER TABLE {one.table} ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high});
        END $$
    """  # noqa: S608  (names and times of ours)
    in_the_way = await _count(session, one, MOVED, f"WHERE {of_week}") > MOVED
    if in_the_way or await _count(session, one, READ) > READ:
        log.warning("partition_left_out", table=one.table, begins=begin.isoformat())
        return
    await session.execute(text(make))
    log.info("partition_made", table=one.table, begins=begin.isoformat())


async def _count(session: Connection, one: Weekly, most: int, which: str = "") -> int:
    """Rows of the default partition; `most` and one at most are counted."""
    count = f"SELECT count(*) FROM (SELECT FROM {one.default} {which} LIMIT {most + 1}) n"  # noqa: S608  (names and times of ours)
    return int((await session.execute(text(count))).scalar_one())


async def drop_old(database: Database, one: Weekly, kept: timedelta) -> None:
    """Drop the partitions of which no row is younger than `kept`, the longest of all tenants.

    What others hold, a dump for example, is left for the next round.
    """
    async with database.autocommit() as session:
        parts, now = await parts_of(session, one), await clock(session)
    for part in parts:
        if part.until > now - kept:
            continue
        try:
            async with database.autocommit() as session:
                if await _has_younger(session, one, part, now - kept):
                    continue
                await session.execute(text(DROP.format(name=part.name)))
        except Exception as error:
            if not is_busy(error):
                raise
            log.info("partition_put_off", table=one.table, name=part.name)
        else:
            log.info("partition_dropped", table=one.table, name=part.name)


async def _has_younger(session: Connection, one: Weekly, part: Part, at: datetime) -> bool:
    """Whether a call went on after the week in which it began, say. A look-up for each tenant."""
    young = f"FROM {part.name} e WHERE e.{one.ended} >= :at"
    if one.of_tenants:
        young = f"""FROM tenants t CROSS JOIN LATERAL (
            SELECT {young} AND e.tenant_id = t.id LIMIT 1) y"""
    look = text(f"SELECT EXISTS (SELECT {young})")
    return bool((await session.execute(look, {"at": at})).scalar_one())


class WeeksMissing(Exception):
    """Less than `LEAST` is made ahead, or rows lie in the default one: somebody should look."""


async def measure(database: Database, one: Weekly) -> None:
    """Set the metrics: how far ahead partitions are made, and what is in the default one.

    Raises WeeksMissing.
    """
    async with database.autocommit() as session:
        parts, now = await parts_of(session, one), await clock(session)
        if not parts:
            return
        rows = await _count(session, one, READ)
    ahead = made_until(parts, now) - now
    PARTITIONS_AHEAD.labels(one.table).set(ahead.total_seconds())
    DEFAULT_ROWS.labels(one.table).set(rows)
    if ahead < LEAST or rows:
        raise WeeksMissing(
            f"{one.table}: partitions for {ahead / DAY:.0f} days to come, "
            f"{rows:,} rows in {one.default}"
        )
