"""Users' preferences, blocks and handles: read and changed. Commits."""

from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from app.audit.log import Actor, record
from app.infra.anew import anew
from app.infra.db import Connection
from app.infra.errors import Conflict, Invalid, NotFound
from app.infra.fields import AT_REST
from app.infra.runtime import Runtime
from app.infra.unreadable import readable
from app.users import store
from app.users.schemas import HandlesIn, PreferencesIn

MOST_BLOCKS: Final = 1_000


async def preferences(runtime: Runtime, tenant_id: UUID, user_id: str) -> PreferencesIn:
    """What the user wants. Raises Unreadable."""
    async with runtime.database.autocommit() as session:
        stored = await store.preferences(session, tenant_id, user_id)
    rows = [stored or {}]
    read = partial(PreferencesIn.model_validate, context=AT_REST)
    key = f"{tenant_id}:{user_id}"
    return readable(rows, read, "preferences", lambda _: key, leave_out=False)[0]


async def set_preferences(
    runtime: Runtime, tenant_id: UUID, user_id: str, wanted: PreferencesIn, *, actor: Actor
) -> None:
    """Replace what the user wants: the next ring is decided by it."""
    stored = wanted.stored()
    detail = {"set": sorted(stored)}  # not whom they except: an erased user is named nowhere
    async with runtime.database.transaction() as session:
        await store.set_preferences(session, tenant_id, user_id, stored)
        await record(session, actor, tenant_id, "preferences.change", "user", detail, user=user_id)


async def blocks(runtime: Runtime, tenant_id: UUID, user_id: str) -> list[dict[str, Any]]:
    """Whom the user has blocked, and since when."""
    async with runtime.database.autocommit() as session:
        return await store.blocks(session, tenant_id, user_id)


async def block(
    runtime: Runtime, tenant_id: UUID, user_id: str, blocked: str, *, actor: Actor
) -> datetime:
    """Let `blocked` not ring the user any more; since when. Raises Invalid and Conflict."""
    if blocked == user_id:
        raise Invalid("own_block", "blocked_id: nobody can block themselves")
    async with runtime.database.transaction() as session:
        at = await store.block(session, tenant_id, user_id, blocked, MOST_BLOCKS)
        if at is None:
            raise Conflict("too_many_blocks", f"a user blocks {MOST_BLOCKS:,} others at most")
        await record(session, actor, tenant_id, "block.add", "user", user=user_id)
    return at


async def unblock(
    runtime: Runtime, tenant_id: UUID, user_id: str, blocked: str, *, actor: Actor
) -> None:
    """Let them ring the user again. Raises NotFound."""
    async with runtime.database.transaction() as session:
        if not await store.unblock(session, tenant_id, user_id, blocked):
            raise NotFound("block_not_found", "this user has not blocked that one")
        await record(session, actor, tenant_id, "block.remove", "user", user=user_id)


async def handles(runtime: Runtime, tenant_id: UUID, user_id: str) -> list[dict[str, Any]]:
    """By which handles a user may be rung, as they were given."""
    async with runtime.database.autocommit() as session:
        return await store.handles(session, tenant_id, user_id)


async def set_handles(
    runtime: Runtime, tenant_id: UUID, user_id: str, wanted: HandlesIn, *, actor: Actor
) -> None:
    """Replace a user's handles. Raises Conflict when one is another user's: nothing is changed."""
    given = [one.handle for one in wanted.handles]

    async def replace(session: Connection) -> None:
        if not await store.set_handles(session, tenant_id, user_id, given):
            owners = await store.whose(session, tenant_id, given)
            taken = next(n for n, one in enumerate(given) if owners.get(one, user_id) != user_id)
            raise Conflict("handle_taken", f"handles.{taken}: is another user's")
        detail = {"count": len(given)}
        await record(session, actor, tenant_id, "handles.change", "user", detail, user=user_id)

    await anew(runtime.database, replace)
