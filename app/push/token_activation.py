"""Tokens that count once what was pushed to them has been posted back."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection, many, one
from app.push.tokens import User

NOT_ACTIVATED = text("""
    SELECT id, kind, app_id, token FROM tokens
    WHERE tenant_id = :tenant AND device_row IN (
        SELECT id FROM devices WHERE tenant_id = :tenant AND user_id = :user AND device_id = :device
    ) AND retired_reason = 'not_activated' ORDER BY id
""")
ACTIVATE = text("""
    UPDATE tokens t SET proven_at = coalesce(proven_at, clock_timestamp()),
        retired_at = NULL, retired_reason = NULL, registered_at = clock_timestamp(),
        version = version + 1
    WHERE id = :id AND tenant_id = :tenant AND retired_reason = 'not_activated'
        AND expires_at > clock_timestamp()
    RETURNING user_id
""")
ACTIVE = text("""
    SELECT user_id FROM tokens
    WHERE id = :id AND tenant_id = :tenant AND proven_at IS NOT NULL
""")


async def not_activated(session: Connection, user: User, device_id: str) -> list[dict[str, Any]]:
    """The tokens of a user's device, by the app's own id, that wait to be activated."""
    values = {"tenant": user[0], "user": user[1], "device": device_id}
    return await many(session, NOT_ACTIVATED, values)


async def activate(session: Connection, tenant_id: UUID, token: UUID) -> str | None:
    """Whoever it is for has got what was pushed to this token: it counts from now on.

    Whose it is; None when there is no such token any more. To do so again changes nothing.
    """
    values = {"tenant": tenant_id, "id": token}
    row = await one(session, ACTIVATE, values) or await one(session, ACTIVE, values)
    return None if row is None else str(row["user_id"])
