"""Rows of users, devices and tokens."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Row, Session, many, one

User = tuple[UUID, str]
"""A tenant and one of its users."""

SEE_USERS = text("""
    INSERT INTO users (tenant_id, id)
    SELECT DISTINCT t, u
    FROM unnest(CAST(:seen_tenants AS uuid[]), CAST(:seen_users AS text[])) AS w(t, u)
    ORDER BY t, u
    ON CONFLICT DO NOTHING
""")


async def see_users(session: Session, users: Iterable[tuple[UUID, str]]) -> None:
    """Make the rows of users seen for the first time, in order of their keys."""
    pairs = sorted(set(users))
    values = {
        "seen_tenants": [pair[0] for pair in pairs],
        "seen_users": [pair[1] for pair in pairs],
    }
    await session.execute(SEE_USERS, values)


LOCK_USER = text("""
    SELECT id FROM users WHERE tenant_id = :tenant AND id = :user FOR NO KEY UPDATE
""")


async def lock_user(session: Session, tenant_id: UUID, user_id: str) -> None:
    """Hold the user's row: registrations of one user follow each other."""
    await session.execute(LOCK_USER, {"tenant": tenant_id, "user": user_id})


SAVE_DEVICE = text("""
    INSERT INTO devices (id, tenant_id, user_id, device_id, name, platform, created_at,
                         registered_at)
    VALUES (:id, :tenant_id, :user_id, :device_id, :name, :platform, :now, :now)
    ON CONFLICT (tenant_id, user_id, device_id) DO UPDATE SET
        name = coalesce(excluded.name, devices.name),
        platform = coalesce(excluded.platform, devices.platform),
        registered_at = excluded.registered_at
    RETURNING id, created_at, registered_at, name, platform
""")


async def save_device(session: Session, values: Row) -> dict[str, Any]:
    """Make or refresh a device; the answer is its row."""
    row = await one(session, SAVE_DEVICE, values)
    assert row is not None
    return row


OLDEST_BEYOND = text("""
    SELECT id FROM devices WHERE tenant_id = :tenant AND user_id = :user
    ORDER BY registered_at DESC, id DESC OFFSET :most
""")


async def devices_beyond(session: Session, tenant_id: UUID, user_id: str, most: int) -> list[UUID]:
    """The user's devices beyond the `most` that registered last."""
    values = {"tenant": tenant_id, "user": user_id, "most": most}
    return [row["id"] for row in await many(session, OLDEST_BEYOND, values)]


TOKENS_GIVEN_UP = text("""
    SELECT t.id FROM tokens t
    JOIN unnest(CAST(:kinds AS text[]), CAST(:bundles AS text[]), CAST(:tokens AS text[]))
        AS n(kind, bundle_id, token)
        ON t.kind = n.kind AND t.bundle_id = n.bundle_id AND t.token = n.token
    WHERE t.tenant_id = :tenant
        AND (t.user_id, t.device_row) IS DISTINCT FROM (CAST(:user AS text), CAST(:device AS uuid))
    UNION
    SELECT t.id FROM tokens t
    WHERE t.device_row = CAST(:device AS uuid)
        AND (t.kind, t.bundle_id) IN (
            SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:bundles AS text[])))
        AND t.token <> ALL(CAST(:tokens AS text[]))
    ORDER BY 1
""")


async def tokens_given_up(
    session: Session, tenant_id: UUID, user_id: str, device: UUID, tokens: Sequence[Row]
) -> list[UUID]:
    """Tokens that a registration takes from another device, or replaces on this one."""
    values = {
        "tenant": tenant_id,
        "user": user_id,
        "device": device,
        "kinds": [token["kind"] for token in tokens],
        "bundles": [token["bundle_id"] for token in tokens],
        "tokens": [token["token"] for token in tokens],
    }
    return [row["id"] for row in await many(session, TOKENS_GIVEN_UP, values)]


LOCK_TOKENS = text("""
    SELECT id FROM tokens
    WHERE id = ANY(ARRAY(
        SELECT t.id FROM tokens t
        JOIN unnest(CAST(:kinds AS text[]), CAST(:bundles AS text[]), CAST(:tokens AS text[]))
            AS n(kind, bundle_id, token)
            ON t.kind = n.kind AND t.bundle_id = n.bundle_id AND t.token = n.token
        WHERE t.tenant_id = :tenant
        UNION ALL
        SELECT id FROM tokens WHERE device_row = ANY(CAST(:devices AS uuid[]))))
    ORDER BY id FOR UPDATE
""")


async def lock_tokens(
    session: Session, tenant_id: UUID, tokens: Sequence[Row], devices: Sequence[UUID]
) -> None:
    """Hold these tokens' rows, and all those of these devices, in order of id."""
    values = {"tenant": tenant_id, "devices": list(devices)}
    for name, key in (("kinds", "kind"), ("bundles", "bundle_id"), ("tokens", "token")):
        values[name] = [token[key] for token in tokens]
    await session.execute(LOCK_TOKENS, values)


SAVE_TOKENS = text("""
    INSERT INTO tokens AS t (id, tenant_id, user_id, device_row, kind, bundle_id, environment,
                             token, registered_at, expires_at)
    SELECT i, :tenant, :user, :device, k, b, e, x, :now, :expires
    FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:bundles AS text[]),
                CAST(:environments AS text[]), CAST(:tokens AS text[])) AS n(i, k, b, e, x)
    ORDER BY k, b, x
    ON CONFLICT (tenant_id, kind, bundle_id, token) DO UPDATE SET
        user_id = excluded.user_id, device_row = excluded.device_row,
        environment = CASE WHEN t.proven_at IS NOT NULL AND t.device_row = excluded.device_row
                           THEN t.environment ELSE excluded.environment END,
        proven_at = CASE WHEN t.device_row = excluded.device_row THEN t.proven_at END,
        registered_at = excluded.registered_at, expires_at = excluded.expires_at,
        retired_at = NULL, retired_why = NULL, version = t.version + 1
""")


async def save_tokens(
    session: Session,
    *,
    tenant_id: UUID,
    user_id: str,
    device: UUID,
    tokens: Sequence[Row],
    ids: Sequence[UUID],
    now: datetime,
    expires: datetime,
) -> None:
    """Make, refresh or move tokens: each belongs to this device of this user from now on."""
    values = {"tenant": tenant_id, "user": user_id, "device": device, "ids": list(ids)}
    values |= {"now": now, "expires": expires}
    for name, key in (("kinds", "kind"), ("bundles", "bundle_id"), ("tokens", "token")):
        values[name] = [token[key] for token in tokens]
    values["environments"] = [token["environment"] for token in tokens]
    await session.execute(SAVE_TOKENS, values)


REPLACED = text("""
    DELETE FROM tokens WHERE id = ANY(CAST(:ids AS uuid[])) AND device_row = :device
        AND token <> ALL(CAST(:kept AS text[]))
""")
EMPTY_DEVICES = text("""
    DELETE FROM devices d
    WHERE d.id IN (
        SELECT id FROM devices WHERE id = ANY(CAST(:ids AS uuid[]))
        ORDER BY id FOR UPDATE SKIP LOCKED
    ) AND NOT EXISTS (SELECT FROM tokens t WHERE t.device_row = d.id)
""")
DEVICES_OF_TOKENS = text("""
    SELECT DISTINCT device_row FROM tokens WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY 1
""")


async def devices_of_tokens(session: Session, tokens: Sequence[UUID]) -> list[UUID]:
    """The devices that hold these tokens."""
    return [row["device_row"] for row in await many(session, DEVICES_OF_TOKENS, {"ids": tokens})]


async def forget_replaced(
    session: Session, device: UUID, ids: Sequence[UUID], kept: Sequence[str]
) -> None:
    """Delete this device's tokens among `ids` whose text is not `kept`: Apple has replaced them."""
    await session.execute(REPLACED, {"ids": ids, "device": device, "kept": kept})


async def forget_empty_devices(session: Session, ids: Sequence[UUID]) -> None:
    """Delete those of these devices that hold no token any more.

    One whose row is held is being registered at this moment: it will not be empty.
    """
    await session.execute(EMPTY_DEVICES, {"ids": ids})


DEVICES = text("""
    SELECT d.id, d.device_id, d.user_id, d.name, d.platform, d.created_at, d.registered_at
    FROM devices d
    WHERE d.tenant_id = :tenant AND d.user_id = :user
        AND (CAST(:device AS text) IS NULL OR d.device_id = :device)
    ORDER BY d.registered_at DESC, d.id DESC
""")
TOKENS = text("""
    SELECT device_row, kind, bundle_id, environment, right(token, 4) AS hint, registered_at,
           expires_at, retired_at, retired_why
    FROM tokens WHERE device_row = ANY(CAST(:devices AS uuid[])) ORDER BY kind DESC, bundle_id
""")


async def devices_of(
    session: Session, tenant_id: UUID, user_id: str, device_id: str | None = None
) -> list[dict[str, Any]]:
    """A user's devices with their tokens (last four digits only), the newest first."""
    values = {"tenant": tenant_id, "user": user_id, "device": device_id}
    devices = await many(session, DEVICES, values)
    tokens = await many(session, TOKENS, {"devices": [device["id"] for device in devices]})
    for device in devices:
        device["tokens"] = [token for token in tokens if token["device_row"] == device["id"]]
    return devices


TOKENS_OF_DEVICES = text("""
    SELECT id FROM tokens WHERE device_row = ANY(CAST(:ids AS uuid[])) ORDER BY id
""")


async def tokens_of_devices(session: Session, ids: Sequence[UUID]) -> list[UUID]:
    """Every token that these devices hold."""
    return [row["id"] for row in await many(session, TOKENS_OF_DEVICES, {"ids": ids})]


DELETE_DEVICES = text("DELETE FROM devices WHERE id = ANY(CAST(:ids AS uuid[]))")


async def delete_devices(session: Session, ids: Sequence[UUID]) -> None:
    """Delete devices with their tokens."""
    await session.execute(DELETE_DEVICES, {"ids": ids})


LIVE_TOKENS = """
    SELECT clock_timestamp() AS now, t.*
    FROM (SELECT 1) AS always LEFT JOIN (
        SELECT t.id, t.tenant_id, t.user_id {more}
        FROM tokens t
        JOIN unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
             USING (tenant_id, user_id)
        WHERE t.kind = 'voip' AND t.retired_at IS NULL AND t.expires_at > clock_timestamp()
    ) AS t ON true
"""
RINGABLE = text(LIVE_TOKENS.format(more=""))
PUSHABLE = text(
    LIVE_TOKENS.format(more=", t.device_row, t.kind, t.bundle_id, t.environment, t.token")
)


SEE_AND_FIND = text(f"WITH seen AS ({SEE_USERS.text}) {RINGABLE.text}")


async def ringable(
    session: Session, users: Sequence[tuple[UUID, str]]
) -> tuple[datetime, list[dict[str, Any]]]:
    """The database clock, and the tokens at which these users can be rung: `id` and whose."""
    values = {"tenants": [user[0] for user in users], "users": [user[1] for user in users]}
    return _clock_and_tokens(await many(session, RINGABLE, values))


async def pushable(session: Session, user: User) -> tuple[datetime, list[dict[str, Any]]]:
    """The database clock, and the tokens of a user with all that a push needs."""
    values = {"tenants": [user[0]], "users": [user[1]]}
    return _clock_and_tokens(await many(session, PUSHABLE, values))


async def see_and_find(
    session: Session, seen: Collection[User], rung: Collection[User]
) -> tuple[datetime, list[dict[str, Any]]]:
    """`see_users` of those seen and `ringable` of those rung, in one round trip."""
    ordered, wanted = sorted(seen), sorted(rung)
    values = {
        "seen_tenants": [tenant for tenant, _ in ordered],
        "seen_users": [user for _, user in ordered],
        "tenants": [tenant for tenant, _ in wanted],
        "users": [user for _, user in wanted],
    }
    return _clock_and_tokens(await many(session, SEE_AND_FIND, values))


def _clock_and_tokens(rows: list[dict[str, Any]]) -> tuple[datetime, list[dict[str, Any]]]:
    return rows[0]["now"], [row for row in rows if row["id"] is not None]


# statement_timestamp(), as an index knows nothing to do with the ever-moving clock_timestamp()
EXPIRED = text("""
    SELECT id FROM tokens
    WHERE retired_at IS NULL AND expires_at <= statement_timestamp()
        AND id <> ALL(CAST(:aside AS uuid[]))
    ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
EXPIRE = text("""
    WITH due AS (
        SELECT id FROM tokens
        WHERE id = ANY(CAST(:ids AS uuid[])) AND retired_at IS NULL
            AND expires_at <= clock_timestamp()
        ORDER BY id FOR UPDATE SKIP LOCKED
    )
    UPDATE tokens t SET retired_at = clock_timestamp(), retired_why = 'expired',
        version = t.version + 1
    FROM due WHERE t.id = due.id
""")


async def expired_tokens(session: Session, limit: int, aside: Sequence[UUID]) -> list[UUID]:
    """Tokens past their expiry that nobody holds, but for those `aside`."""
    values = {"limit": limit, "aside": list(aside)}
    return [row["id"] for row in await many(session, EXPIRED, values)]


async def expire_tokens(session: Session, ids: Sequence[UUID]) -> None:
    """Retire those of these tokens that are free and past their expiry."""
    await session.execute(EXPIRE, {"ids": list(ids)})


ERASE_USER = text("DELETE FROM users WHERE tenant_id = :tenant AND id = :user")
ERASE_DEVICES = text("DELETE FROM devices WHERE tenant_id = :tenant AND user_id = :user")


async def erase_user(session: Session, tenant_id: UUID, user_id: str) -> bool:
    """Delete the user's row, devices and tokens; False when there was no such user."""
    values = {"tenant": tenant_id, "user": user_id}
    await session.execute(ERASE_DEVICES, values)
    return bool((await session.execute(ERASE_USER, values)).rowcount)
