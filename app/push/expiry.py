"""What the sweep finds of pushes and of their batches: due, in a condemned worker's hands, or over.

It finds ids, and works on these: a row that makes the work fail can so be left aside. A batch may
have the id of a push that has left it.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import TextClause, text

from app.infra.db import Connection, Row, many
from app.push.claimed import Claim
from app.push.claims import KNOWN, LOST, MINE, OF_THE_DEAD, YOUNGER, lists

FIND = """
    (SELECT id, false AS whole FROM pushes
     WHERE {which} AND id <> ALL(CAST(:aside AS uuid[])) {order} LIMIT :limit)
    UNION ALL
    (SELECT id, true FROM push_batches
     WHERE done_at IS NULL AND {batches} AND id <> ALL(CAST(:aside AS uuid[])) {order}
     LIMIT {most})
"""
A_TENTH = "CAST(:limit AS bigint) / 10"
"""Of batches that are taken apart: each is up to fifty pushes."""

IS_DUE = f"""
    due_at <= statement_timestamp() AND {YOUNGER} AND deadline > clock_timestamp() AND {KNOWN}"""
DUE = text(
    FIND.format(
        which=f"is_open AND state = 'pending' AND {IS_DUE}",
        batches=f"claimed_by IS NULL AND {IS_DUE}",
        most=":limit",
        order="ORDER BY due_at",  # of an index: by id, PostgreSQL can walk the table by its key
    )
)
ORPHANS = text(
    FIND.format(
        which=OF_THE_DEAD,
        batches="""claimed_by = ANY(ARRAY(
            SELECT d.claimed_by FROM (
                SELECT DISTINCT b.claimed_by FROM push_batches b
                WHERE b.done_at IS NULL AND b.claimed_by <> :worker OFFSET 0
            ) d
            WHERE NOT EXISTS (
                SELECT FROM workers w WHERE w.id = d.claimed_by AND w.dead_at IS NULL)
        ))""",
        most=A_TENTH,
        order="",
    )
)
# Ended, and still open: so leaves it a worker of a release that knows no `is_open`.
OVER_OR_ENDED = """
    (state = 'pending' AND deadline <= clock_timestamp() OR state NOT IN ('pending', 'sending'))
"""
OVER = text(
    FIND.format(
        which=f"is_open AND {OVER_OR_ENDED}",
        batches="claimed_by IS NULL AND deadline <= clock_timestamp()",
        most=A_TENTH,
        order="",
    )
)
EXPIRE = """
    UPDATE pushes SET state = 'expired', is_open = false, reason = 'unknown'
    WHERE id IN (
        SELECT id FROM pushes
        WHERE id = ANY(CAST(:pushes AS uuid[])) AND {which} AND deadline <= clock_timestamp()
        FOR NO KEY UPDATE SKIP LOCKED
    )
"""
EXPIRE_PENDING = text(f"""
    UPDATE pushes SET is_open = false,
        state = CASE WHEN state = 'pending' THEN 'expired' ELSE state END,
        reason = CASE WHEN state = 'pending' THEN
            coalesce(reason, CASE WHEN inherited THEN 'unknown' ELSE 'deadline' END) ELSE reason END
    WHERE id IN (
        SELECT id FROM pushes WHERE id = ANY(CAST(:pushes AS uuid[])) AND {OVER_OR_ENDED}
        FOR NO KEY UPDATE SKIP LOCKED
    )
""")  # noqa: S608  (constants)
EXPIRE_ORPHANS = text(EXPIRE.format(which=OF_THE_DEAD))
EXPIRE_LOST = text(EXPIRE.format(which=f"{LOST} AND {MINE}"))


class Found(list[UUID]):
    """Ids of pushes, and of batches, which are those in `batches`."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__(dict.fromkeys(row["id"] for row in rows))
        self.batches = {row["id"] for row in rows if row["whole"]}


async def due(session: Connection, limit: int, aside: Sequence[UUID], since: datetime) -> Found:
    """What is due and nobody has claimed, made after `since`; but for `aside`."""
    return await _find(session, DUE, {"limit": limit, "aside": list(aside), "since": since})


async def orphans(session: Connection, worker: UUID, limit: int, aside: Sequence[UUID]) -> Found:
    """What is claimed by workers that are condemned or have gone, whatever its deadline."""
    values = {"worker": worker, "limit": limit, "aside": list(aside)}
    return await _find(session, ORPHANS, values)


async def over(session: Connection, limit: int, aside: Sequence[UUID]) -> Found:
    """What nobody had claimed when its deadline passed, and pushes that nobody has closed."""
    return await _find(session, OVER, {"limit": limit, "aside": list(aside)})


async def _find(session: Connection, statement: TextClause, values: Row) -> Found:
    return Found(await many(session, statement, values))


async def expire(session: Connection, pushes: Sequence[UUID]) -> None:
    """End those of these whose deadline has passed unclaimed; close what has ended."""
    await session.execute(EXPIRE_PENDING, {"pushes": list(pushes)})


async def expire_orphans(session: Connection, worker: UUID, pushes: Sequence[UUID]) -> None:
    """End those of these whose deadline has passed in the hands of the condemned."""
    await session.execute(EXPIRE_ORPHANS, {"worker": worker, "pushes": list(pushes)})


async def expire_lost(session: Connection, worker: UUID, lost: Sequence[Claim]) -> None:
    """End what this worker has claimed, does not know of, and could not send any more."""
    await session.execute(EXPIRE_LOST, {"worker": worker} | lists(lost))
