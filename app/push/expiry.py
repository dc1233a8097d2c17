"""Pushes whose time is over: unsent, in a dead worker's hands, or forgotten by a live one."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection
from app.push.claimed import Claim
from app.push.claims import LOST, MINE, OF_THE_DEAD, lists

EXPIRE = """
    UPDATE pushes SET state = 'expired', reason = {reason}
    WHERE id IN (
        SELECT id FROM pushes WHERE {which} AND deadline <= clock_timestamp()
        LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    )
"""
EXPIRE_PENDING = text(
    EXPIRE.format(
        which="state = 'pending'",
        reason="coalesce(reason, CASE WHEN inherited THEN 'unknown' ELSE 'deadline' END)",
    )
)
EXPIRE_ORPHANS = text(EXPIRE.format(which=OF_THE_DEAD, reason="'unknown'"))
EXPIRE_LOST = text(
    EXPIRE.format(
        which=f"id = ANY(CAST(:pushes AS uuid[])) AND {LOST} AND {MINE}", reason="'unknown'"
    )
)


async def expire(session: Connection, worker: UUID, limit: int) -> None:
    """Pushes whose deadline has passed unsent, or unanswered in the hands of a dead worker."""
    await session.execute(EXPIRE_PENDING, {"limit": limit})
    await session.execute(EXPIRE_ORPHANS, {"limit": limit, "worker": worker})


async def expire_lost(session: Connection, worker: UUID, lost: Sequence[Claim], limit: int) -> None:
    """End what this worker has claimed, does not know of, and could not send any more."""
    values = {"worker": worker, "limit": limit} | lists(lost)
    await session.execute(EXPIRE_LOST, values)
