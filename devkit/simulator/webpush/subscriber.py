"""A browser's half of a subscription: its keys, and opening what was sealed for them.

Sources: RFC 8291 section 3, RFC 8188 section 2.
"""

import base64
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_SIZE = 65


@dataclass(slots=True, eq=False)
class Subscriber:
    """A subscription. `key` is the VAPID key that it was made with, None: any.

    What is `gone` was unsubscribed; one that is not `online` gets nothing now.
    """

    id: str
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    auth: bytes = field(repr=False)
    key: str | None = None
    gone: bool = False
    online: bool = True

    @classmethod
    def made(
        cls, key: str | None = None, private: str | None = None, auth: str | None = None
    ) -> "Subscriber":
        """Subscribe; with keys that a page made itself, in base64url (`d` of a JWK), or new ones.

        ValueError when these are none.
        """
        if private is None:
            made = ec.generate_private_key(ec.SECP256R1())
        else:
            made = ec.derive_private_key(int.from_bytes(from_text(private)), ec.SECP256R1())
        secret = secrets.token_bytes(16) if auth is None else from_text(auth)
        if len(secret) != 16:
            raise ValueError("auth has 16 bytes")
        return cls(secrets.token_hex(16), made, secret, key)

    @property
    def public(self) -> bytes:
        """Give the public key, uncompressed."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def as_dict(self, base: str) -> dict[str, Any]:
        """Give what `PushSubscription.toJSON()` does."""
        return {
            "endpoint": f"{base}/push/{self.id}",
            "expirationTime": None,
            "keys": {"p256dh": to_text(self.public), "auth": to_text(self.auth)},
        }

    def open(self, body: bytes) -> bytes:
        """Give what was sealed. ValueError when it cannot be opened."""
        salt, size, length = body[:16], int.from_bytes(body[16:20]), body[20] if body[20:] else 0
        sender, record = body[21 : 21 + length], body[21 + length :]
        if length != _KEY_SIZE or len(record) > size or len(record) < 17:
            raise ValueError("no record of aes128gcm")
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.private.exchange(ec.ECDH(), theirs)
        info = b"WebPush: info\x00" + self.public + sender
        keying = _hkdf(self.auth, info, 32).derive(shared)
        key = _hkdf(salt, b"Content-Encoding: aes128gcm\x00", 16).derive(keying)
        nonce = _hkdf(salt, b"Content-Encoding: nonce\x00", 12).derive(keying)
        try:
            padded = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\x00")
        except InvalidTag:
            raise ValueError("not sealed for this subscriber") from None
        if padded[-1:] != b"\x02":
            raise ValueError("not the last record")
        return padded[:-1]


def _hkdf(salt: bytes, info: bytes, length: int) -> HKDF:
    return HKDF(hashes.SHA256(), length, salt, info)


def to_text(data: bytes) -> str:
    """Give bytes in base64url."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_text(text: str) -> bytes:
    """Give the bytes of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
