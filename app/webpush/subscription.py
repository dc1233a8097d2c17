"""A subscription: where a browser's pushes go, and the keys that they are sealed for.

As a token it is one text of four parts: the public VAPID key that it was made with, its own public
key, its secret, its endpoint. Source: the Push API (W3C), RFC 8291 section 3.
"""

from base64 import urlsafe_b64decode
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from app.core.frozen import frozen
from app.webpush.base64url import decoded, encoded

PUBLIC_KEY: Final = 65
"""Bytes of a point of P-256, uncompressed."""
SECRET: Final = 16
LONGEST_ENDPOINT: Final = 1_024


@frozen
class Subscription:
    """`key` is the VAPID key's public half in base64url, `p256dh` and `auth` are bytes."""

    key: str
    p256dh: bytes
    auth: bytes
    endpoint: str

    @classmethod
    def of(cls, token: str) -> Self:
        """Read it as `token` wrote it, who has looked at each part. Raises ValueError."""
        parts = token.split(" ")
        if len(parts) != 4:
            raise ValueError("this is no subscription")
        key, p256dh, auth, endpoint = parts
        return cls(key, urlsafe_b64decode(p256dh + "=="), urlsafe_b64decode(auth + "=="), endpoint)

    @property
    def token(self) -> str:
        """The subscription as one text."""
        return f"{self.key} {encoded(self.p256dh)} {encoded(self.auth)} {self.endpoint}"


def point(text: str) -> bytes:
    """A public key of P-256 from base64url. Raises ValueError, in words that follow `must`."""
    data = _bytes(text, PUBLIC_KEY)
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("be a point on the curve P-256") from None
    return data


def secret(text: str) -> bytes:
    """A subscription's secret from base64url. Raises ValueError, in words that follow `must`."""
    return _bytes(text, SECRET)


def _bytes(text: str, size: int) -> bytes:
    try:
        data = decoded(text)
    except ValueError:
        raise ValueError("be base64url") from None
    if len(data) != size:
        raise ValueError(f"be base64url of {size} bytes")
    return data
