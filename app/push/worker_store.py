"""Rows of workers: who is alive, and who sweeps."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Session, one

RENEW = text("""
    INSERT INTO workers (id, host, pid, started_at, alive_until)
    VALUES (:id, :host, :pid, clock_timestamp(), clock_timestamp() + make_interval(secs => :lease))
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
    RETURNING clock_timestamp() AS now
""")
GONE = text("DELETE FROM workers WHERE id = :id")
FORGET_DEAD = text("""
    DELETE FROM workers w WHERE w.alive_until < clock_timestamp() - interval '1 hour'
""")


async def renew_worker(
    session: Session, worker: UUID, *, host: str, pid: int, lease: float
) -> datetime:
    """Say that this worker lives for another `lease` seconds; answers the database clock."""
    row = await one(session, RENEW, {"id": worker, "host": host, "pid": pid, "lease": lease})
    assert row is not None
    now: datetime = row["now"]
    return now


async def remove_worker(session: Session, worker: UUID) -> None:
    """A worker that stops in good order gives up what it still holds."""
    await session.execute(GONE, {"id": worker})


async def forget_dead_workers(session: Session) -> None:
    """Delete the rows of workers long dead."""
    await session.execute(FORGET_DEAD)


SWEEP_LOCK = text("SELECT pg_try_advisory_xact_lock(7465737, 1) AS mine")


async def try_sweep_lock(session: Session) -> bool:
    """Whether this transaction may sweep: only one at a time may."""
    row = await one(session, SWEEP_LOCK)
    assert row is not None
    return bool(row["mine"])


LIVE_WORKERS = text("SELECT count(*) AS n FROM workers WHERE alive_until > clock_timestamp()")


async def live_workers(session: Session) -> int:
    """How many workers have shown life within their lease."""
    row = await one(session, LIVE_WORKERS)
    assert row is not None
    return int(row["n"])
