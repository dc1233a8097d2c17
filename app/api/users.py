"""HTTP: what users want of rings, and whom they have blocked."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.api.models import says
from app.api.models.users import BlockOut, BlocksOut
from app.core.event import rfc3339
from app.http.acting import actor_of, runtime_of
from app.http.auth import server_or_user
from app.http.encoded_slashes import segment
from app.infra.fields import UserId
from app.tenants.caller import Caller, require_scope
from app.users import service
from app.users.schemas import PreferencesIn

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


def _whose(caller: Caller, user_id: str) -> str:
    require_scope(caller, "calls" if caller.kind == "user" else "users")
    return caller.acting_for(user_id)
