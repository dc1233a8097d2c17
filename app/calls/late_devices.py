"""Calls whose ringing users have registered a device since: it is to be rung too."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection, many

LATE = """
    SELECT DISTINCT r.session_id FROM tokens t
    JOIN rings r ON r.tenant_id = t.tenant_id AND r.user_id = t.user_id AND r.outcome IS NULL
    WHERE r.deadline > clock_timestamp() AND {which}
        AND r.session_id <> ALL(CAST(:aside AS uuid[]))
        AND t.kind = 'voip' AND t.retired_at IS NULL AND t.expires_at > clock_timestamp()
        AND NOT EXISTS (
            SELECT FROM pushes p
            WHERE p.ring = r.uuid AND p.token_id = t.id AND p.purpose = 'ring')
    ORDER BY r.session_id LIMIT :limit
"""
# two statements: one that serves both would have a plan for neither
LATE_OF_ALL = text(
    LATE.format(which="t.registered_at > statement_timestamp() - interval '200 seconds'")
)
LATE_OF_USER = text(LATE.format(which="t.tenant_id = :tenant AND t.user_id = :user"))


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
