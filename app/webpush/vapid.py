"""Who sends a push: a VAPID key, and what it signs for each push service. Source: RFC 8292."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import field
from typing import Final, Self

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from app.core.frozen import frozen
from app.webpush.base64url import encoded

LIVES: Final = 12 * 3_600
"""Seconds for which a token says that it is good; RFC 8292 allows a day."""
RENEWED_AFTER: Final = LIVES / 2
MOST_KEPT: Final = 256
_HEAD: Final = encoded(b'{"typ":"JWT","alg":"ES256"}').encode()


@frozen
class VapidKey:
    """A key pair, `private` in PEM; `subject` is whom a push service may write to."""

    subject: str
    private: str = field(repr=False)

    @classmethod
    def made(cls, subject: str) -> Self:
        """A new key pair."""
        pem = generate_private_key(SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        return cls(subject, pem.decode())

    @classmethod
    def of(cls, material: bytes) -> Self:
        """Read it as `sealed` wrote it. Raises ValueError for what is no VAPID key."""
        return cls(**orjson.loads(material))

    def sealed(self) -> bytes:
        """The same as bytes, to be kept sealed."""
        return orjson.dumps({"subject": self.subject, "private": self.private})

    def loaded(self) -> EllipticCurvePrivateKey:
        """The key to sign with. Raises ValueError when it cannot be read."""
        try:
            key = load_pem_private_key(self.private.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("the VAPID key cannot be read") from None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise ValueError("the VAPID key is not of the curve P-256")  # noqa: TRY004
        return key


def public_of(key: EllipticCurvePrivateKey) -> str:
    """A key's public half as browsers take it: `applicationServerKey` in base64url."""
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return encoded(point)


class VapidTokens:
    """What one key sends to each push service as Authorization, kept for half of its life.

    `wall_clock` gives unix seconds (the database's). Raises ValueError for a key that is none.
    """

    def __init__(self, key: VapidKey, wall_clock: Callable[[], float]) -> None:
        self._key = key.loaded()
        self._subject = key.subject
        self._clock = wall_clock
        self._public = public_of(self._key)
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def authorization(self, origin: str) -> bytes:
        """The value of the header for a push service, `https://host[:port]`."""
        now = self._clock()
        signed_at, value = self._kept.get(origin, (0.0, b""))
        if not value or not signed_at <= now < signed_at + RENEWED_AFTER:
            value = self._signed(origin, now)
            self._kept[origin] = (now, value)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return value

    def _signed(self, origin: str, now: float) -> bytes:
        claims = {"aud": origin, "exp": int(now) + LIVES, "sub": self._subject}
        said = _HEAD + b"." + encoded(orjson.dumps(claims)).encode()
        r, s = decode_dss_signature(self._key.sign(said, ECDSA(SHA256())))
        signature = encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return b"vapid t=%b.%b, k=%b" % (said, signature.encode(), self._public.encode())
