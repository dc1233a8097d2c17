"""API keys, user tokens, call tokens and member tokens: made and read, with no database.

| credential    | looks like   | who holds it                | good for                           |
|---------------|--------------|-----------------------------|------------------------------------|
| API key       | `rl_sk_...`  | the tenant's backend        | everything of the tenant           |
| user token    | a JWT        | an app, for its user        | that user's devices and calls      |
| call token    | `rl_ct_...`  | a phone, from its push      | this ring on this device           |
| member token  | `rl_mt_...`  | a phone, from its accept    | staying in the call, and leaving   |
| activation    | `rl_at_...`  | a browser, from its push    | showing that pushes to it arrive   |

Nothing crosses tenants: each of these names one.
"""

import base64
import binascii
import re
import secrets
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import jwt

from app.core import claims as user_claims
from app.core.claims import TokenRules
from app.core.frozen import frozen
from app.core.text import is_storable
from app.infra.errors import Unauthorized
from app.infra.vault import Keyring, Place

if TYPE_CHECKING:
    from jwt.types import Options

KEY_PREFIX = "rl_sk_"
CALL_PREFIX = "rl_ct_"
MEMBER_PREFIX = "rl_mt_"
ACTIVATION_PREFIX = "rl_at_"

SIGNING_PURPOSE = "signing_secret"
ASYMMETRIC = frozenset({"RS256", "ES256"})
MOST_AUDIENCES = 20
KID = re.compile(r"[A-Za-z0-9_\-]{1,64}")
MAC = 16
URL_SAFE = bytes.maketrans(b"+/", b"-_")
CALL_TOKEN = struct.Struct(">16s16s16sI")
MEMBER_TOKEN = struct.Struct(">16s16sIB")
ACTIVATION_TOKEN = struct.Struct(">16s16sI")
CALL_TOKEN_ISSUED = struct.Struct(">16s16s16sII")
ISSUED = struct.Struct(">I")
"""When a call or member token was made, in whole seconds; those of an older version do not say."""


@frozen
class CallToken:
    """What a call token says: for one ring on one device."""

    tenant_id: UUID
    ring: UUID
    device_row: UUID
    issued: float | None = None


@frozen
class ActivationToken:
    """What an activation token says: of which push token (row) it is the proof."""

    tenant_id: UUID
    token_row: UUID


@frozen
class MemberToken:
    """What a member token says: for the device that holds the call."""

    tenant_id: UUID
    session_id: UUID
    user_id: str
    device_id: str
    issued: float | None = None


def new_api_key() -> str:
    """A new API key: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def new_signing_secret() -> str:
    """A new secret for HS256: 256 random bits."""
    return secrets.token_urlsafe(32)


def signing_place(tenant_id: UUID, row_id: UUID) -> Place:
    """Where a signing secret's sealed bytes live."""
    return Place(tenant_id, row_id, SIGNING_PURPOSE)


@frozen
class Claimed:
    """What a JWT says of itself before anything is verified. `issuer`: None with our own secrets.

    `kid` names the signing secret, or the key of the issuer's JWKS.
    """

    kid: str
    issuer: str | None = None
    audiences: tuple[str, ...] = ()


def claimed(token: str) -> Claimed:
    """By which secret or key a JWT claims to be signed. Raises Unauthorized."""
    try:
        header = jwt.get_unverified_header(token)
        theirs = header.get("alg") in ASYMMETRIC
        claims = jwt.decode(token, options={"verify_signature": False}) if theirs else {}
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise Unauthorized("invalid_token", "this is no API key and no JWT") from error
    kid, issuer = header.get("kid"), claims.get("iss")
    if not isinstance(kid, str):
        raise Unauthorized(
            "invalid_token", "the JWT's header lacks `kid`: the id of your signing secret or key"
        )
    if theirs:
        if not isinstance(issuer, str) or not is_storable(issuer):
            raise Unauthorized("invalid_token", "the JWT lacks `iss`: whose JWKS has its key")
        named = user_claims.audiences(claims)[:MOST_AUDIENCES]
        return Claimed(kid, issuer, tuple(one for one in named if is_storable(one)))
    if KID.fullmatch(kid) is None:
        raise unknown_kid()
    return Claimed(kid)


def unknown_kid() -> Unauthorized:
    """The answer to a JWT that no live secret of ours has signed."""
    return Unauthorized("invalid_token", "the JWT's `kid` names no live signing secret")


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


def read_user_token(
    token: str,
    key: Any,
    now: float,
    rules: TokenRules = user_claims.ANY,
    *,
    algorithm: str = "HS256",
) -> dict[str, Any]:
    """The claims of a user token, judged at `now` (Unix seconds). Raises Unauthorized (401).

    `key`: a secret's bytes or a public key, good for `algorithm` alone.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            options=ONLY_THE_SIGNATURE,
        )
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise Unauthorized(
            "invalid_token",
            f"this user token is not valid: it must be signed ({algorithm}) with the tenant's "
            f"{'secret' if algorithm == 'HS256' else 'key'} and hold `sub` (the user id) and `exp`",
        ) from error
    fault = user_claims.fault(claims, now, rules)
    if fault is not None:
        raise Unauthorized(fault.code, fault.sentence)
    return claims


def sign_user_token(
    secret: bytes,
    kid: str,
    user_id: str,
    *,
    now: float,
    expires: float,
    scopes: Sequence[str] | None = None,
    rules: TokenRules = user_claims.ANY,
) -> str:
    """A user token as a tenant's backend would sign it; times in Unix seconds."""
    # `iat` to the millisecond: what was made in the second of an erasure is before it or after
    claims: dict[str, Any] = {"sub": user_id, "iat": round(now, 3), "exp": int(expires)}
    more = {"iss": rules.issuer, "aud": rules.audience, "scopes": scopes}
    claims |= {name: value for name, value in more.items() if value is not None}
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid})


def call_token(
    keyring: Keyring, *, tenant_id: UUID, ring: UUID, device_row: UUID, now: float, expires: float
) -> str:
    """A call token: good for one ring on one device until `expires`; times in Unix seconds."""
    return call_tokens(keyring, tenant_id=tenant_id, now=now, expires=expires)(ring, device_row)


def call_tokens(
    keyring: Keyring, *, tenant_id: UUID, now: float, expires: float
) -> Callable[[UUID, UUID], str]:
    """Call tokens of one tenant that are made now and good until then: of a ring and a device."""
    tenant, issued, until, pack = tenant_id.bytes, int(now), int(expires), CALL_TOKEN_ISSUED.pack
    signed, sign = CALL_PREFIX.encode(), keyring.token_key().sign

    def token(ring: UUID, device_row: UUID) -> str:
        body = pack(tenant, ring.bytes, device_row.bytes, until, issued)
        return _spelled(CALL_PREFIX, body + sign(signed + body)[:MAC])

    return token


def member_token(
    keyring: Keyring,
    *,
    tenant_id: UUID,
    session_id: UUID,
    user_id: str,
    device_id: str,
    now: float,
    expires: float,
) -> str:
    """A member token: heartbeat, leave and end for the device that holds the call."""
    user = user_id.encode()
    head = MEMBER_TOKEN.pack(tenant_id.bytes, session_id.bytes, int(expires), len(user))
    tail = device_id.encode() + b"\0" + ISSUED.pack(int(now))
    return _sign(keyring, MEMBER_PREFIX, head + user + tail)


def activation_token(keyring: Keyring, *, tenant_id: UUID, token_row: UUID, expires: float) -> str:
    """An activation token: who has it has got what was pushed to this token."""
    body = ACTIVATION_TOKEN.pack(tenant_id.bytes, token_row.bytes, int(expires))
    return _sign(keyring, ACTIVATION_PREFIX, body)


def read_activation_token(keyring: Keyring, token: str, now: float) -> ActivationToken:
    """What an activation token of ours says, at `now` (Unix seconds). Raises Unauthorized (401)."""
    if not token.startswith(ACTIVATION_PREFIX):
        raise Unauthorized("invalid_token", "an activation token begins with `rl_at_`")
    body = _signed(keyring, token, ACTIVATION_PREFIX)
    tenant, row, expires = ACTIVATION_TOKEN.unpack(body)
    if expires < now:
        raise Unauthorized("expired_token", "this activation token has expired: register again")
    return ActivationToken(UUID(bytes=tenant), UUID(bytes=row))


def _sign(keyring: Keyring, prefix: str, body: bytes) -> str:
    return _spelled(prefix, body + keyring.token_mac(prefix.encode() + body, MAC))


def _spelled(prefix: str, raw: bytes) -> str:
    # as base64.urlsafe_b64encode, without its padding: half the cost
    return prefix + binascii.b2a_base64(raw, newline=False).translate(URL_SAFE, b"=").decode()


def read_call_token(keyring: Keyring, token: str, now: float) -> CallToken:
    """What a call token of ours says, at `now` (Unix seconds). Raises Unauthorized (401)."""
    body = _signed(keyring, token, CALL_PREFIX)
    tenant, ring, device, expires = CALL_TOKEN.unpack(body[: CALL_TOKEN.size])
    if expires < now:
        raise Unauthorized("expired_token", "this call token has expired, as its ring has")
    issued = _issued(body[CALL_TOKEN.size :])
    return CallToken(UUID(bytes=tenant), UUID(bytes=ring), UUID(bytes=device), issued)


def read_member_token(keyring: Keyring, token: str, now: float) -> MemberToken:
    """What a member token of ours says, at `now` (Unix seconds). Raises Unauthorized (401)."""
    body = _signed(keyring, token, MEMBER_PREFIX)
    head, tail = body[: MEMBER_TOKEN.size], body[MEMBER_TOKEN.size :]
    tenant, call, expires, split = MEMBER_TOKEN.unpack(head)
    if expires < now:
        raise Unauthorized("expired_token", "this member token has expired")
    device, _, issued = tail[split:].partition(b"\0")
    user = tail[:split].decode()
    return MemberToken(UUID(bytes=tenant), UUID(bytes=call), user, device.decode(), _issued(issued))


def _issued(raw: bytes) -> float | None:
    return float(ISSUED.unpack(raw)[0]) if raw else None


def _signed(keyring: Keyring, token: str, prefix: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(token.removeprefix(prefix) + "==")
    except (binascii.Error, ValueError):
        raw = b""
    body, mac = raw[:-MAC], raw[-MAC:]
    if not body or not keyring.token_mac_valid(prefix.encode() + body, mac):
        raise Unauthorized("invalid_token", "this token was not made by this server")
    return body
