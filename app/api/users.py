"""HTTP: what users want of rings, whom they have blocked, by which handles they are rung."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.api.models import says
from app.api.models.users import BlockOut, BlocksOut, HandlesOut
from app.core.event import rfc3339
from app.http.acting import actor_of, runtime_of
from app.http.auth import server_or_user
from app.http.encoded_slashes import segment
from app.infra.errors import Forbidden
from app.infra.fields import UserId
from app.tenants.caller import Caller, require_scope
from app.users import service
from app.users.schemas import HandlesIn, PreferencesIn

router = APIRouter(prefix=f"/v1/users/{segment('user_id')}", tags=["users"])
ServerOrUser = Annotated[Caller, Depends(server_or_user)]


@router.get("/preferences", **says("read_preferences", PreferencesIn))
async def preferences(user_id: UserId, request: Request, caller: ServerOrUser) -> PreferencesIn:
    """What a user wants of rings; by a key, or by the user's own token."""
    user = _whose(caller, user_id)
    return await service.preferences(runtime_of(request), caller.tenant_id, user)


@router.put("/preferences", **says("replace_preferences", PreferencesIn))
async def set_preferences(
    user_id: UserId, body: PreferencesIn, request: Request, caller: ServerOrUser
) -> PreferencesIn:
    """Replace what a user wants of rings; what is absent wants nothing. The next ring obeys it.

    A ring that it stops is not pushed, and told to nobody of the user's; to the caller it rings
    until its time is over.
    """
    user = _whose(caller, user_id)
    actor = actor_of(request, caller)
    await service.set_preferences(runtime_of(request), caller.tenant_id, user, body, actor=actor)
    return body


@router.get("/blocks", **says("list_blocks", BlocksOut))
async def blocks(user_id: UserId, request: Request, caller: ServerOrUser) -> dict[str, Any]:
    """Whom a user has blocked, by id; at most 1,000."""
    user = _whose(caller, user_id)
    rows = await service.blocks(runtime_of(request), caller.tenant_id, user)
    return {
        "blocks": [
            {"user_id": row["blocked_id"], "blocked_at": rfc3339(row["created_at"])} for row in rows
        ]
    }


@router.put(f"/blocks/{segment('blocked_id')}", **says("block_user", BlockOut))
async def block(
    user_id: UserId, blocked_id: UserId, request: Request, caller: ServerOrUser
) -> dict[str, Any]:
    """Block another user: their rings reach nobody of this user's, and they are not told so."""
    user = _whose(caller, user_id)
    actor = actor_of(request, caller)
    at = await service.block(runtime_of(request), caller.tenant_id, user, blocked_id, actor=actor)
    return {"user_id": blocked_id, "blocked_at": rfc3339(at)}


@router.delete(f"/blocks/{segment('blocked_id')}", status_code=204, operation_id="unblock_user")
async def unblock(
    user_id: UserId, blocked_id: UserId, request: Request, caller: ServerOrUser
) -> Response:
    """Take a block back."""
    user = _whose(caller, user_id)
    actor = actor_of(request, caller)
    await service.unblock(runtime_of(request), caller.tenant_id, user, blocked_id, actor=actor)
    return Response(status_code=204)


@router.get("/handles", **says("list_handles", HandlesOut))
async def handles(user_id: UserId, request: Request, caller: ServerOrUser) -> dict[str, Any]:
    """By which handles a user may be rung, as they were given."""
    user = _whose(caller, user_id)
    found = await service.handles(runtime_of(request), caller.tenant_id, user)
    return {"handles": found}


@router.put("/handles", **says("replace_handles", HandlesOut))
async def set_handles(
    user_id: UserId, body: HandlesIn, request: Request, caller: ServerOrUser
) -> dict[str, Any]:
    """Replace a user's handles: `POST /v1/calls` may name who is rung by them.

    Of one kind a handle is one user's: 409 `handle_taken`, and nothing is changed. By the user's
    own token where the setting `users_may_set_handles` is on.
    """
    user = _whose(caller, user_id)
    if caller.kind == "user" and not caller.settings.users_may_set_handles:
        raise Forbidden(
            "handles_not_allowed",
            "users may not set handles: use an API key, or set users_may_set_handles",
        )
    actor = actor_of(request, caller)
    await service.set_handles(runtime_of(request), caller.tenant_id, user, body, actor=actor)
    return {"handles": await service.handles(runtime_of(request), caller.tenant_id, user)}


def _whose(caller: Caller, user_id: str) -> str:
    require_scope(caller, "calls" if caller.kind == "user" else "users")
    return caller.acting_for(user_id)
