"""Devices of users: registering, listing and removing.

What a registration or a removal means for calls is not decided here: each returns a DeviceChange,
which `app.calls.registration` applies in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from app.core.frozen import frozen
from app.core.language import language_tag
from app.core.limits import CallLimits
from app.core.push import PushReason
from app.devices import store
from app.devices.schemas import DeviceIn, device_out
from app.infra import bisection
from app.infra.bisection import Aside
from app.infra.db import Connection, Row, clock
from app.infra.errors import NotFound
from app.infra.ids import uuid7
from app.infra.push_hints import PushHint
from app.infra.runtime import Runtime
from app.infra.unreadable import readable
from app.push import store as pushes
from app.push import tokens as push_tokens
from app.tenants.schemas import TenantSettings

SWEEP_BATCH = 1_000
REMOVED_KEPT = 900.0
"""Seconds: more than a ring can last and its call token outlives it (180 and 300)."""

ASIDE: Final = Aside[UUID]("expired tokens")


@frozen
class DeviceChange:
    """What a registration or removal did. `device` as clients read it, None when it is gone.

    `moved`: tokens that this device took from others or has replaced; `evicted`: devices (rows) of
    the user that were beyond the limit; `removed`: the device (row) that was taken out; `stopped`:
    rings that have a stop to be sent, to devices that have rung and are no more the user's.
    """

    device: dict[str, Any] | None = None
    moved: tuple[UUID, ...] = ()
    evicted: tuple[UUID, ...] = ()
    removed: UUID | None = None
    stopped: tuple[PushHint, ...] = ()


async def register(
    session: Connection, tenant_id: UUID, settings: TenantSettings, user_id: str, request: DeviceIn
) -> DeviceChange:
    """Make or refresh a device with its tokens.

    A token that another device has moves here at once, and what was not yet sent to its old owner
    is dropped.
    """
    device_id = request.device_id or str(uuid7())
    most = int((settings.limits.get("devices")) or CallLimits().devices)
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
            "locale": language_tag(request.locale or ""),
            "report": request.report and request.report.model_dump_json(exclude_none=True),
            "now": now,
        },
    )
    beyond = await store.devices_beyond(session, tenant_id, user_id, most)
    moved, stopped = await _take_tokens(session, tenant_id, user_id, device, request, beyond, now)
    found = (await store.devices_of(session, tenant_id, user_id, device_id))[0]
    return DeviceChange(device_out(found), tuple(moved), tuple(beyond), stopped=tuple(stopped))


async def _take_tokens(
    session: Connection,
    tenant_id: UUID,
    user_id: str,
    known: Row,
    request: DeviceIn,
    beyond: list[UUID],
    now: datetime,
) -> tuple[list[UUID], list[PushHint]]:
    """Give the device its tokens, and remove the user's oldest devices, those `beyond`.

    Returns the tokens that others gave up, and hints of what stops on what goes.

    Pushes before tokens, and each of these in order of id, as workers do: nothing deadlocks.
    """
    device, rings = known["id"], known["rings"]
    tokens = [token.stored() for token in request.tokens]
    given_up = await push_tokens.tokens_given_up(session, tenant_id, user_id, device, tokens)
    holders = await push_tokens.devices_of_tokens(session, given_up) if given_up else []
    going = await push_tokens.tokens_of_devices(session, beyond) if beyond else []
    stopped: list[PushHint] = []
    if given_up or going:
        owners = await push_tokens.owners_of(session, given_up)
        # who keeps the phone keeps its ring: a token replaced, or the app installed anew
        lost = [one["id"] for one in owners if one["user_id"] != user_id]
        users = sorted({user_id, *(one["user_id"] for one in owners)})
        stopped = await pushes.stop_ending(session, tenant_id, users, beyond, lost, now)
        if known["created_at"] == now and _was_off(owners, user_id):
            rings = False
            await store.set_rings(session, device, rings=rings)
        gone = sorted({*given_up, *going})
        await pushes.drop_for_tokens(session, tenant_id, gone, PushReason.TOKEN_MOVED)
    await push_tokens.lock_tokens(session, tenant_id, tokens, [device, *beyond], given_up)
    if given_up:
        await push_tokens.forget_replaced(session, given_up, [token["token"] for token in tokens])
    await push_tokens.save_tokens(
        session,
        tenant_id=tenant_id,
        user_id=user_id,
        device=device,
        tokens=tokens,
        ids=[uuid7() for _ in tokens],
        now=now,
        expires=now + timedelta(seconds=request.expires_in),
        rings=rings,
    )
    if beyond:
        await store.delete_devices(session, beyond)
    if holders:
        await store.forget_empty_devices(session, [one for one in holders if one != device])
    return given_up, stopped


def _was_off(given_up: Sequence[Row], user_id: str) -> bool:
    """Whether a new device goes on from one of this user that was off: it took its token.

    So does an app that keeps no `device_id`, each time that it registers.
    """
    return any(one["user_id"] == user_id and not one["rings"] for one in given_up)


async def holding(session: Connection, tenant_id: UUID, user_id: str, token: str) -> list[str]:
    """The `device_id` of each of a user's devices that holds this token."""
    known = await store.devices_of(session, tenant_id, user_id)
    found = await push_tokens.devices_holding(session, [one["id"] for one in known], token)
    return [one["device_id"] for one in known if one["id"] in found]


async def list_of(runtime: Runtime, tenant_id: UUID, user_id: str) -> list[dict[str, Any]]:
    """A user's devices that can be read, the newest first."""
    async with runtime.database.autocommit() as session:
        found = await store.devices_of(session, tenant_id, user_id)
    return readable(found, device_out, "device", itemgetter("id"))


async def remove(
    session: Connection, tenant_id: UUID, user_id: str, device_id: str
) -> DeviceChange:
    """Remove a device with its tokens; what was not yet sent to it is dropped.

    Raises NotFound when the user has no such device.
    """
    device = (await _held(session, tenant_id, user_id, device_id))["id"]
    tokens = await push_tokens.tokens_of_devices(session, [device])
    now = await clock(session)
    stopped = await pushes.stop_ending(session, tenant_id, [user_id], [device], [], now)
    await pushes.drop_for_tokens(session, tenant_id, tokens, PushReason.DEVICE_REMOVED)
    await push_tokens.lock_tokens(session, tenant_id, [], [device])
    await store.delete_devices(session, [device])
    return DeviceChange(removed=device, stopped=tuple(stopped))


async def set_rings(
    session: Connection, tenant_id: UUID, user_id: str, device_id: str, *, rings: bool
) -> tuple[UUID, dict[str, Any]]:
    """Turn ringing of a device off or on, from the next ring on; its row, and it as clients read.

    Raises NotFound when the user has no such device.
    """
    known = await _held(session, tenant_id, user_id, device_id)
    device = known["id"]
    await store.set_rings(session, device, rings=rings)
    await push_tokens.lock_tokens(session, tenant_id, [], [device])
    await push_tokens.set_rings(session, device, rings=rings)
    return device, device_out(known | {"rings": rings})


async def _held(
    session: Connection, tenant_id: UUID, user_id: str, device_id: str
) -> dict[str, Any]:
    """A device, its user held. Raises NotFound when the user has no such device."""
    await store.lock_user(session, tenant_id, user_id)
    found = await store.devices_of(session, tenant_id, user_id, device_id)
    if not found:
        raise NotFound("device_not_found", "this user has no device of this id")
    return found[0]


async def sweep(runtime: Runtime) -> int:
    """Retire tokens past their expiry; returns how many it looked at.

    And forget removed devices of which no call token is good any more.
    """

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.autocommit() as session:
            return await push_tokens.expired_tokens(session, limit, aside)

    async def retire(ids: Sequence[UUID]) -> None:
        async with runtime.database.autocommit() as session:
            await push_tokens.expire_tokens(session, ids)

    async with runtime.database.autocommit() as session:
        await store.forget_removed(session, REMOVED_KEPT)
    return await bisection.sweep(find, retire, ASIDE, SWEEP_BATCH)
