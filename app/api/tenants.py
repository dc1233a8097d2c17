"""HTTP: a tenant's own settings."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from app.api.models import Moment, Out, maybe_time, says
from app.core.event import rfc3339
from app.http.acting import actor_of, runtime_of
from app.http.auth import server
from app.infra.fields import Flag
from app.infra.fields import Request as Body
from app.tenants import service
from app.tenants.caller import Caller, require_scope
from app.tenants.schemas import TenantSettings

router = APIRouter(prefix="/v1/settings", tags=["settings"])
Server = Annotated[Caller, Depends(server)]


@router.get("", operation_id="read_settings", response_model=TenantSettings)
async def read(request: Request, caller: Server) -> dict[str, Any]:
    """The tenant's settings, those that have their default included."""
    require_scope(caller, "settings")
    return (await service.settings_of(runtime_of(request), caller.tenant_id)).model_dump()


@router.put("", operation_id="replace_settings", response_model=TenantSettings)
async def change(body: TenantSettings, request: Request, caller: Server) -> dict[str, Any]:
    """Replace the settings; what is not named has its default. In force within a second.

    Calls that live keep the limits they began with.
    """
    require_scope(caller, "settings")
    runtime = runtime_of(request)
    actor = actor_of(request, caller)
    changed = await service.change_settings(runtime, caller.tenant_id, body, actor=actor)
    request.app.state.gate.settings_changed(caller.tenant_id)
    return changed.model_dump()


class RingingIn(Body):
    """The emergency switch."""

    stopped: Flag = Field(description="true: no new ring begins, until it is false again")


class RingingOut(Out):
    """How the emergency switch stands."""

    stopped_at: Moment | None = maybe_time("since when no new ring begins; null: all ring")


@router.get("/ringing", **says("read_ringing", RingingOut))
async def read_ringing(request: Request, caller: Server) -> dict[str, Any]:
    """Whether all new ringing is stopped."""
    require_scope(caller, "settings")
    return _ringing(await service.ringing_stopped_at(runtime_of(request), caller.tenant_id))


@router.put("/ringing", **says("switch_ringing", RingingOut))
async def switch_ringing(body: RingingIn, request: Request, caller: Server) -> dict[str, Any]:
    """Stop all new ringing at once, or let it go on. Calls that live are not touched."""
    require_scope(caller, "settings")
    actor = actor_of(request, caller)
    at = await service.stop_ringing(
        runtime_of(request), caller.tenant_id, stopped=body.stopped, actor=actor
    )
    return _ringing(at)


def _ringing(at: datetime | None) -> dict[str, Any]:
    return {"stopped_at": rfc3339(at) if at else None}
