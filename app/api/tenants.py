"""HTTP: a tenant's own settings."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from app.http.acting import actor_of, runtime_of
from app.http.auth import server
from app.tenants import service
from app.tenants.caller import Caller, require_scope
from app.tenants.schemas import TenantSettings

router = APIRouter(prefix="/v1/settings", tags=["settings"])
Server = Annotated[Caller, Depends(server)]


@router.get("", operation_id="read_settings", response_model=TenantSettings)
async def read(request: Request, caller: Server) -> dict[str, Any]:
    """The tenant's settings, those that have their default included."""
    require_scope(caller, "settings")
    runtime = runtime_of(request)
    return (await service.settings_of(runtime, caller.tenant_id)).model_dump()


@router.put("", operation_id="replace_settings", response_model=TenantSettings)
async def change(body: TenantSettings, request: Request, caller: Server) -> dict[str, Any]:
    """Replace the settings; what is not named has its default. In force within a second.

    Calls that live keep the limits they began with.
    """
    require_scope(caller, "settings")
    runtime = runtime_of(request)
    actor = actor_of(request, caller)
    changed = await service.change_settings(runtime, caller.tenant_id, body, actor=actor)
    return changed.model_dump()
