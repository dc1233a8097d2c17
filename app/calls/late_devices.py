"""Calls whose ringing users have registered a device since, or turned one on: it rings too."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection, many
from app.push.targets import rings_already
from app.push.tokens import best, ringing

# Look-ups by key for each registration, whatever the planner thinks: `OFFSET 0` keeps each part as
# it is written. Joined freely, by statistics older than what rings now, each registration walked
# over all that rings: 19 s of CPU each second at 8,200 live rings and 4,000 registrations.
LATE = """
    SELECT DISTINCT r.session_id FROM (
        {which} OFFSET 0
    ) t CROSS JOIN LATERAL (
        SELECT session_id, uuid, deadline FROM rings
        WHERE tenant_id = t.tenant_id AND user_id = t.user_id AND outcome IS NULL
            AND NOT EXISTS (
                SELECT FROM members m
                WHERE m.session_id = rings.session_id AND m.user_id = rings.user_id
                    AND m.suppressed IS NOT NULL)
        OFFSET 0
    ) r CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM targets p WHERE {already} OFFSET 0) AS made OFFSET 0
    ) p
    WHERE {ringing} AND {best}
        AND r.deadline > clock_timestamp() AND r.session_id <> ALL(CAST(:aside AS uuid[]))
        AND NOT p.made
    ORDER BY r.session_id LIMIT :limit
"""
_TOKENS = """
    SELECT id, tenant_id, user_id, device_row, kind, app_id, retired_at, expires_at, rings
    FROM tokens WHERE """
_LATELY = "> statement_timestamp() - interval '200 seconds'"
_RING = {
    "ringing": ringing("t"),
    "best": best("t"),
    "already": rings_already("p", "t", "r.uuid", "r.session_id"),
}
# two statements: one that serves both would have a plan for neither
LATE_OF_ALL = text(
    LATE.format(
        **_RING,
        which=f"{_TOKENS} registered_at {_LATELY} UNION ALL {_TOKENS} turned_on_at {_LATELY}",
    )
)
LATE_OF_USER = text(
    LATE.format(
        **_RING, which=f"{_TOKENS} tenant_id = :tenant AND user_id = :user AND retired_at IS NULL"
    )
)


async def calls_with_late_devices(
    session: Connection, limit: int, aside: Sequence[UUID], user: tuple[UUID, str] | None = None
) -> list[UUID]:
    """Live calls whose ringing users (or this one) have a token that no push was made for."""
    values: dict[str, object] = {"limit": limit, "aside": list(aside)}
    if user is None:
        found = await many(session, LATE_OF_ALL, values)
    else:
        found = await many(session, LATE_OF_USER, values | {"tenant": user[0], "user": user[1]})
    return [row["session_id"] for row in found]
