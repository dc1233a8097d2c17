"""Sealing a push for one subscription. Source: RFC 8291, over RFC 8188 (aes128gcm).

About 0.1 ms, nearly all of it the key pair and the key agreement of each message.
"""

import hmac
import os
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.webpush.subscription import PUBLIC_KEY

RECORD: Final = 4_096
"""Bytes of a body at most: all that a push service must take (RFC 8030 section 7.2)."""
_SALT: Final = 16
_OVERHEAD: Final = _SALT + 4 + 1 + PUBLIC_KEY + 1 + 16
LONGEST: Final = RECORD - _OVERHEAD
"""Bytes of a payload at most."""
_CURVE: Final = SECP256R1()
_KEY_INFO: Final = b"Content-Encoding: aes128gcm\0\1"
_NONCE_INFO: Final = b"Content-Encoding: nonce\0\1"
_HEAD: Final = RECORD.to_bytes(4, "big") + bytes((PUBLIC_KEY,))
_LAST: Final = b"\2"


def sealed(
    payload: bytes,
    p256dh: bytes,
    auth: bytes,
    *,
    private: EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of a push to a subscription of this public key and secret.

    `private` and `salt` are made anew for each message; a test may know them. Raises ValueError
    for a payload that is too long, and for a key that is none.
    """
    if len(payload) > LONGEST:
        raise ValueError(f"a push holds {LONGEST:,} bytes, not {len(payload):,}")
    theirs = EllipticCurvePublicKey.from_encoded_point(_CURVE, p256dh)
    private = private or generate_private_key(_CURVE)
    salt = salt or os.urandom(_SALT)
    ours = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    agreed = hmac.digest(auth, private.exchange(ECDH(), theirs), "sha256")
    keying = hmac.digest(agreed, b"WebPush: info\0" + p256dh + ours + b"\1", "sha256")
    pseudorandom = hmac.digest(salt, keying, "sha256")
    key = hmac.digest(pseudorandom, _KEY_INFO, "sha256")[:16]
    nonce = hmac.digest(pseudorandom, _NONCE_INFO, "sha256")[:12]
    return salt + _HEAD + ours + AESGCM(key).encrypt(nonce, payload + _LAST, None)
