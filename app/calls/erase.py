"""Taking an erased user out of the history of calls."""

from uuid import UUID

from sqlalchemy import text

from app.infra.db import Session

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


async def erase_user(session: Session, tenant_id: UUID, user_id: str, grave: str) -> None:
    """Put a tombstone in the place of a user in the history of calls."""
    for statement in ERASE:
        clause = text(statement)
        values = {"tenant": tenant_id, "user": user_id, "grave": grave}
        await session.execute(clause, {name: values[name] for name in clause.compile().params})
