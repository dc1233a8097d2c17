"""Users and their devices: registering, listing, removing, erasing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.calls import erase as erasing
from app.calls import service as calls
from app.core.limits import Figures
from app.devices import store
from app.devices.schemas import DeviceIn, device_out
from app.events import store as events
from app.infra import bisection
from app.infra.bisection import Aside
from app.infra.db import Session, clock
from app.infra.errors import NotFound
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.push import store as pushes
from app.tenants.schemas import TenantSettings

SWEEP_BATCH = 1_000
ASIDE: Final = Aside[UUID]("expired tokens")


async def register(
    runtime: Runtime, tenant_id: UUID, settings: TenantSettings, user_id: str, request: DeviceIn
) -> dict[str, Any]:
    """Make or refresh a device with its tokens; answers the device.

    A token that another device has moves here at once, and what was not yet sent to its old owner
    is dropped. If the user is ringing, the device rings too.
    """
    device_id = request.device_id or str(uuid7())
    most = int((settings.figures.get("devices")) or Figures().devices)
    async with runtime.database.transaction() as session:
        await store.see_users(session, [(tenant_id, user_id)])
        await store.lock_user(session, tenant_id, user_id)
        now = await clock(session)
        device = await store.save_device(
            session,
            {
                "id": uuid7(),
                "tenant_id": tenant_id,
                "user_id": user_id,
                "device_id": device_id,
                "name": request.name,
                "platform": request.platform,
                "now": now,
            },
        )
        beyond = await store.devices_beyond(session, tenant_id, user_id, most)
        await _take_tokens(session, tenant_id, user_id, device["id"], request, beyond, now)
        answer = device_out((await store.devices_of(session, tenant_id, user_id, device_id))[0])
    await calls.ring_late_devices(runtime, (tenant_id, user_id))
    return answer


async def _take_tokens(
    session: Session,
    tenant_id: UUID,
    user_id: str,
    device: UUID,
    request: DeviceIn,
    beyond: list[UUID],
    now: datetime,
) -> None:
    """Give the device its tokens, and remove the user's oldest devices, those `beyond`.

    Pushes before tokens, and each of these in order of id, as workers do: nothing deadlocks.
    """
    tokens = [token.model_dump() for token in request.tokens]
    given_up = await store.tokens_given_up(session, tenant_id, user_id, device, tokens)
    holders = await store.devices_of_tokens(session, given_up) if given_up else []
    going = await store.tokens_of_devices(session, beyond) if beyond else []
    if given_up or going:
        gone = sorted({*given_up, *going})
        await pushes.drop_for_tokens(session, tenant_id, gone, "token_moved")
    await store.lock_tokens(session, tenant_id, tokens, [device, *beyond])
    if given_up:
        await store.forget_replaced(session, device, given_up, [token["token"] for token in tokens])
    await store.save_tokens(
        session,
        tenant_id=tenant_id,
        user_id=user_id,
        device=device,
        tokens=tokens,
        ids=[uuid7() for _ in tokens],
        now=now,
        expires=now + timedelta(seconds=request.expires_in),
    )
    if beyond:
        await store.delete_devices(session, beyond)
    if holders:
        await store.forget_empty_devices(session, [one for one in holders if one != device])


async def list_of(runtime: Runtime, tenant_id: UUID, user_id: str) -> list[dict[str, Any]]:
    """A user's devices, the newest first."""
    async with runtime.database.reading() as session:
        return [device_out(one) for one in await store.devices_of(session, tenant_id, user_id)]


async def remove(runtime: Runtime, tenant_id: UUID, user_id: str, device_id: str) -> None:
    """Remove a device with its tokens; what was not yet sent to it is dropped.

    Raises NotFound when the user has no such device.
    """
    async with runtime.database.transaction() as session:
        await store.lock_user(session, tenant_id, user_id)
        found = await store.devices_of(session, tenant_id, user_id, device_id)
        if not found:
            raise NotFound("device_not_found", "this user has no device of this id")
        device = found[0]["id"]
        tokens = await store.tokens_of_devices(session, [device])
        await pushes.drop_for_tokens(session, tenant_id, tokens, "device_removed")
        await store.lock_tokens(session, tenant_id, [], [device])
        await store.delete_devices(session, [device])


async def erase(runtime: Runtime, tenant_id: UUID, user_id: str) -> None:
    """Erase a user: devices, tokens and events go; past calls keep a tombstone in their place.

    Raises NotFound when there is no such user.
    """
    grave = f"erased~{uuid7().hex}"
    async with runtime.database.transaction() as session:
        applied = await calls.take_out(session, tenant_id, user_id)
        await erasing.erase_user(session, tenant_id, user_id, grave)
        await pushes.erase_user(session, tenant_id, user_id, grave)
        known = await store.erase_user(session, tenant_id, user_id)
        await events.erase_user(session, tenant_id, user_id, grave)
        if not known:
            raise NotFound("user_not_found", "there is no such user")
    calls.tell(runtime, applied)


async def sweep(runtime: Runtime) -> int:
    """Retire tokens past their expiry; answers how many it looked at."""

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.each() as session:
            return await store.expired_tokens(session, limit, aside)

    async def retire(ids: Sequence[UUID]) -> None:
        async with runtime.database.each() as session:
            await store.expire_tokens(session, ids)

    return await bisection.sweep(find, retire, ASIDE, SWEEP_BATCH)
