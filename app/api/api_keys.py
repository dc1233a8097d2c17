"""HTTP: a tenant's API keys, read and revoked (an API key with the scope `secrets`)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.models import MANY, Name, Word
from app.http.acting import actor_of, runtime_of
from app.http.auth import server_with
from app.infra.fields import FlagText, RowId
from app.tenants import api_keys as service
from app.tenants.caller import Caller

router = APIRouter(prefix="/v1/api-keys", tags=["settings"])
MOST = 1_000


Admin = Annotated[Caller, Depends(server_with("secrets"))]


class ApiKeyOut(BaseModel):
    """What may be shown of an API key."""

    id: UUID = Field(description="by which it is revoked")
    name: Name = Field(description="what it is for")
    hint: Word = Field(description="its last four characters")
    scopes: Annotated[list[Word], MANY] = Field(description="what it may do; `*` is everything")
    created_at: datetime = Field(description="when it was made")
    last_used_at: datetime | None = Field(description="when it was last seen, to the minute")
    revoked_at: datetime | None = Field(description="null while it is live")


class ApiKeysOut(BaseModel):
    """A tenant's API keys, live ones first, the newest first."""

    api_keys: Annotated[list[ApiKeyOut], MANY] = Field(description="1,000 at most")


@router.get("", operation_id="list_api_keys")
async def every(request: Request, caller: Admin) -> ApiKeysOut:
    """The tenant's API keys, without the keys. New ones are made by an administrator alone."""
    rows = await service.every(runtime_of(request), caller.tenant_id)
    return ApiKeysOut(api_keys=[ApiKeyOut(**row) for row in rows[:MOST]])


@router.delete("/{key_id}", status_code=204, operation_id="revoke_api_key")
async def revoke(
    request: Request,
    caller: Admin,
    key_id: RowId,
    confirm: Annotated[
        FlagText,
        Query(description="revoke it although it is the only one: the backend is refused then"),
    ] = False,
) -> Response:
    """Revoke an API key, also the one that asks: within a second it is good for nothing."""
    runtime, actor = runtime_of(request), actor_of(request, caller)
    await service.revoke(runtime, caller.tenant_id, key_id, confirm=confirm, actor=actor)
    request.app.state.gate.settings_changed(caller.tenant_id)
    return Response(status_code=204)
