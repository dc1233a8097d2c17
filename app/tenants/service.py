"""Tenants: making them, their keys, and user tokens."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import floor
from typing import Any
from uuid import UUID

from app.access import new_api_key, sign_user_token, signing_place
from app.audit.log import SERVER, Actor, record
from app.core.event import rfc3339
from app.core.nearest import nearest
from app.core.numerals import id_of
from app.core.text import clean_name
from app.infra import vault
from app.infra.db import Row, clock
from app.infra.errors import Conflict, Invalid, NotFound
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.infra.safe_http import check_url
from app.tenants import revocations, signing_secrets, store
from app.tenants.schemas import TenantSettings, tenant_settings
from app.tenants.scopes import check_scopes

MOST_NAME = 100


@dataclass(frozen=True, slots=True)
class NewTenant:
    """A tenant just made. The key and the secret are shown this once."""

    id: UUID
    name: str
    api_key: str = field(repr=False)
    kid: str
    signing_secret: str = field(repr=False)


async def create(runtime: Runtime, name: str, *, actor: Actor = SERVER) -> NewTenant:
    """Make a tenant with one API key and one signing secret.

    Raises Invalid for an empty name or one over 100 characters, Conflict for a name in use.
    """
    name = _clean(name)
    tenant_id = uuid7()
    async with runtime.database.transaction() as session:
        if not await store.add_tenant(session, tenant_id, name):
            raise Conflict("tenant_exists", f"name: there is a tenant named {name!r} already")
        key = await _add_key(session, tenant_id, "first key", ["*"])
        made = await signing_secrets.add(runtime, session, tenant_id)
        await record(
            session, actor, tenant_id, "tenant.create", f"tenant:{tenant_id}", {"name": name}
        )
    return NewTenant(tenant_id, name, key, made.kid, made.secret)


async def add_key(
    runtime: Runtime, tenant_id: UUID, name: str, scopes: list[str], *, actor: Actor = SERVER
) -> str:
    """Make another API key of the tenant; the answer is shown this once.

    Raises Invalid for a name that is none, and for a scope that does not exist.
    """
    name = _clean(name)
    check_scopes(scopes)
    async with runtime.database.transaction() as session:
        key = await _add_key(session, tenant_id, name, scopes)
        detail = {"name": name, "scopes": scopes}
        await record(session, actor, tenant_id, "key.create", f"key:...{key[-4:]}", detail)
    return key


def _clean(name: str) -> str:
    name = clean_name(name)
    if not 1 <= len(name) <= MOST_NAME:
        raise Invalid("invalid_name", f"name: must have 1 to {MOST_NAME} characters")
    return name


async def find(runtime: Runtime, name_or_id: str) -> UUID:
    """The id of a tenant given by its name or id. Raises as `find_live`."""
    found: UUID = (await find_live(runtime, name_or_id))["id"]
    return found


async def find_live(runtime: Runtime, name_or_id: str) -> Row:
    """A tenant given by its name or id. Raises NotFound, and Conflict for one that was deleted."""
    row = await find_any(runtime, name_or_id)
    if row["deleted_at"] is not None:
        raise deleted_already(row)
    return row


def deleted_already(row: Row) -> Conflict:
    """What who names a tenant is told that was deleted, and of which something is left."""
    at = rfc3339(row["deleted_at"])
    return Conflict(
        "tenant_deleted",
        f"this tenant was deleted at {at}, and its rows are being removed: "
        f"`ringline tenant show {row['id']}` says how many are left",
    )


async def find_any(runtime: Runtime, name_or_id: str) -> Row:
    """A tenant given by its name or id, also one that was deleted. Raises NotFound."""
    name_or_id = clean_name(name_or_id)
    async with runtime.database.autocommit() as session:
        row = await store.tenant_by_name(session, name_or_id)
        if row is None and (known := id_of(name_or_id)) is not None:
            row = await store.tenant_by_id(session, known)
    if row is None:
        near = nearest(name_or_id[:MOST_NAME], [one["name"] for one in await every(runtime)])
        more = f"did you mean {near!r}?" if near else "`ringline tenant list` names all"
        raise NotFound("tenant_not_found", f"there is no tenant {name_or_id!r}; {more}")
    return row


async def every(runtime: Runtime, *, deleted: bool = False) -> list[dict[str, Any]]:
    """All tenants, by name; with those that are being removed, if they are asked for."""
    async with runtime.database.autocommit() as session:
        rows = await store.tenants(session)
    return [row for row in rows if deleted or row["deleted_at"] is None]


async def one(runtime: Runtime, tenant_id: UUID) -> dict[str, Any] | None:
    """A tenant's name and settings, by its id; None for one that was deleted."""
    async with runtime.database.autocommit() as session:
        row = await store.tenant_by_id(session, tenant_id)
    if row is None or row["deleted_at"] is not None:
        return None
    return {"name": row["name"], "settings": tenant_settings(row["settings"], tenant_id)}


async def settings_of(runtime: Runtime, tenant_id: UUID) -> TenantSettings:
    """The tenant's settings as they stand."""
    async with runtime.database.autocommit() as session:
        row = await store.tenant_by_id(session, tenant_id)
    if row is None:
        raise NotFound("tenant_not_found", "there is no such tenant")
    return tenant_settings(row["settings"], tenant_id)


async def change_settings(
    runtime: Runtime, tenant_id: UUID, settings: TenantSettings, *, actor: Actor = SERVER
) -> TenantSettings:
    """Replace the tenant's settings. Calls that live keep the limits they began with.

    Raises Invalid for an address of keys that will not do, Conflict for another tenant's issuer.
    """
    rules = settings.user_tokens
    if rules.jwks_url is not None:
        private = runtime.settings.webhook_allow_private
        check_url(rules.jwks_url, allow_private=private, field="user_tokens.jwks_url")
    stored = settings.model_dump(exclude_defaults=True)
    async with runtime.database.transaction() as session:
        await store.set_settings(session, tenant_id, stored)
        issuer = rules.issuer if rules.has_keys else None
        if not await store.set_issuer(session, tenant_id, issuer, rules.audience):
            raise Conflict(
                "issuer_taken",
                "user_tokens: another tenant takes the tokens of this issuer and audience; set an "
                "`audience` of your own",
            )
        await record(session, actor, tenant_id, "settings.change", "settings", stored)
    return settings


async def stop_ringing(
    runtime: Runtime, tenant_id: UUID, *, stopped: bool, actor: Actor = SERVER
) -> datetime | None:
    """Stop all new ringing at once, or let it go on; since when it is stopped.

    Calls that live are not touched: they can be answered, left and ended.
    """
    async with runtime.database.transaction() as session:
        at = await store.stop_ringing(session, tenant_id, stopped=stopped)
        action = "ringing.stop" if stopped else "ringing.resume"
        await record(session, actor, tenant_id, action, "settings")
    return at


async def ringing_stopped_at(runtime: Runtime, tenant_id: UUID) -> datetime | None:
    """Since when all new ringing is stopped; None: it is not."""
    async with runtime.database.autocommit() as session:
        return await store.ringing_stopped_at(session, tenant_id)


async def user_token(
    runtime: Runtime,
    tenant_id: UUID,
    user_id: str,
    expires_in: float,
    *,
    scopes: list[str] | None = None,
    actor: Actor = SERVER,
) -> tuple[str, datetime]:
    """A user token signed with the tenant's newest secret, and when it expires.

    It keeps the tenant's own rules, and is good also when the user's tokens have just been revoked.
    """
    rules = (await settings_of(runtime, tenant_id)).user_tokens.as_rules()
    async with runtime.database.transaction() as session:
        row = await store.newest_signing_secret(session, tenant_id)
        now = await clock(session)
        revoked = await revocations.of_user(session, tenant_id, user_id)
        if row is None:
            raise Conflict("no_signing_secret", "the tenant has no live signing secret")
        expires_in = min(expires_in, rules.longest_life or expires_in)
        detail: dict[str, Any] = {"kid": row["kid"], "expires_in": expires_in}
        if scopes is not None:
            detail["scopes"] = scopes
        await record(
            session, actor, tenant_id, "token.create", "user", detail, at=now, user=user_id
        )
    secret = vault.unseal(runtime.keyring, signing_place(tenant_id, row["id"]), row["sealed"])
    issued = now.timestamp()
    if revoked is not None and revoked["at"] is not None:
        issued = max(issued, floor(revoked["at"].timestamp()) + 1)  # no more the second of that
    expires = now + timedelta(seconds=expires_in)
    token = sign_user_token(
        secret,
        row["kid"],
        user_id,
        now=issued,
        expires=expires.timestamp(),
        scopes=scopes,
        rules=rules,
    )
    return token, expires


async def _add_key(session: Any, tenant_id: UUID, name: str, scopes: list[str]) -> str:
    key = new_api_key()
    values = {"id": uuid7(), "tenant_id": tenant_id, "digest": vault.digest(key)}
    values |= {"hint": key[-4:], "name": name, "scopes": scopes}
    await store.add_key(session, values)
    return key
