"""Erasing a user: out of live calls and of all rows; history keeps a tombstone."""

from uuid import UUID

from sqlalchemy import text

from app.calls.notify_after_commit import tell
from app.calls.service import take_out
from app.devices import store as devices
from app.events import store as events
from app.infra.db import Session
from app.infra.errors import NotFound
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.push import store as pushes

OF_USER = "(SELECT call_id FROM members WHERE tenant_id = :tenant AND user_id = :user)"
# calls, rings, members: the members' rows say which calls, so they come last
ERASE = tuple(
    statement.replace("(of_user)", OF_USER)
    for statement in (
        """UPDATE calls SET caller_name = NULL, custom = '{}', caller_id = :grave
        WHERE id IN (of_user) AND caller_id = :user""",
        """UPDATE idempotency SET answer = jsonb_set(
            jsonb_set(answer, '{caller,name}', 'null'), '{custom}', '{}')
        WHERE call_id IN (of_user) AND answer #>> '{caller,id}' = :user""",
        "UPDATE rings SET user_id = :grave WHERE call_id IN (of_user) AND user_id = :user",
        "UPDATE members SET user_id = :grave WHERE tenant_id = :tenant AND user_id = :user",
    )
)


async def erase(runtime: Runtime, tenant_id: UUID, user_id: str) -> None:
    """Erase a user: devices, tokens and events go; past calls keep a tombstone in their place.

    Raises NotFound when there is no such user.
    """
    grave = f"erased~{uuid7().hex}"
    async with runtime.database.transaction() as session:
        applied = await take_out(session, tenant_id, user_id)
        await _erase_from_calls(session, tenant_id, user_id, grave)
        await pushes.erase_user(session, tenant_id, user_id, grave)
        known = await devices.erase_user(session, tenant_id, user_id)
        await events.erase_user(session, tenant_id, user_id, grave)
        if not known:
            raise NotFound("user_not_found", "there is no such user")
    tell(runtime, applied)


async def _erase_from_calls(session: Session, tenant_id: UUID, user_id: str, grave: str) -> None:
    """Put a tombstone in the place of a user in the history of calls."""
    for statement in ERASE:
        clause = text(statement)
        values = {"tenant": tenant_id, "user": user_id, "grave": grave}
        await session.execute(clause, {name: values[name] for name in clause.compile().params})
