"""HTTP: devices and users."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.access import read_activation_token
from app.api.models import says
from app.api.models.devices import (
    DeviceOut,
    DevicesOut,
    RegisteredOut,
    RevokedOut,
    UserTokenOut,
    VapidKeyOut,
)
from app.calls import erase as erasing
from app.calls import registration
from app.core.event import rfc3339
from app.credentials import vapid
from app.devices import service
from app.devices.schemas import ActivateIn, DeviceChangeIn, DeviceIn, UnregisterIn, UserTokenIn
from app.http.acting import actor_of, runtime_of
from app.http.auth import server, server_or_user
from app.http.encoded_slashes import segment
from app.infra import clock
from app.infra.fields import AppId, DeviceId, UserId
from app.tenants import rate_limits, revocations
from app.tenants import service as tenants
from app.tenants.caller import Caller, require_scope
from app.tenants.scopes import minted_scopes

router = APIRouter(prefix="/v1", tags=["devices"])
ServerOrUser = Annotated[Caller, Depends(server_or_user)]
Server = Annotated[Caller, Depends(server)]


@router.post("/devices", **says("register_device", RegisteredOut))
async def register(body: DeviceIn, request: Request, caller: ServerOrUser) -> dict[str, Any]:
    """Register a device with its tokens, or refresh it. Doing so again changes only the expiry."""
    require_scope(caller, "devices")
    user_id = caller.acting_for(body.user_id)
    rate_limits.register(request.app.state.rate_limiter, caller, user_id)
    runtime = runtime_of(request)
    return await registration.register(runtime, caller.tenant_id, caller.settings, user_id, body)


@router.get("/devices", **says("list_devices", DevicesOut))
async def list_devices(
    request: Request, caller: ServerOrUser, user_id: UserId | None = None
) -> dict[str, Any]:
    """A user's devices, the newest first; of each token the last four digits."""
    require_scope(caller, "devices")
    user = caller.acting_for(user_id)
    runtime = runtime_of(request)
    return {"devices": await service.list_of(runtime, caller.tenant_id, user)}


@router.post("/devices/unregister", status_code=204, operation_id="unregister_device")
async def unregister(body: UnregisterIn, request: Request, caller: ServerOrUser) -> Response:
    """Remove the device that holds a push token, with all its tokens: it will not ring again.

    For apps that know only their token when a person signs out. A token never stands in a URL.
    """
    require_scope(caller, "devices")
    user = caller.acting_for(body.user_id)
    runtime = runtime_of(request)
    actor = actor_of(request, caller)
    await registration.unregister(runtime, caller.tenant_id, user, body.token, actor=actor)
    return Response(status_code=204)


@router.get("/web-push/key", **says("read_web_push_key", VapidKeyOut))
async def web_push_key(request: Request, caller: ServerOrUser, app_id: AppId) -> dict[str, Any]:
    """With which public VAPID key the browsers of a web app subscribe."""
    require_scope(caller, "devices")
    key = await vapid.public_key(runtime_of(request), caller.tenant_id, app_id)
    return {"app_id": app_id, "public_key": key}


@router.post("/devices/activate", status_code=204, operation_id="activate_subscription")
async def activate(body: ActivateIn, request: Request) -> Response:
    """Show that pushes to a subscription arrive: the activation push brought this token.

    The token is all that is needed, since a service worker has no login. From then on the
    subscription is rung; if its user is being rung, it rings at once.
    """
    runtime = runtime_of(request)
    said = read_activation_token(runtime.keyring, body.token, clock.unix())
    await registration.activate(runtime, said)
    return Response(status_code=204)


@router.patch(f"/devices/{segment('device_id')}", **says("change_device", DeviceOut))
async def change(
    device_id: DeviceId, body: DeviceChangeIn, request: Request, caller: ServerOrUser
) -> dict[str, Any]:
    """Turn ringing of a device off, or on again, from the next ring on.

    A device that is off gets no rings and no notifications; it may answer, and its streams go on.
    Registering again, or a new token, leaves it off.
    """
    require_scope(caller, "devices")
    user = caller.acting_for(body.user_id)
    return await registration.set_rings(
        runtime_of(request),
        caller.tenant_id,
        user,
        device_id,
        rings=body.rings,
        actor=actor_of(request, caller),
    )


@router.delete(f"/devices/{segment('device_id')}", status_code=204, operation_id="remove_device")
async def remove(
    device_id: DeviceId, request: Request, caller: ServerOrUser, user_id: UserId | None = None
) -> Response:
    """Remove a device with its tokens: it will not ring again."""
    require_scope(caller, "devices")
    user = caller.acting_for(user_id)
    runtime = runtime_of(request)
    actor = actor_of(request, caller)
    await registration.remove(runtime, caller.tenant_id, user, device_id, actor=actor)
    return Response(status_code=204)


@router.delete(f"/users/{segment('user_id')}", status_code=204, operation_id="erase_user")
async def erase(user_id: UserId, request: Request, caller: ServerOrUser) -> Response:
    """Erase a user: devices, tokens and events; past calls keep a tombstone in their place."""
    require_scope(caller, "users")
    user = caller.acting_for(user_id)
    runtime = runtime_of(request)
    await erasing.erase(runtime, caller.tenant_id, user, actor=actor_of(request, caller))
    request.app.state.gate.forget()
    return Response(status_code=204)


@router.post(
    f"/users/{segment('user_id')}/tokens",
    status_code=201,
    **says("create_user_token", UserTokenOut),
)
async def make_user_token(
    user_id: UserId, request: Request, caller: Server, body: UserTokenIn | None = None
) -> dict[str, Any]:
    """A user token for this user's app, signed by Ringline with the tenant's secret."""
    require_scope(caller, "users")
    runtime = runtime_of(request)
    wanted = body or UserTokenIn()
    actor = actor_of(request, caller)
    token, expires = await tenants.user_token(
        runtime,
        caller.tenant_id,
        user_id,
        wanted.expires_in,
        scopes=minted_scopes(caller.scopes, wanted.scopes),
        actor=actor,
    )
    return {"token": token, "expires_at": rfc3339(expires)}


@router.post(f"/users/{segment('user_id')}/revoke", **says("revoke_user_tokens", RevokedOut))
async def revoke_tokens(user_id: UserId, request: Request, caller: Server) -> dict[str, Any]:
    """Revoke every token of this user issued by now: user, call and member tokens.

    Within two seconds no process takes them, and streams opened with them have ended. A token
    whose `iat` is in this very second is dead too, as is one without `iat`; later ones are good.
    """
    require_scope(caller, "users")
    runtime = runtime_of(request)
    actor = actor_of(request, caller)
    at = await revocations.revoke(runtime, caller.tenant_id, user_id, actor=actor)
    request.app.state.gate.revoked(caller.tenant_id, user_id, at.timestamp())
    return {"user_id": user_id, "revoked_at": rfc3339(at)}
