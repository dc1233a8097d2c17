"""Rows of users and devices."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.infra.arrays import of_users
from app.infra.db import Connection, Row, many, one
from app.infra.statements import answer, planned_once
from app.push import tokens
from app.push.tokens import User

SEE_USERS = text("""
    INSERT INTO users (tenant_id, id)
    SELECT DISTINCT t, u
    FROM unnest(
        (SELECT CAST(CAST(:seen_tenants AS text) AS uuid[])),
        (SELECT CAST(CAST(:seen_users AS text) AS text[]))) AS w(t, u)
    ORDER BY t, u
    ON CONFLICT DO NOTHING
""")


async def see_users(session: Connection, users: Iterable[User]) -> None:
    """Make the rows of users seen for the first time, in order of their keys."""
    await answer(session, SEE_USERS, seen(set(users)))


def seen(users: Collection[User]) -> dict[str, str]:
    """What SEE_USERS wants to know of these."""
    tenants, ids = of_users(sorted(users))
    return {"seen_tenants": tenants, "seen_users": ids}


LOCK_USER = text("""
    SELECT id FROM users WHERE tenant_id = :tenant AND id = :user FOR NO KEY UPDATE
""")


async def lock_user(session: Connection, tenant_id: UUID, user_id: str) -> None:
    """Hold the user's row: registrations of one user follow each other."""
    await session.execute(LOCK_USER, {"tenant": tenant_id, "user": user_id})


LOCK_USERS = planned_once("""
    SELECT u.id FROM users u
    JOIN unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, id)
        USING (tenant_id, id)
    ORDER BY u.tenant_id, u.id FOR NO KEY UPDATE OF u
""")


async def lock_users(session: Connection, users: Sequence[User]) -> None:
    """Hold these users' rows, in order of their keys: before any call is held."""
    values = {"tenants": [user[0] for user in users], "users": [user[1] for user in users]}
    await session.execute(LOCK_USERS, values)


SAVE_DEVICE = text("""
    INSERT INTO devices (id, tenant_id, user_id, device_id, name, platform, locale, report,
                         created_at, registered_at)
    VALUES (:id, :tenant_id, :user_id, :device_id, :name, :platform, :locale,
            coalesce(CAST(:report AS jsonb), '{}'), :now, :now)
    ON CONFLICT (tenant_id, user_id, device_id) DO UPDATE SET
        name = coalesce(excluded.name, devices.name),
        platform = coalesce(excluded.platform, devices.platform),
        locale = coalesce(excluded.locale, devices.locale),
        report = coalesce(CAST(:report AS jsonb), devices.report),
        registered_at = excluded.registered_at
    RETURNING id, created_at, registered_at, name, platform, rings
""")


async def save_device(session: Connection, values: Row) -> dict[str, Any]:
    """Make or refresh a device; the answer is its row."""
    row = await one(session, SAVE_DEVICE, values)
    assert row is not None
    return row


SET_RINGS = text("""
    UPDATE devices SET rings = :rings WHERE id = :id
""")


async def set_rings(session: Connection, device: UUID, *, rings: bool) -> None:
    """Whether a device is rung; its tokens are told by `push.tokens.set_rings`."""
    await session.execute(SET_RINGS, {"id": device, "rings": rings})


OLDEST_BEYOND = text("""
    SELECT id FROM devices WHERE tenant_id = :tenant AND user_id = :user
    ORDER BY registered_at DESC, id DESC OFFSET :most
""")


async def devices_beyond(
    session: Connection, tenant_id: UUID, user_id: str, most: int
) -> list[UUID]:
    """The user's devices beyond the `most` that registered last."""
    values = {"tenant": tenant_id, "user": user_id, "most": most}
    return [row["id"] for row in await many(session, OLDEST_BEYOND, values)]


DELETE = """
    WITH gone AS (
        DELETE FROM devices d WHERE {which} RETURNING id, tenant_id, user_id, device_id
    )
    INSERT INTO removed_devices (id, tenant_id, user_id, device_id, removed_at)
    SELECT id, tenant_id, user_id, device_id, clock_timestamp() FROM gone
"""
EMPTY_DEVICES = text(
    DELETE.format(
        which="""
            d.id IN (
                SELECT id FROM devices WHERE id = ANY(CAST(:ids AS uuid[]))
                ORDER BY id FOR UPDATE SKIP LOCKED
            ) AND NOT EXISTS (SELECT FROM tokens t WHERE t.device_row = d.id)
        """
    )
)
FORGET_REMOVED = text("""
    DELETE FROM removed_devices
    WHERE removed_at < statement_timestamp() - make_interval(secs => :kept)
""")


async def forget_empty_devices(session: Connection, ids: Sequence[UUID]) -> None:
    """Delete those of these devices that hold no token any more.

    One whose row is held is being registered at this moment: it will not be empty.
    """
    await session.execute(EMPTY_DEVICES, {"ids": ids})


DEVICES = text("""
    SELECT d.id, d.device_id, d.user_id, d.name, d.platform, d.locale, d.report,
        d.created_at, d.registered_at, d.rings
    FROM devices d
    WHERE d.tenant_id = :tenant AND d.user_id = :user
        AND (CAST(:device AS text) IS NULL OR d.device_id = :device)
    ORDER BY d.registered_at DESC, d.id DESC
""")


async def devices_of(
    session: Connection, tenant_id: UUID, user_id: str, device_id: str | None = None
) -> list[dict[str, Any]]:
    """A user's devices with their tokens (last four digits only), the newest first."""
    values = {"tenant": tenant_id, "user": user_id, "device": device_id}
    devices = await many(session, DEVICES, values)
    known = await tokens.of_devices(session, [device["id"] for device in devices])
    for device in devices:
        device["tokens"] = [token for token in known if token["device_row"] == device["id"]]
    return devices


DELETE_DEVICES = text(DELETE.format(which="d.id = ANY(CAST(:ids AS uuid[]))"))


async def delete_devices(session: Connection, ids: Sequence[UUID]) -> None:
    """Delete devices with their tokens; what their call tokens name is kept for a while."""
    await session.execute(DELETE_DEVICES, {"ids": ids})


async def forget_removed(session: Connection, kept: float) -> None:
    """Forget the devices that were removed more than so many seconds ago."""
    await session.execute(FORGET_REMOVED, {"kept": kept})


ERASE_USER = text("DELETE FROM users WHERE tenant_id = :tenant AND id = :user")
ERASE_DEVICES = text("DELETE FROM devices WHERE tenant_id = :tenant AND user_id = :user")
ERASE_REMOVED = text("DELETE FROM removed_devices WHERE tenant_id = :tenant AND user_id = :user")


async def erase_user(session: Connection, tenant_id: UUID, user_id: str) -> bool:
    """Delete the user's row, devices and tokens; False when there was no such user."""
    values = {"tenant": tenant_id, "user": user_id}
    await session.execute(ERASE_DEVICES, values)
    await session.execute(ERASE_REMOVED, values)
    return bool((await session.execute(ERASE_USER, values)).rowcount)
