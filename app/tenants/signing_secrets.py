"""Signing secrets: what a tenant's backend signs user tokens with. Commits.

Each has an id (`kid`), which a token names. Two may be live: make the second, let the backend sign
with it, and once no token by the first lives any more, revoke the first. Every process has
forgotten a revoked one within `REMEMBERED` of app.http.auth.
"""

from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from app.access import new_signing_secret, signing_place
from app.audit.log import Actor, record
from app.infra import vault
from app.infra.db import Connection
from app.infra.errors import Conflict, NotFound
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.tenants import store

MOST_LIVE: Final = 2


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A signing secret just made; it is shown this once."""

    kid: str
    secret: str = field(repr=False)


async def every(runtime: Runtime, tenant_id: UUID) -> list[dict[str, Any]]:
    """What may be shown of a tenant's secrets: kid and times; live ones first, newest first."""
    async with runtime.database.autocommit() as session:
        return await store.signing_secrets(session, tenant_id)


async def add(runtime: Runtime, session: Connection, tenant_id: UUID) -> NewSecret:
    """Make a secret, in the transaction of whoever asks."""
    row_id, secret = uuid7(), new_signing_secret()
    kid = f"rl_kid_{row_id.hex}"
    sealed = vault.seal(runtime.keyring, signing_place(tenant_id, row_id), secret.encode())
    values = {"id": row_id, "tenant_id": tenant_id, "kid": kid, "sealed": sealed}
    await store.add_signing_secret(session, values)
    return NewSecret(kid, secret)


async def rotate(runtime: Runtime, tenant_id: UUID, *, actor: Actor) -> NewSecret:
    """Make another secret; the one there is stays good. Raises Conflict when two are live."""
    async with runtime.database.transaction() as session:
        await store.lock_tenant(session, tenant_id)
        live = await store.live_signing_secrets(session, tenant_id)
        if len(live) >= MOST_LIVE:
            raise Conflict(
                "too_many_signing_secrets",
                f"{MOST_LIVE} signing secrets are live: revoke one first ({', '.join(live)})",
            )
        made = await add(runtime, session, tenant_id)
        detail = {"live": len(live) + 1}
        await record(session, actor, tenant_id, "secret.create", _target(made.kid), detail)
    return made


async def revoke(
    runtime: Runtime, tenant_id: UUID, kid: str, *, confirm: bool = False, actor: Actor
) -> None:
    """Let a secret, and each user token signed with it, be good for nothing from now on.

    Raises NotFound; Conflict for the only one, unless confirmed: every user is signed out then.
    """
    async with runtime.database.transaction() as session:
        await store.lock_tenant(session, tenant_id)
        live = await store.live_signing_secrets(session, tenant_id)
        if kid not in live:
            raise NotFound("secret_not_found", "there is no live signing secret of this kid")
        if live == [kid] and not confirm:
            raise Conflict(
                "last_signing_secret",
                "this is the only signing secret: without it no user token is good. Make another "
                "one first, or confirm (`--confirm`, `?confirm=true`)",
            )
        await store.revoke_signing_secret(session, tenant_id, kid)
        detail = {"live": len(live) - 1}
        await record(session, actor, tenant_id, "secret.revoke", _target(kid), detail)


def _target(kid: str) -> str:
    return f"secret:{kid}"
