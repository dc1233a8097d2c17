"""Forgetting: what tenants keep for so many days goes in small batches, off the ring's path.

Each statement takes few rows, finds them by an index that begins with the tenant, and commits by
itself; nothing that a call or a push may still need is old enough to be here. Events and attempts
go with their week (`workers.partitions`), but events of tenants who keep them for less than others.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import TextClause, text

from app.infra.bisection import AHEAD, Aside, Halt, sweep_for
from app.infra.db import Connection, Row, many
from app.infra.leases import as_only
from app.infra.locks import Only, only_one
from app.infra.outage import is_away
from app.infra.runtime import Runtime
from app.infra.tenant_rows import unindexed
from app.tenants.schemas import tenant_settings
from app.webhooks import endpoints
from workers.partitions import longest

Key = TypeVar("Key", bound=Hashable)

BATCH = 500
CALLS = 50
"""Fewer at once: each goes with its members, rings, pushes, attempts and events."""

PAUSE = 0.02
"""Seconds between two batches: others get their turn at the disk."""

DAYS = "make_interval(secs => :days * 86400)"
TENANTS = text("SELECT id, settings FROM tenants ORDER BY id <= :after, id")
NOBODY = UUID(int=0)

EVERY: Final = 270.0
"""Seconds between two rounds, however many workers there are."""

LONGEST: Final = 240.0
"""Seconds after which a round ends: with very many tenants the next goes on where it stopped."""

TURN: Final = 2.0
"""Seconds for each table of a tenant until the other tenants have their turn: one that keeps for a
day what it kept for years has millions of rows."""

Swept = tuple[int, bool]
"""At how many rows was looked, and whether that is all."""

Work = Callable[[], Awaitable[Swept]]


@dataclass(frozen=True, slots=True)
class Old:
    """The rows of a table that are old enough to go; they are named by where they lie (`ctid`)."""

    table: str
    find: TextClause
    delete: TextClause
    aside: Aside[str]


def _old(
    table: str,
    column: str,
    of: str = "tenant_id = :tenant",
    age: str = DAYS,
    *,
    by_time: bool = False,
) -> Old:
    """`by_time`: its partitions are by `column`, and those that are young are passed over."""
    # the age again where it is deleted: in a row's place there may be a younger one by then, and at
    # the same place in another partition one that goes only if it is old too
    old = f"{of} AND {column} < statement_timestamp() - {age}"
    find = f"""
        SELECT CAST(ctid AS text) AS key FROM {table}
        WHERE {old} AND ctid <> ALL(CAST(CAST(:aside AS text[]) AS tid[]))
        ORDER BY {column} LIMIT :limit FOR UPDATE SKIP LOCKED
    """  # noqa: S608  (our own names)
    among = f" AND {column} < statement_timestamp() - {age}" if by_time else ""
    delete = f"""
        DELETE FROM {table}
        WHERE ctid = ANY(CAST(CAST(:keys AS text[]) AS tid[])) AND {unindexed(old)}{among}
    """  # noqa: S608
    return Old(table, text(find), text(delete), Aside(f"old {table}"))


BY_WEEK = (_old("user_events", "at", by_time=True), _old("events", "at"))
A_WEEK_AND_A_CALL: Final = 9.0
"""Days after which a row that should have gone with its week has not: it lies in none, say."""

OF_EVENT_DAYS = (
    _old("tenant_events", "at"),
    _old("delivery_attempts", "finished_at"),
    _old("deliveries", "created_at", "tenant_id = :tenant AND state <> 'sending'"),
    _old("feeds", "opened_at"),
)
OLD_CALLS = text(f"""
    SELECT id AS key FROM calls
    WHERE tenant_id = :tenant AND ended_at IS NOT NULL
        AND ended_at < statement_timestamp() - {DAYS} AND id <> ALL(CAST(:aside AS uuid[]))
    ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # noqa: S608  (our own names)
PUSHES_OF_CALLS = text("""
    SELECT id FROM pushes WHERE ring IN (
        SELECT uuid FROM rings WHERE session_id = ANY(CAST(:calls AS uuid[])))
""")
OF_PUSHES = (
    text("DELETE FROM attempts WHERE push_id = ANY(CAST(:pushes AS uuid[]))"),
    text("DELETE FROM pushes WHERE id = ANY(CAST(:pushes AS uuid[]))"),
)
OF_CALLS = (
    text("DELETE FROM push_batches WHERE session_id = ANY(CAST(:calls AS uuid[]))"),
    text("DELETE FROM events WHERE session_id = ANY(CAST(:calls AS uuid[]))"),
    text("DELETE FROM idempotency WHERE session_id = ANY(CAST(:calls AS uuid[]))"),
)
CALLS_THEMSELVES = text("DELETE FROM calls WHERE id = ANY(CAST(:calls AS uuid[]))")
OLD_ATTEMPTS = _old("attempts", "finished_at", "true")
OLD_ANSWERS = _old("idempotency", "created_at", "true", "interval '24 hours'")
ASIDE: Final = Aside[Hashable]("old rows")
CALLS_ASIDE: Final = Aside[UUID]("old calls")


@dataclass(slots=True)
class Progress:
    """The tenant whose turn was last: the next round begins after it."""

    after: UUID = NOBODY


async def forget_as_only(runtime: Runtime, worker: UUID, progress: Progress) -> bool:
    """`forget`, unless another worker is at it or has just been; whether it was done."""
    return await as_only(
        runtime.database, "forget", worker, partial(forget, runtime, progress), every=EVERY
    )


async def forget(runtime: Runtime, progress: Progress | None = None) -> int:
    """Go once through all that is old enough; returns how many rows it looked at.

    Each tenant and each table apart: what fails of one keeps nothing of another, and who has more
    than a turn's worth comes again when all others had theirs. If another worker is at it this one
    stops: it may come back to the rest the next time.
    """
    progress, end = progress or Progress(), time.monotonic() + LONGEST
    async with runtime.database.patient.transaction() as session:
        await endpoints.forget_secrets(session)
        tenants = await many(session, TENANTS, {"after": progress.after})
    works = _works(runtime, tenants)
    gone = 0
    with contextlib.suppress(Halt):
        while works:
            what, work = works.popleft()
            looked, whole = await _or_aside(what, work)
            gone += looked
            if not whole:
                works.append((what, work))
            if isinstance(what, UUID):
                progress.after = what
                if time.monotonic() > end:
                    break
    return gone


def _works(runtime: Runtime, tenants: Sequence[Row]) -> deque[tuple[Hashable, Work]]:
    """What there is to be done in turns: of no tenant's own (`str`), and of each (`UUID`)."""
    most = longest([tenant["settings"] for tenant in tenants])
    days = {"days": most + A_WEEK_AND_A_CALL}
    return deque(
        [
            ("attempts", partial(_table, runtime, OLD_ATTEMPTS, days)),
            ("answers", partial(_table, runtime, OLD_ANSWERS, {})),
            *((one["id"], partial(_of_tenant, runtime, one, most)) for one in tenants),
        ]
    )


async def _or_aside(what: Hashable, work: Work) -> Swept:
    """Do this, or say once that it cannot be done; the rest goes on."""
    try:
        swept = await work()
    except Exception as error:
        if isinstance(error, Halt) or is_away(error):
            raise
        ASIDE.add(what, error)
        return 0, True
    ASIDE.remove([what])
    return swept


async def _of_tenant(runtime: Runtime, tenant: Row, most: float) -> Swept:
    """`most`: days for which events are kept by who keeps them longest; by it weeks go whole."""
    settings = tenant_settings(tenant["settings"], tenant["id"])
    days = settings.keep_events_days
    values = {"tenant": tenant["id"], "days": days}
    by_week = values | {"days": days if days < most else days + A_WEEK_AND_A_CALL}
    swept = []
    for old in (*BY_WEEK, *OF_EVENT_DAYS):
        which = by_week if old in BY_WEEK else values
        work = partial(_table, runtime, old, which)
        swept.append(await _or_aside((tenant["id"], old.table), work))
    calls = {"tenant": tenant["id"], "days": settings.keep_calls_days}
    swept.append(await _calls(runtime, calls))
    return sum(looked for looked, _ in swept), all(whole for _, whole in swept)


async def _table(runtime: Runtime, old: Old, values: Mapping[str, Any]) -> Swept:
    async def delete(session: Connection, keys: Sequence[str]) -> None:
        await session.execute(old.delete, {**values, "keys": keys})

    return await _in_batches(runtime, old.find, values, delete, old.aside, BATCH)


async def _calls(runtime: Runtime, values: Mapping[str, Any]) -> Swept:
    return await _in_batches(runtime, OLD_CALLS, values, _forget_calls, CALLS_ASIDE, CALLS)


async def _in_batches(
    runtime: Runtime,
    statement: TextClause,
    values: Mapping[str, Any],
    delete: Callable[[Connection, Sequence[Key]], Awaitable[None]],
    aside: Aside[Key],
    batch: int,
) -> Swept:
    async def find(limit: int, passed_over: Sequence[Key]) -> list[Key]:
        more = {"limit": limit, "aside": passed_over}
        async with runtime.database.patient.autocommit() as session:
            return [row["key"] for row in await many(session, statement, {**values, **more})]

    async def forget(keys: Sequence[Key]) -> None:
        async with runtime.database.patient.transaction() as session:
            if not await only_one(session, Only.RETENTION):
                raise Halt
            await delete(session, keys)
        await asyncio.sleep(PAUSE)

    return await sweep_for(find, forget, aside, batch, TURN, ahead=AHEAD)


async def _forget_calls(session: Connection, calls: Sequence[UUID]) -> None:
    pushes = [row["id"] for row in await many(session, PUSHES_OF_CALLS, {"calls": calls})]
    for statement in OF_PUSHES if pushes else ():
        await session.execute(statement, {"pushes": pushes})
    for statement in (*OF_CALLS, CALLS_THEMSELVES):
        await session.execute(statement, {"calls": calls})
