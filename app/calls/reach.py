"""Whom nothing can ring: no device, or none that takes a push; the caller is told at once.

A user with a live stream's feed can be told by it, and counts as reachable. Who is not may answer
all the same: by a browser, the backend, or a device that registers while the ring is open. A tenant
may have the ring given up instead (`end_unreachable`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import text

from app.calls.commands import Asked, carry_out
from app.calls.rows import Stored
from app.core.call import Decision, Unreachable
from app.infra import bisection
from app.infra.bisection import Aside
from app.infra.db import Connection, Row, many
from app.infra.errors import AppError
from app.infra.runtime import Runtime
from app.push.targets import of_ring
from app.push.tokens import best, ringing

log = structlog.get_logger(__name__)

AT_ONCE = 100
ASIDE: Final = Aside[UUID]("unreachable")

# A ring with a push that waits, flies or was taken may ring; so may a token without a push yet.
OF_RING = of_ring("p", "r.uuid", "r.session_id")
WITHOUT_TARGET = f"""
    SELECT r.uuid, r.session_id, r.tenant_id,
        coalesce(CAST(n.settings ->> 'end_unreachable' AS boolean), false) AS give_up
    FROM rings r
    JOIN members m ON m.session_id = r.session_id AND m.user_id = r.user_id AND m.ring = r.uuid
    JOIN tenants n ON n.id = r.tenant_id
    WHERE {{which}} AND r.outcome IS NULL AND r.deadline > clock_timestamp()
        AND m.state = 'ringing' AND m.suppressed IS NULL
        AND NOT EXISTS (
            SELECT FROM targets p WHERE {OF_RING} AND p.purpose = 'ring'
                AND p.state IN ('pending', 'sending', 'accepted') OFFSET 0)
        AND NOT EXISTS (
            SELECT FROM tokens t WHERE t.tenant_id = r.tenant_id AND t.user_id = r.user_id
                AND {ringing("t")} AND {best("t")}
                AND NOT EXISTS (
                    SELECT FROM targets p
                    WHERE {OF_RING} AND p.token_id = t.id OFFSET 0))
        AND NOT EXISTS (
            SELECT FROM feeds f WHERE f.tenant_id = r.tenant_id AND f.user_id = r.user_id)
"""  # noqa: S608  (constants)
OF_RINGS = text(WITHOUT_TARGET.format(which="r.uuid = ANY(CAST(:rings AS uuid[]))"))
OF_ALL = text(
    WITHOUT_TARGET.format(which="r.uuid <> ALL(CAST(:aside AS uuid[]))") + " LIMIT :limit"
)


async def mark(runtime: Runtime, rings: Collection[UUID]) -> None:
    """Say of those of these rings that have nothing left to ring that nobody is reached."""
    async with runtime.database.autocommit() as session:
        found = await many(session, OF_RINGS, {"rings": list(rings)})
    for row in found:
        await _mark(runtime, row)


async def sweep(runtime: Runtime) -> int:
    """The same for all rings: for those that a worker's end left; returns how many it found."""
    rows: dict[UUID, Row] = {}

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.autocommit() as session:
            found = await many(session, OF_ALL, {"limit": limit, "aside": list(aside)})
        rows.update((row["uuid"], row) for row in found)
        return [row["uuid"] for row in found]

    async def write(ids: Sequence[UUID]) -> None:
        for one in ids:
            await _mark(runtime, rows[one])

    return await bisection.sweep(find, write, ASIDE, AT_ONCE)


async def _mark(runtime: Runtime, row: Row) -> None:
    rings = frozenset([row["uuid"]])
    asked = Asked(Unreachable(rings, row["give_up"]), partial(_still, row["uuid"]))
    try:
        await carry_out(runtime, row["tenant_id"], row["session_id"], asked)
    except AppError as error:  # held by somebody, or gone: the next sweep looks again
        log.info("not_marked_unreachable", ring=str(row["uuid"]), why=error.code)


async def _still(
    ring: UUID, session: Connection, _stored: Stored, _decision: Decision, _now: datetime
) -> Any:
    """Whether the ring has nothing to ring, now that its call is held; else the command is off."""
    found = await many(session, OF_RINGS, {"rings": [ring]})
    return None if found else "reached"
