"""An administrator's own sessions: where they are signed in, and ending that. Commits."""

from typing import Any

from app.audit.log import Actor
from app.dashboard import store_factors
from app.dashboard.admins import IDLE_SESSION, LONGEST_SESSION, Visitor, note
from app.infra import vault
from app.infra.errors import NotFound
from app.infra.runtime import Runtime

OTHERS = "others"


async def every(runtime: Runtime, visitor: Visitor, cookie: str) -> list[dict[str, Any]]:
    """A visitor's sessions that are good, the one used last first; `here`: the one of this cookie.

    `id` is what it is ended by: the digest of its cookie, which opens nothing.
    """
    async with runtime.database.autocommit() as session:
        rows = await store_factors.sessions(
            session, visitor.id, longest=LONGEST_SESSION, idle=IDLE_SESSION
        )
    here = vault.digest(cookie)
    return [row | {"id": row["digest"].hex(), "here": row["digest"] == here} for row in rows]


async def end(runtime: Runtime, visitor: Visitor, which: str, cookie: str, *, actor: Actor) -> None:
    """End one of a visitor's sessions, or (`others`) all but the one of this cookie.

    Raises NotFound for one that is not theirs.
    """
    async with runtime.database.transaction() as session:
        if which == OTHERS:
            ended = await store_factors.end_others(session, visitor.id, vault.digest(cookie))
        else:
            try:
                ended = await store_factors.end_one(session, visitor.id, bytes.fromhex(which))
            except ValueError:
                ended = False
            if not ended:
                raise NotFound("session_not_found", "There is no such session.")
        await note(session, actor, "admin.session_end", visitor.email, sessions=int(ended))
