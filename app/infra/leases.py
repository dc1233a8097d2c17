"""Work that one process does for all: a lease in a row, which ends by itself and idles nowhere.

A lock that is held by an open transaction ends when that transaction idles for too long, and one of
a session stays when its holder is frozen. A lease is a time: who holds it renews it while working,
and whoever comes after it has passed may take it. Work done under it must bear a second worker for
a moment: a process that thaws finds out with its next renewal only.

The database's clock may be set back, or be another's after a failover. A lease that lies further
ahead than any may is of that other clock, and counts no more: else nothing would be done until that
is over.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base, Database
from app.infra.tasks import beside

log = structlog.get_logger(__name__)

LASTS: Final = 3.0
"""Seconds for which a lease lasts without being renewed."""

RENEW: Final = 1.0

TAKE = text("""
    INSERT INTO leases AS l (name, holder, until)
    VALUES (:name, :holder, clock_timestamp() + make_interval(secs => :lasts))
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE l.until < clock_timestamp() - CASE WHEN l.holder = excluded.holder THEN interval '0'
        ELSE make_interval(secs => :others_after) END
        OR l.until > clock_timestamp() + make_interval(secs => :longest)
    RETURNING clock_timestamp()
""")
RENEW_IT = text("""
    UPDATE leases SET until = clock_timestamp() + make_interval(secs => :lasts)
    WHERE name = :name AND holder = :holder RETURNING until
""")
END_IT = text("""
    UPDATE leases SET until = CAST(:begun AS timestamptz) + make_interval(secs => :every)
    WHERE name = :name AND holder = :holder
""")


class Lease(Base):
    """Who does a kind of work for all, and until when."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[UUID]
    until: Mapped[datetime]


async def as_only(
    database: Database,
    name: str,
    holder: UUID,
    work: Callable[[], Coroutine[Any, Any, object]],
    *,
    every: float,
    others_after: float = 0.0,
) -> bool:
    """Do `work` unless somebody is at it, or began with it less than `every` seconds ago.

    `others_after`: who did it last may do it again, the others so many seconds later only, so that
    it stays with one while that one lives. All who do it say the same `every`. Returns whether it
    was done. It is given up when the lease is lost meanwhile.
    """
    values: dict[str, Any] = {"name": name, "holder": holder, "lasts": LASTS}
    when = {"others_after": others_after, "longest": 2 * max(LASTS, every)}
    async with database.autocommit() as session:
        taken = await session.execute(TAKE, values | when)
        begun = taken.scalar_one_or_none()
    if begun is None:
        return False
    try:
        async with beside(f"lease.{name}", work()) as working:
            while not (await asyncio.wait([working], timeout=RENEW))[0]:
                async with database.autocommit() as session:
                    if (await session.execute(RENEW_IT, values)).scalar_one_or_none() is None:
                        log.warning("lease_lost", name=name)
                        return False
    finally:
        async with database.autocommit() as session:
            await session.execute(END_IT, values | {"begun": begun, "every": every})
    return True
