"""Recognising who is calling, by the Authorization header, and what each route asks for."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from structlog.contextvars import bind_contextvars

from app import access
from app.access import Claimed
from app.calls import store as calls
from app.core.claims import is_revoked
from app.infra import clock, vault
from app.infra.db import Connection, Database
from app.infra.errors import Forbidden, Unauthorized
from app.infra.runtime import Runtime
from app.infra.safe_http import SafeHttp
from app.infra.tasks import Tasks
from app.infra.vault import Keyring
from app.tenants import erasures, revocations, store
from app.tenants.caller import Caller, require_scope, require_server_or_user
from app.tenants.jwks import WITHIN, KeySets, known_key
from app.tenants.revocations import Closed, Revocations, Revoked
from app.tenants.schemas import UserTokenRules, tenant_settings
from app.tenants.scopes import token_scopes

_tasks = Tasks("gate")

REMEMBERED = 1.0
"""Seconds for which a process trusts what it read of a key: the price of a revocation."""


class Gate:
    """Recognises callers; remembers for a second what it read of a key."""

    def __init__(self, database: Database, keyring: Keyring, http: SafeHttp) -> None:
        self._database = database
        self._keyring = keyring
        self.revocations = Revocations(database)
        self.key_sets = KeySets(http)
        self._known: dict[bytes, tuple[float, Any]] = {}
        self._reading: dict[bytes, asyncio.Task[Any]] = {}
        self._forgotten = 0

    async def recognise(self, authorization: str | None) -> Caller:
        """The caller of this Authorization header. Raises Unauthorized (401).

        From then on the request's log lines say whose it is: the tenant, and which key; no user.
        """
        caller = await self._caller(authorization)
        bind_contextvars(**whose_lines(caller))
        return caller

    def known(self, authorization: str) -> Caller | None:
        """The caller, if it is by an API key that was read within the second; binds nothing.

        One that is in use is read anew before the second is over, so that nobody waits for that.
        """
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential.startswith(access.KEY_PREFIX):
            return None
        digest = vault.digest(credential)
        found: Caller | None = self._fresh(digest)
        if found is not None and self._known[digest][0] - time.monotonic() < REMEMBERED / 2:
            self._read_once(digest, lambda session: _server(session, digest))
        return found

    async def _caller(self, authorization: str | None) -> Caller:
        scheme, _, credential = (authorization or "").partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise Unauthorized(
                "missing_credential",
                "send `Authorization: Bearer` with an API key or a user token",
            )
        if credential.startswith(access.KEY_PREFIX):
            return await self._by_key(credential)
        if credential.startswith(access.CALL_PREFIX):
            return await self._by_call_token(credential)
        if credential.startswith(access.MEMBER_PREFIX):
            return await self._by_member_token(credential)
        return await self._by_user_token(credential)

    async def _by_key(self, key: str) -> Caller:
        digest = vault.digest(key)
        caller: Caller | None = await self._remembered(
            digest, lambda session: _server(session, digest)
        )
        if caller is None:
            raise Unauthorized("invalid_api_key", "this API key is unknown or has been revoked")
        return caller

    async def _by_user_token(self, token: str) -> Caller:
        said = access.claimed(token)
        row = await self._signer(said)
        settings = tenant_settings(row["settings"], row["tenant_id"])
        algorithm, key = await self._key_of(said, row, settings.user_tokens)
        rules = settings.user_tokens.as_rules()
        claims = access.read_user_token(token, key, clock.unix(), rules, algorithm=algorithm)
        user_id, issued = str(claims["sub"]), claims.get("iat")
        await self._refuse_erased(row, user_id, issued)
        await self._refuse_revoked(row["tenant_id"], user_id, issued)
        return Caller(
            "user",
            row["tenant_id"],
            settings,
            user_id=user_id,
            scopes=token_scopes(claims),
            expires=float(claims["exp"]),
            issued=issued,
        )

    async def _signer(self, said: Claimed) -> Any:
        """The signing secret, or the tenant of the issuer, with the tenant's settings."""
        if said.issuer is None:
            row = await self._remembered(
                b"kid:" + said.kid.encode(),
                lambda session: store.signing_secret(session, said.kid),
            )
            if row is None:
                raise access.unknown_kid()
            return row
        issuer = said.issuer
        row = await self._remembered(
            b"iss:" + vault.digest("\0".join((issuer, *said.audiences))),
            lambda session: store.tenant_of_issuer(session, issuer, said.audiences),
        )
        if row is None:
            raise Unauthorized(
                "unknown_issuer", "no tenant takes tokens of this `iss` and `aud` (`user_tokens`)"
            )
        return row

    async def _key_of(self, said: Claimed, row: Any, rules: UserTokenRules) -> tuple[str, Any]:
        """The algorithm, which the key alone decides, and the key."""
        if said.issuer is None:
            place = access.signing_place(row["tenant_id"], row["id"])
            return "HS256", vault.unseal(self._keyring, place, row["sealed"])
        if rules.jwks_url is not None:
            key = await self.key_sets.key(row["tenant_id"], rules.jwks_url, said.kid)
        else:
            key = known_key(rules.keys, said.kid)
        return key.algorithm, key.key

    async def _refuse_erased(self, secret: Any, user_id: str, made: Any) -> None:
        """Refuse what was signed for a user before the user was erased, or without saying when.

        Asked only of a token that is older than the tenant's last erasure.
        """
        last = secret["last_erased_at"]
        if last is None or (made is not None and float(made) > last.timestamp()):
            return
        tenant_id = secret["tenant_id"]
        row = await self._remembered(
            b"erased:" + erasures.digest_of(tenant_id, user_id),
            lambda session: erasures.last_of_user(session, tenant_id, user_id),
        )
        erased = row["at"] if row is not None else None
        if erased is not None and (made is None or float(made) <= erased.timestamp()):
            raise Unauthorized(
                "user_erased",
                "this user was erased: a token must be made, and say so in `iat`, after that",
            )

    async def _refuse_revoked(self, tenant_id: UUID, user_id: str, issued: float | None) -> None:
        """Refuse what was issued before all tokens of its user were taken back."""
        if not self.revocations.may_concern(tenant_id, issued):
            return
        row = await self._remembered(
            b"revoked:" + tenant_id.bytes + user_id.encode(),
            lambda session: revocations.of_user(session, tenant_id, user_id),
        )
        if row is not None and row["at"] is not None and is_revoked(issued, row["at"].timestamp()):
            raise Unauthorized(
                "token_revoked",
                "this user's tokens were revoked: a token must be made, and say so in `iat`, after "
                "that",
            )

    def revoked(self, tenant_id: UUID, user_id: str, at: float) -> None:
        """A user's tokens have just been taken back here: no need to wait until it is read."""
        self.forget()
        self.revocations.learn(tenant_id, user_id, at)

    def closed(self, tenant_id: UUID) -> None:
        """A tenant was deleted here: none of its keys and tokens is good from now on."""
        self.revocations.close_tenant(tenant_id)
        self.settings_changed(tenant_id)

    def _refuse_closed(self, tenant_id: UUID) -> None:
        """Refuse what Ringline itself has signed for calls of a tenant that was deleted."""
        if self.revocations.is_closed(tenant_id):
            raise Unauthorized("tenant_deleted", "the tenant of this token was deleted")

    def forget(self) -> None:
        """Read anew what is known of keys: something has just been taken back here."""
        self._known.clear()
        self._forgotten += 1

    def settings_changed(self, tenant_id: UUID) -> None:
        """Read this tenant's keys, and its settings with them, anew: they have changed here."""
        for name, (_, known) in list(self._known.items()):
            rows = isinstance(known, dict) and known.get("tenant_id") == tenant_id  # no ring's
            if rows or (isinstance(known, Caller) and known.tenant_id == tenant_id):
                del self._known[name]
        self._forgotten += 1

    def start(self, revoked: Revoked, closed: Closed) -> None:
        """Begin to look for revocations, and for tenants that were deleted; tell of each."""
        self.revocations.listen(revoked)
        self.revocations.listen_for_ends(closed)
        self.revocations.start()

    async def close(self) -> None:
        """Look for nothing more."""
        await self.revocations.stop()
        await self.key_sets.close()

    def _fresh(self, name: bytes) -> Any | None:
        known = self._known.get(name)
        return known[1] if known is not None and known[0] > time.monotonic() else None

    async def _remembered(self, name: bytes, read: Callable[[Any], Any]) -> Any:
        known = self._fresh(name)
        if known is not None:
            return known
        return await asyncio.shield(self._read_once(name, read))

    def _read_once(self, name: bytes, read: Callable[[Any], Any]) -> asyncio.Task[Any]:
        task = self._reading.get(name)
        if task is None:
            # one reading for all who ask at this moment; who goes away does not end it for others
            task = _tasks.spawn("read", self._read(name, read), awaited=True, of_all=True)
            self._reading[name] = task
            task.add_done_callback(partial(self._has_read, name))
        return task

    def _has_read(self, name: bytes, task: asyncio.Task[Any]) -> None:
        self._reading.pop(name, None)
        if not task.cancelled():
            task.exception()  # it may be that nobody waits to hear of it

    async def _read(self, name: bytes, read: Callable[[Any], Any]) -> Any:
        forgotten = self._forgotten
        async with self._database.autocommit() as session:
            row = await read(session)
        if len(self._known) > 10_000:
            self._known.clear()
        if row is not None and forgotten == self._forgotten:  # else it may be of before that
            self._known[name] = (time.monotonic() + REMEMBERED, row)
        return row

    async def _by_call_token(self, token: str) -> Caller:
        said = access.read_call_token(self._keyring, token, clock.unix())
        self._refuse_closed(said.tenant_id)
        if self.revocations.may_concern(said.tenant_id, said.issued):
            ring = await self._remembered(
                b"ring:" + said.ring.bytes,
                lambda session: calls.ring(session, said.tenant_id, said.ring),
            )
            if ring is not None:
                await self._refuse_revoked(said.tenant_id, ring.user_id, said.issued)
        return Caller("call", said.tenant_id, ring=said.ring, device_row=said.device_row)

    async def _by_member_token(self, token: str) -> Caller:
        said = access.read_member_token(self._keyring, token, clock.unix())
        self._refuse_closed(said.tenant_id)
        await self._refuse_revoked(said.tenant_id, said.user_id, said.issued)
        return Caller(
            "member",
            said.tenant_id,
            user_id=said.user_id,
            session_id=said.session_id,
            device_id=said.device_id,
        )


def whose_lines(caller: Caller) -> dict[str, str]:
    """What the log lines of a request say of its caller."""
    return _whose(caller.tenant_id, caller.kind, caller.key_id)


@lru_cache(maxsize=1_024)
def _whose(tenant_id: UUID, kind: str, key_id: UUID | None) -> dict[str, str]:
    key = {} if key_id is None else {"key": str(key_id)}
    return {"tenant": str(tenant_id), "caller": kind, **key}


async def _server(session: Connection, digest: bytes) -> Caller | None:
    """The tenant's backend that this key is of; None for a key that is none."""
    row = await store.key_by_digest(session, digest)
    if row is None:
        return None
    return Caller(
        "server",
        row["tenant_id"],
        tenant_settings(row["settings"], row["tenant_id"]),
        scopes=tuple(row["scopes"]),
        key_id=row["id"],
        key_name=row["name"],
    )


def gate_of(runtime: Runtime) -> Gate:
    """The gate of an API process."""
    http = SafeHttp(allow_private=runtime.settings.webhook_allow_private, within=WITHIN)
    return Gate(runtime.database, runtime.keyring, http)


async def any_caller(request: Request) -> Caller:
    """Whoever is calling, recognised."""
    gate: Gate = request.app.state.gate
    return await gate.recognise(request.headers.get("authorization"))


async def server_or_user(request: Request) -> Caller:
    """The tenant's backend or a user; a call or member token is not enough (403)."""
    caller = await any_caller(request)
    require_server_or_user(caller)
    return caller


async def server(request: Request) -> Caller:
    """The tenant's backend only (403 for any other)."""
    caller = await any_caller(request)
    if caller.kind != "server":
        raise Forbidden("not_allowed", "this needs an API key")
    return caller


def server_with(scope: str) -> Callable[[Caller], Awaitable[Caller]]:
    """The tenant's backend, by an API key that has this scope (403 for any other)."""

    async def admin(caller: Annotated[Caller, Depends(server)]) -> Caller:
        require_scope(caller, scope)
        return caller

    return admin
