"""Who is calling: API key, user token, call token or member token.

| credential    | looks like   | who holds it                | good for                           |
|---------------|--------------|-----------------------------|------------------------------------|
| API key       | `rl_sk_...`  | the tenant's backend        | everything of the tenant           |
| user token    | a JWT        | an app, for its user        | that user's devices and calls      |
| call token    | `rl_ct_...`  | a phone, from its push      | this ring on this device           |
| member token  | `rl_mt_...`  | a phone, from its accept    | staying in the call, and leaving   |

Nothing crosses tenants: each of these names one.
"""

import asyncio
import base64
import binascii
import re
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import jwt
from fastapi import Request

from app.core import claims as user_claims
from app.infra import vault
from app.infra.db import Database
from app.infra.errors import Forbidden, Invalid, Unauthorized
from app.infra.tasks import Tasks
from app.infra.vault import Keyring, Place
from app.tenants import erasures, store
from app.tenants.schemas import TenantSettings, tenant_settings

if TYPE_CHECKING:
    from jwt.types import Options

_tasks = Tasks("gate")

KEY_PREFIX = "rl_sk_"
CALL_PREFIX = "rl_ct_"
MEMBER_PREFIX = "rl_mt_"
REMEMBERED = 1.0
"""Seconds for which a process trusts what it read of a key: the price of a revocation."""

SIGNING_PURPOSE = "signing_secret"
KID = re.compile(r"[A-Za-z0-9_\-]{1,64}")
MAC = 16
CALL_TOKEN = struct.Struct(">16s16s16sI")
MEMBER_TOKEN = struct.Struct(">16s16sIB")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling. `user_id` is set for every kind but `server`; `expires` in Unix seconds."""

    kind: Literal["server", "user", "call", "member"]
    tenant_id: UUID
    settings: TenantSettings = field(repr=False, default_factory=TenantSettings)
    user_id: str | None = None
    scopes: tuple[str, ...] = ()
    key_id: UUID | None = None
    key_name: str | None = None
    ring: UUID | None = None
    device_row: UUID | None = None
    call_id: UUID | None = None
    device_id: str | None = None
    expires: float | None = None

    def acting_for(self, user_id: str | None, *, field_name: str = "user_id") -> str:
        """The user on whose behalf this call is made.

        A user token acts for its subject only (403 otherwise); a key must name the user.
        """
        if self.kind == "user":
            assert self.user_id is not None
            if user_id is not None and user_id != self.user_id:
                raise Forbidden(
                    "wrong_user", f"{field_name}: this user token cannot act for another user"
                )
            return self.user_id
        if user_id is None:
            raise Invalid("missing_field", f"{field_name}: an API key must say for which user")
        return user_id


def new_api_key() -> str:
    """A new API key: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def new_signing_secret() -> str:
    """A new secret for HS256: 256 random bits."""
    return secrets.token_urlsafe(32)


def signing_place(tenant_id: UUID, row_id: UUID) -> Place:
    """Where a signing secret's sealed bytes live."""
    return Place(tenant_id, row_id, SIGNING_PURPOSE)


class Gate:
    """Recognises callers; remembers for a second what it read of a key."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._known: dict[bytes, tuple[float, Any]] = {}
        self._reading: dict[bytes, asyncio.Task[Any]] = {}

    async def recognise(self, authorization: str | None) -> Caller:
        """The caller of this Authorization header. Raises Unauthorized (401)."""
        scheme, _, credential = (authorization or "").partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise Unauthorized(
                "missing_credential",
                "send `Authorization: Bearer` with an API key or a user token",
            )
        if credential.startswith(KEY_PREFIX):
            return await self._by_key(credential)
        if credential.startswith(CALL_PREFIX):
            return self._by_call_token(credential)
        if credential.startswith(MEMBER_PREFIX):
            return self._by_member_token(credential)
        return await self._by_user_token(credential)

    async def _by_key(self, key: str) -> Caller:
        digest = vault.digest(key)
        row = await self._remembered(digest, lambda session: store.key_by_digest(session, digest))
        if row is None:
            raise Unauthorized("invalid_api_key", "this API key is unknown or has been revoked")
        return Caller(
            "server",
            row["tenant_id"],
            tenant_settings(row["settings"]),
            scopes=tuple(row["scopes"]),
            key_id=row["id"],
            key_name=row["name"],
        )

    async def _by_user_token(self, token: str) -> Caller:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise Unauthorized("invalid_token", "this is no API key and no JWT") from error
        if not isinstance(kid, str):
            raise Unauthorized(
                "invalid_token", "the JWT's header lacks `kid`: the id of your signing secret"
            )
        row = None
        if KID.fullmatch(kid) is not None:
            row = await self._remembered(
                b"kid:" + kid.encode(), lambda session: store.signing_secret(session, kid)
            )
        if row is None:
            raise Unauthorized("invalid_token", "the JWT's `kid` names no live signing secret")
        place = signing_place(row["tenant_id"], row["id"])
        secret = vault.unseal(self._keyring, place, row["sealed"])
        claims = _claims(token, secret)
        await self._refuse_erased(row, str(claims["sub"]), claims.get("iat"))
        return Caller(
            "user",
            row["tenant_id"],
            tenant_settings(row["settings"]),
            user_id=str(claims["sub"]),
            expires=float(claims["exp"]),
        )

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

    def forget(self) -> None:
        """Read anew what is known of keys: something has just been taken back here."""
        self._known.clear()

    async def _remembered(self, name: bytes, read: Callable[[Any], Any]) -> Any:
        now = time.monotonic()
        known = self._known.get(name)
        if known is not None and known[0] > now:
            return known[1]
        task = self._reading.get(name)
        if task is None:
            # one reading for all who ask at this moment; who goes away does not end it for others
            task = _tasks.spawn("read", self._read(name, read), awaited=True, of_all=True)
            self._reading[name] = task
            task.add_done_callback(lambda _: self._reading.pop(name, None))
        return await asyncio.shield(task)

    async def _read(self, name: bytes, read: Callable[[Any], Any]) -> Any:
        async with self._database.each() as session:
            row = await read(session)
        if len(self._known) > 10_000:
            self._known.clear()
        if row is not None:
            self._known[name] = (time.monotonic() + REMEMBERED, row)
        return row

    def _by_call_token(self, token: str) -> Caller:
        body = self._signed(token, CALL_PREFIX)
        tenant, ring, device, expires = CALL_TOKEN.unpack(body)
        if expires < time.time():
            raise Unauthorized("expired_token", "this call token has expired, as its ring has")
        return Caller(
            "call", UUID(bytes=tenant), ring=UUID(bytes=ring), device_row=UUID(bytes=device)
        )

    def _by_member_token(self, token: str) -> Caller:
        body = self._signed(token, MEMBER_PREFIX)
        head, tail = body[: MEMBER_TOKEN.size], body[MEMBER_TOKEN.size :]
        tenant, call, expires, split = MEMBER_TOKEN.unpack(head)
        if expires < time.time():
            raise Unauthorized("expired_token", "this member token has expired")
        return Caller(
            "member",
            UUID(bytes=tenant),
            user_id=tail[:split].decode(),
            call_id=UUID(bytes=call),
            device_id=tail[split:].decode(),
        )

    def _signed(self, token: str, prefix: str) -> bytes:
        try:
            raw = base64.urlsafe_b64decode(token.removeprefix(prefix) + "==")
        except (binascii.Error, ValueError):
            raw = b""
        body, mac = raw[:-MAC], raw[-MAC:]
        if not body or not self._keyring.token_mac_valid(prefix.encode() + body, mac):
            raise Unauthorized("invalid_token", "this token was not made by this server")
        return body


ONLY_THE_SIGNATURE: "Options" = {
    "require": ["exp", "sub"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""What the claims say is judged by `core.claims`: the library's words teach nothing."""


def _claims(token: str, secret: bytes) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            options=ONLY_THE_SIGNATURE,
        )
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise Unauthorized(
            "invalid_token",
            "this user token is not valid: it must be signed (HS256) with the tenant's secret and "
            "hold `sub` (the user id) and `exp`",
        ) from error
    fault = user_claims.fault(claims, time.time())
    if fault is not None:
        raise Unauthorized(fault.code, fault.sentence)
    return claims


def sign_user_token(secret: bytes, kid: str, user_id: str, *, now: float, expires: float) -> str:
    """A user token as a tenant's backend would sign it; times in Unix seconds."""
    # `iat` to the millisecond: what was made in the second of an erasure is before it or after
    claims = {"sub": user_id, "iat": round(now, 3), "exp": int(expires)}
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid})


def call_token(
    keyring: Keyring, *, tenant_id: UUID, ring: UUID, device_row: UUID, expires: float
) -> str:
    """A call token: good for one ring on one device until `expires` (Unix seconds)."""
    body = CALL_TOKEN.pack(tenant_id.bytes, ring.bytes, device_row.bytes, int(expires))
    return _sign(keyring, CALL_PREFIX, body)


def member_token(
    keyring: Keyring,
    *,
    tenant_id: UUID,
    call_id: UUID,
    user_id: str,
    device_id: str,
    expires: float,
) -> str:
    """A member token: heartbeat, leave and end for the device that holds the call."""
    user = user_id.encode()
    head = MEMBER_TOKEN.pack(tenant_id.bytes, call_id.bytes, int(expires), len(user))
    return _sign(keyring, MEMBER_PREFIX, head + user + device_id.encode())


def _sign(keyring: Keyring, prefix: str, body: bytes) -> str:
    raw = body + keyring.token_mac(prefix.encode() + body, MAC)
    return prefix + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# --- dependencies of the API -------------------------------------------------------------------


async def any_caller(request: Request) -> Caller:
    """Whoever is calling, recognised."""
    gate: Gate = request.app.state.gate
    return await gate.recognise(request.headers.get("authorization"))


async def server_or_user(request: Request) -> Caller:
    """The tenant's backend or a user; a call or member token is not enough (403)."""
    caller = await any_caller(request)
    require_server_or_user(caller)
    return caller


def require_server_or_user(caller: Caller) -> None:
    """Refuse (403) a call or member token."""
    if caller.kind not in {"server", "user"}:
        raise Forbidden("not_allowed", "this needs an API key or a user token")


async def server(request: Request) -> Caller:
    """The tenant's backend only (403 for any other)."""
    caller = await any_caller(request)
    if caller.kind != "server":
        raise Forbidden("not_allowed", "this needs an API key")
    return caller


def require_scope(caller: Caller, scope: str) -> None:
    """Refuse (403) a key that was not given this scope."""
    if caller.kind == "server" and "*" not in caller.scopes and scope not in caller.scopes:
        raise Forbidden("missing_scope", f"this API key lacks the scope `{scope}`")
