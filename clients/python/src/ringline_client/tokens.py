"""User tokens, signed here: a JWT (RFC 7519) by HS256 with the tenant's signing secret."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Any


def sign_user_token(
    secret: str,
    kid: str,
    user_id: str,
    *,
    expires_in: float = 3600,
    scopes: Sequence[str] | None = None,
    issuer: str | None = None,
    audience: str | None = None,
    now: float | None = None,
) -> str:
    """A token with which this user's app may act, good for `expires_in` seconds.

    `secret` and `kid` are a signing secret and its id. `scopes` None: all that users may.
    `now` in Unix seconds: `time.time() + client.clock_offset` where this clock may be wrong.
    """
    made = time.time() if now is None else now
    claims: dict[str, Any] = {"sub": user_id, "iat": round(made, 3), "exp": int(made + expires_in)}
    more = {"scopes": None if scopes is None else list(scopes), "iss": issuer, "aud": audience}
    claims |= {name: value for name, value in more.items() if value is not None}
    signed = f"{_part({'alg': 'HS256', 'kid': kid, 'typ': 'JWT'})}.{_part(claims)}"
    mac = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64url(mac)}"


def _part(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
