"""The one door for registering and removing devices: the device, and what it means for calls."""

from functools import partial
from typing import Any
from uuid import UUID

from app import senders
from app.access import ActivationToken
from app.audit.log import SERVER, Actor, record
from app.calls.apply import Applied
from app.calls.notify_after_commit import notify_after_commit
from app.calls.service import ring_late_devices
from app.credentials import store as credentials
from app.devices import activation, advice
from app.devices import service as devices
from app.devices.schemas import DeviceIn
from app.infra.anew import anew
from app.infra.db import Connection
from app.infra.errors import NotFound
from app.infra.runtime import Runtime
from app.push import token_activation
from app.tenants.schemas import TenantSettings


async def register(
    runtime: Runtime, tenant_id: UUID, settings: TenantSettings, user_id: str, request: DeviceIn
) -> dict[str, Any]:
    """Make or refresh a device with its tokens; returns the device as clients read it,
    with `warnings` of what is not as it was meant.

    If the user is ringing, the device rings too. Devices that are no more the user's and ring stop.
    A subscription is sent its activation push, which takes up to 5 s. Raises Invalid for one whose
    VAPID key is not in use.
    """
    request = await activation.with_keys(runtime, tenant_id, request)
    change = await anew(
        runtime.database,
        partial(
            devices.register,
            tenant_id=tenant_id,
            settings=settings,
            user_id=user_id,
            request=request,
        ),
    )
    notify_after_commit(runtime, Applied(hints=list(change.stopped)))
    await ring_late_devices(runtime, (tenant_id, user_id))
    assert change.device is not None
    async with runtime.database.autocommit() as session:
        ringable = await credentials.ringable_apps(session, tenant_id)
    warnings = advice.warnings(change.device["tokens"], ringable)
    warnings += advice.of_locale(request.locale)
    if any(token.kind in senders.ACTIVATED_KINDS for token in request.tokens):
        warnings += await activation.send(runtime, tenant_id, user_id, change.device)
    return change.device | {"warnings": warnings}


async def activate(runtime: Runtime, said: ActivationToken) -> None:
    """A token's pushes arrive: it counts from now on, and if its user is ringing it rings too.

    Raises NotFound when there is no such token any more.
    """
    user = await anew(
        runtime.database,
        partial(token_activation.activate, tenant_id=said.tenant_id, token=said.token_row),
    )
    if user is None:
        raise NotFound(
            "subscription_not_found", "this subscription is not registered any more: register it"
        )
    await ring_late_devices(runtime, (said.tenant_id, user))


async def remove(
    runtime: Runtime, tenant_id: UUID, user_id: str, device_id: str, *, actor: Actor = SERVER
) -> None:
    """Remove a device with its tokens; what was not yet sent to it is dropped, what rings stops.

    Raises NotFound when the user has no such device.
    """

    async def take_out(session: Connection) -> devices.DeviceChange:
        change = await devices.remove(session, tenant_id, user_id, device_id)
        detail = {"device": str(change.removed)}
        await record(session, actor, tenant_id, "device.remove", "user", detail, user=user_id)
        return change

    change = await anew(runtime.database, take_out)
    notify_after_commit(runtime, Applied(hints=list(change.stopped)))


async def set_rings(
    runtime: Runtime,
    tenant_id: UUID,
    user_id: str,
    device_id: str,
    *,
    rings: bool,
    actor: Actor = SERVER,
) -> dict[str, Any]:
    """Turn ringing of a device off, or on again; returns the device as clients read it.

    What rings on it goes on; turned on while its user is rung elsewhere it rings too. Raises
    NotFound when the user has no such device.
    """

    async def turn(session: Connection) -> dict[str, Any]:
        row, device = await devices.set_rings(session, tenant_id, user_id, device_id, rings=rings)
        detail = {"device": str(row), "rings": rings}
        await record(session, actor, tenant_id, "device.change", "user", detail, user=user_id)
        return device

    device = await anew(runtime.database, turn)
    if rings:
        await ring_late_devices(runtime, (tenant_id, user_id))
    return device


async def unregister(
    runtime: Runtime, tenant_id: UUID, user_id: str, token: str, *, actor: Actor = SERVER
) -> None:
    """Remove the device that holds this token: for an app that knows nothing else of itself.

    Raises NotFound when no device of this user holds it.
    """
    async with runtime.database.autocommit() as session:
        holders = await devices.holding(session, tenant_id, user_id, token)
    if not holders:
        raise NotFound("device_not_found", "no device of this user holds this token")
    for device_id in holders:
        await remove(runtime, tenant_id, user_id, device_id, actor=actor)
