"""Rows of workers: who is alive, who is condemned, and who sweeps.

The database's clock may be set back, or be another's after a failover: what lies further ahead than
it can is a former clock's. Who lives renews by the new one within half a second, and begins to be
unbroken, so that it judges nobody before all had a chance to; who does not renew is dead.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.core.frozen import frozen
from app.infra.db import Connection, many, one

ENTER = text("""
    INSERT INTO workers (id, host, pid, "only", batches, started_at, unbroken_since, alive_until)
    VALUES (:id, :host, :pid, :only, :batches, clock_timestamp(), clock_timestamp(),
        clock_timestamp() + make_interval(secs => :lease))
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
        WHERE workers.dead_at IS NULL
    RETURNING clock_timestamp() AS now, unbroken_since
""")
RENEW = text("""
    UPDATE workers SET alive_until = clock_timestamp() + make_interval(secs => :lease),
        unbroken_since = CASE WHEN alive_until < clock_timestamp()
            OR alive_until > clock_timestamp() + make_interval(secs => :lease)
            OR unbroken_since > clock_timestamp() THEN clock_timestamp() ELSE unbroken_since END
    WHERE id = :id AND dead_at IS NULL
    RETURNING clock_timestamp() AS now, unbroken_since
""")
CONDEMN = text("""
    UPDATE workers d SET dead_at = clock_timestamp() FROM workers me
    WHERE me.id = :id AND me.dead_at IS NULL AND me.alive_until > clock_timestamp()
        AND me.unbroken_since < clock_timestamp() - make_interval(secs => 2 * :lease)
        AND d.dead_at IS NULL AND (d.alive_until < clock_timestamp()
            OR d.alive_until > clock_timestamp() + make_interval(secs => 2 * :lease))
    RETURNING d.id, d.host, d.pid
""")
GONE = text("DELETE FROM workers WHERE id = :id")
FORGET_DEAD = text("""
    DELETE FROM workers w WHERE w.dead_at < clock_timestamp() - interval '1 hour'
""")


@frozen
class Renewal:
    """A sign of life that the database has taken: its clock, and since when there was no gap."""

    now: datetime
    unbroken_since: datetime


async def enter_worker(
    session: Connection,
    worker: UUID,
    *,
    host: str,
    pid: int,
    only: str | None,
    lease: float,
    batches: bool = True,
) -> Renewal | None:
    """Write that a new worker is there, for `lease` seconds; None if it has been condemned.

    `batches`: it agrees to a group's pushes being written in batches.
    """
    values = {"id": worker, "host": host, "pid": pid, "only": only, "lease": lease}
    values["batches"] = batches
    row = await one(session, ENTER, values)
    return None if row is None else Renewal(row["now"], row["unbroken_since"])


async def renew_worker(session: Connection, worker: UUID, *, lease: float) -> Renewal | None:
    """Say that this worker lives for another `lease` seconds; None if it has been condemned."""
    row = await one(session, RENEW, {"id": worker, "lease": lease})
    return None if row is None else Renewal(row["now"], row["unbroken_since"])


async def condemn_workers(
    session: Connection, worker: UUID, lease: float
) -> list[dict[str, UUID | str | int]]:
    """Condemn who has not renewed in time: only then may their claims be taken over.

    By a worker that is alive itself, and has been without a gap for two leases: when the database
    was away for all, nobody is judged before all had a chance to renew, and to write what they
    know.
    """
    return await many(session, CONDEMN, {"id": worker, "lease": lease})


async def remove_worker(session: Connection, worker: UUID) -> None:
    """A worker that stops in good order gives up what it still holds."""
    await session.execute(GONE, {"id": worker})


async def forget_dead_workers(session: Connection) -> None:
    """Delete the rows of workers long dead."""
    await session.execute(FORGET_DEAD)


LIVE = """
    SELECT count(*) FROM workers WHERE alive_until > clock_timestamp() AND dead_at IS NULL
        AND "only" IS DISTINCT FROM 'webhooks'
"""
LIVE_WORKERS = text(f"SELECT ({LIVE}) AS n")


async def live_workers(session: Connection) -> int:
    """How many workers that push have shown life within their lease."""
    row = await one(session, LIVE_WORKERS)
    assert row is not None
    return int(row["n"])


STANDING = text(f"""
    SELECT ({LIVE}) AS workers,
    coalesce(extract(epoch FROM clock_timestamp() - least((
        SELECT due_at FROM pushes
        WHERE is_open AND state = 'pending' AND due_at <= statement_timestamp()
        ORDER BY due_at LIMIT 1
    ), (
        SELECT due_at FROM push_batches
        WHERE done_at IS NULL AND claimed_by IS NULL AND due_at <= statement_timestamp()
        ORDER BY due_at LIMIT 1
    ))), 0) AS oldest_due
""")  # noqa: S608  (a constant)


async def standing(session: Connection) -> tuple[int, float]:
    """How many workers that push live; seconds that the oldest due push has waited, 0 if none."""
    row = await one(session, STANDING)
    assert row is not None
    return int(row["workers"]), float(row["oldest_due"])
