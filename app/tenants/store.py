"""Rows of tenants, API keys and signing secrets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.dialects import postgresql

from app.core.event import rfc3339
from app.infra.db import Connection, Row, many, one
from app.tenants.models import ApiKey, SigningSecret, Tenant

KNOWN = (Tenant.id, Tenant.name, Tenant.settings, Tenant.created_at, Tenant.deleted_at)


async def add_tenant(session: Connection, tenant_id: UUID, name: str) -> bool:
    """Make a tenant; False when the name is taken."""
    statement = postgresql.insert(Tenant).values(id=tenant_id, name=name)
    result = await session.execute(statement.on_conflict_do_nothing().returning(Tenant.id))
    return result.first() is not None


async def tenant_by_name(session: Connection, name: str) -> Row | None:
    """The tenant of this name."""
    return await one(session, select(*KNOWN).where(Tenant.name == name))


async def tenant_by_id(session: Connection, tenant_id: UUID) -> Row | None:
    """The tenant of this id."""
    return await one(session, select(*KNOWN).where(Tenant.id == tenant_id))


async def tenants(session: Connection) -> list[dict[str, Any]]:
    """All tenants, by name; also those that are being removed (`deleted_at`)."""
    columns = (Tenant.id, Tenant.name, Tenant.created_at, Tenant.deleted_at)
    rows = await many(session, select(*columns).order_by(Tenant.name))
    times = ("created_at", "deleted_at")
    return [row | {name: row[name] and rfc3339(row[name]) for name in times} for row in rows]


async def set_settings(session: Connection, tenant_id: UUID, settings: dict[str, Any]) -> None:
    """Replace the tenant's settings."""
    await session.execute(update(Tenant).where(Tenant.id == tenant_id).values(settings=settings))


STOPPED = """(
    SELECT coalesce(bool_or(ringing_stopped_at IS NOT NULL), true) FROM tenants
    WHERE id = ANY(CAST(CAST(:tenants AS text) AS uuid[])))
"""
"""Whether one of these tenants has stopped all new ringing; for those that are no more, too."""
STOP = text("""
    UPDATE tenants SET ringing_stopped_at =
        CASE WHEN :stopped THEN coalesce(ringing_stopped_at, clock_timestamp()) END
    WHERE id = :tenant RETURNING ringing_stopped_at
""")
STOPPED_AT = text("SELECT ringing_stopped_at FROM tenants WHERE id = :tenant")


async def stop_ringing(session: Connection, tenant_id: UUID, *, stopped: bool) -> datetime | None:
    """Stop all new ringing of a tenant, or let it ring again; since when it is stopped."""
    row = await one(session, STOP, {"tenant": tenant_id, "stopped": stopped})
    return None if row is None else row["ringing_stopped_at"]


async def ringing_stopped_at(session: Connection, tenant_id: UUID) -> datetime | None:
    """Since when all new ringing of a tenant is stopped; None: it is not."""
    row = await one(session, STOPPED_AT, {"tenant": tenant_id})
    return None if row is None else row["ringing_stopped_at"]


async def add_key(session: Connection, values: Row) -> None:
    """Store a new API key (its digest)."""
    await session.execute(insert(ApiKey).values(**values))


async def keys(session: Connection, tenant_id: UUID) -> list[dict[str, Any]]:
    """What may be shown of a tenant's keys: live ones first, the newest first."""
    statement = (
        select(
            ApiKey.id, ApiKey.hint, ApiKey.name, ApiKey.scopes, ApiKey.created_at,
            ApiKey.last_used_at, ApiKey.revoked_at,
        )
        .where(ApiKey.tenant_id == tenant_id)
        .order_by(ApiKey.revoked_at.is_not(None), ApiKey.id.desc())
    )  # fmt: skip
    return await many(session, statement)


async def revoke_key(session: Connection, tenant_id: UUID, key_id: UUID) -> Row | None:
    """Revoke a live key; returns its hint and name, None when there is none."""
    statement = (
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.tenant_id == tenant_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
        .returning(ApiKey.hint, ApiKey.name)
    )
    return await one(session, statement)


OTHER_KEY = text("""
    SELECT EXISTS (
        SELECT FROM api_keys WHERE tenant_id = :tenant AND revoked_at IS NULL AND id <> :key
    ) AS other
""")


async def has_other_key(session: Connection, tenant_id: UUID, key_id: UUID) -> bool:
    """Whether the tenant has a live key besides this one."""
    row = await one(session, OTHER_KEY, {"tenant": tenant_id, "key": key_id})
    return row is not None and bool(row["other"])


KEY = text("""
    SELECT k.id, k.tenant_id, k.name, k.scopes, n.settings,
           coalesce(k.last_used_at, k.created_at)
               < clock_timestamp() - interval '1 minute' AS rested
    FROM api_keys k JOIN tenants n ON n.id = k.tenant_id
    WHERE k.digest = :digest AND k.revoked_at IS NULL AND n.deleted_at IS NULL
""")
KEY_USED = text("UPDATE api_keys SET last_used_at = clock_timestamp() WHERE id = :id")


async def key_by_digest(session: Connection, digest: bytes) -> Row | None:
    """A live API key with its tenant's settings, its use noted at most once a minute."""
    row = await one(session, KEY, {"digest": digest})
    if row is not None and row["rested"]:
        await session.execute(KEY_USED, {"id": row["id"]})
    return row


async def add_signing_secret(session: Connection, values: Row) -> None:
    """Store a new signing secret (sealed)."""
    await session.execute(insert(SigningSecret).values(**values))


SECRET = text("""
    SELECT s.id, s.tenant_id, s.sealed, n.settings,
           (SELECT max(e.erased_at) FROM erasures e WHERE e.tenant_id = s.tenant_id)
               AS last_erased_at,
           coalesce(s.last_used_at, s.created_at)
               < clock_timestamp() - interval '1 minute' AS rested
    FROM signing_secrets s JOIN tenants n ON n.id = s.tenant_id
    WHERE s.kid = :kid AND s.revoked_at IS NULL AND n.deleted_at IS NULL
""")
SECRET_USED = text("UPDATE signing_secrets SET last_used_at = clock_timestamp() WHERE id = :id")
SECRETS = text("""
    SELECT kid, created_at, last_used_at, revoked_at FROM signing_secrets
    WHERE tenant_id = :tenant ORDER BY revoked_at IS NOT NULL, id DESC LIMIT 100
""")
LIVE = text("""
    SELECT kid FROM signing_secrets WHERE tenant_id = :tenant AND revoked_at IS NULL ORDER BY id
""")
REVOKE = text("""
    UPDATE signing_secrets SET revoked_at = clock_timestamp()
    WHERE tenant_id = :tenant AND kid = :kid AND revoked_at IS NULL
""")
LOCK = text("SELECT id FROM tenants WHERE id = :tenant FOR NO KEY UPDATE")
# for its name, too, is about to change
HOLD = text("SELECT id, name, deleted_at FROM tenants WHERE id = :tenant FOR UPDATE")
CLOSE = (
    text("""
        UPDATE api_keys SET revoked_at = clock_timestamp()
        WHERE tenant_id = :tenant AND revoked_at IS NULL
    """),
    text("""
        UPDATE signing_secrets SET revoked_at = clock_timestamp()
        WHERE tenant_id = :tenant AND revoked_at IS NULL
    """),
    text("DELETE FROM token_issuers WHERE tenant_id = :tenant"),
)
MARK = text("""
    UPDATE tenants SET name = 'deleted-' || CAST(id AS text), deleted_at = clock_timestamp(),
        ringing_stopped_at = coalesce(ringing_stopped_at, clock_timestamp())
    WHERE id = :tenant RETURNING name, deleted_at
""")
REMOVE = text("""
    DELETE FROM tenants WHERE id = :tenant
        AND deleted_at < clock_timestamp() - make_interval(secs => CAST(:least AS double precision))
    RETURNING id
""")


async def hold_tenant(session: Connection, tenant_id: UUID) -> Row | None:
    """A tenant that is to be deleted, or to be gone: nobody adds to it until the commit."""
    return await one(session, HOLD, {"tenant": tenant_id})


async def close(session: Connection, tenant_id: UUID) -> Row:
    """Let a tenant be deleted from this commit on; its name is free. What it is called now, and
    since when it is deleted."""
    for statement in CLOSE:
        await session.execute(statement, {"tenant": tenant_id})
    row = await one(session, MARK, {"tenant": tenant_id})
    assert row is not None
    return row


async def remove(session: Connection, tenant_id: UUID, least: float) -> bool:
    """Delete the row of a tenant that has been deleted for `least` seconds; whether it is gone."""
    return await one(session, REMOVE, {"tenant": tenant_id, "least": least}) is not None


async def signing_secret(session: Connection, kid: str) -> Row | None:
    """A live signing secret with its tenant's settings, its use noted at most once a minute.

    And when the tenant last erased a user.
    """
    row = await one(session, SECRET, {"kid": kid})
    if row is not None and row["rested"]:
        await session.execute(SECRET_USED, {"id": row["id"]})
    return row


FREE_ISSUER = text("DELETE FROM token_issuers WHERE tenant_id = :tenant")
TAKE_ISSUER = text("""
    INSERT INTO token_issuers (issuer, audience, tenant_id) VALUES (:issuer, :audience, :tenant)
    ON CONFLICT DO NOTHING
""")
# the one that names the audience goes before one that takes any
OF_ISSUER = text("""
    SELECT n.id AS tenant_id, n.settings, count(*) OVER () AS tenants,
           (SELECT max(e.erased_at) FROM erasures e WHERE e.tenant_id = n.id) AS last_erased_at
    FROM token_issuers i JOIN tenants n ON n.id = i.tenant_id
    WHERE i.issuer = :issuer AND i.audience = ANY(CAST(:audiences AS text[]))
        AND n.deleted_at IS NULL
    LIMIT 1
""")


async def set_issuer(
    session: Connection, tenant_id: UUID, issuer: str | None, audience: str | None
) -> bool:
    """Whose tokens are this tenant's (None: nobody's); False when another tenant has them."""
    await session.execute(FREE_ISSUER, {"tenant": tenant_id})
    if issuer is None:
        return True
    values = {"issuer": issuer, "audience": audience or "", "tenant": tenant_id}
    return bool((await session.execute(TAKE_ISSUER, values)).rowcount)


async def tenant_of_issuer(
    session: Connection, issuer: str, audiences: Sequence[str]
) -> Row | None:
    """The tenant whose token it would be; None for nobody's, and for one that names several."""
    for named in (list(audiences), [""]):
        row = await one(session, OF_ISSUER, {"issuer": issuer, "audiences": named})
        if row is not None:
            return row if row["tenants"] == 1 else None
    return None


async def signing_secrets(session: Connection, tenant_id: UUID) -> list[dict[str, Any]]:
    """What may be shown of a tenant's secrets: live ones first, the newest first."""
    return await many(session, SECRETS, {"tenant": tenant_id})


async def live_signing_secrets(session: Connection, tenant_id: UUID) -> list[str]:
    """The kids of a tenant's live secrets, the oldest first."""
    return [row["kid"] for row in await many(session, LIVE, {"tenant": tenant_id})]


async def revoke_signing_secret(session: Connection, tenant_id: UUID, kid: str) -> None:
    """Revoke a live secret."""
    await session.execute(REVOKE, {"tenant": tenant_id, "kid": kid})


async def lock_tenant(session: Connection, tenant_id: UUID) -> None:
    """Let nobody else change what belongs to this tenant as a whole, until the commit."""
    await session.execute(LOCK, {"tenant": tenant_id})


async def newest_signing_secret(session: Connection, tenant_id: UUID) -> Row | None:
    """The secret with which Ringline itself signs user tokens for this tenant."""
    statement = (
        select(SigningSecret.id, SigningSecret.tenant_id, SigningSecret.kid, SigningSecret.sealed)
        .where(SigningSecret.tenant_id == tenant_id, SigningSecret.revoked_at.is_(None))
        .order_by(SigningSecret.id.desc())
        .limit(1)
    )
    return await one(session, statement)
