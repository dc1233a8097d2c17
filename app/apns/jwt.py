"""Apple's provider tokens (.p8), made so that every process makes the same one.

`iat` is the time of five minutes ago rounded down to 2,400 s and the signature is deterministic
(RFC 6979), so all processes and connections of a team carry the same bytes, with nothing shared and
nothing stored. That keeps well within Apple's two rules: a token may be an hour old, and may change
at most every 20 minutes. The five minutes are for clocks: were it younger, a server whose clock is
a little behind ours would see a token from the future, and refuse the key until it no longer does.
Source: Apple, "Establishing a token-based connection to APNs".
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PERIOD: Final = 2_400
HALF_PERIOD: Final = PERIOD // 2
LEAST_AGE: Final = 300
"""Seconds by which `iat` always lies back."""


class ProviderTokens:
    """The provider token of one .p8 key, now.

    `key` is the .p8 file's bytes, `wall_clock` gives unix seconds (the database's time, so that
    all processes agree). Raises ValueError for a key that is not P-256 PKCS#8, and for ids that
    are not of ten characters.
    """

    def __init__(
        self, key: bytes, key_id: str, team_id: str, wall_clock: Callable[[], float]
    ) -> None:
        for name, value in (("key id", key_id), ("team id", team_id)):
            if len(value) != 10 or not value.isascii() or not value.isalnum():
                raise ValueError(f"the {name} must be ten letters or digits")
        self._key = _load(key)
        self._key_id = key_id
        self._team_id = team_id
        self._clock = wall_clock
        self._token = b""
        self._issued_at = 0
        self._renew_at = 0.0

    def current(self) -> tuple[bytes, int]:
        """The token to send now, and its `iat` in unix seconds."""
        now = self._clock()
        # A clock that was set back must not leave us with a token that is too young; a few seconds
        # are the jitter of clock estimates, and signing for them would make tokens alternate.
        if now >= self._renew_at or now < self._issued_at + LEAST_AGE - 10:
            self._sign((int(now) - LEAST_AGE) // PERIOD * PERIOD)
        return self._token, self._issued_at

    def refused_as_expired(self, issued_at: int) -> None:
        """Apple called the token of this `iat` expired: sign anew, if that may help.

        Only a token of 25 minutes or more is replaced, by the half step of the same grid, so that
        every process that has to makes the same one. A younger one is refused because somebody's
        clock is wrong: new tokens would be refused as well, and their number is limited.
        """
        half = issued_at + HALF_PERIOD
        old = self._clock() >= half + LEAST_AGE
        if issued_at == self._issued_at and old and issued_at % PERIOD == 0:
            self._sign(half)
            self._renew_at = half + HALF_PERIOD + LEAST_AGE

    def _sign(self, issued_at: int) -> None:
        head = _part({"alg": "ES256", "kid": self._key_id})
        claims = _part({"iss": self._team_id, "iat": issued_at})
        signed = head + b"." + claims
        der = self._key.sign(signed, ECDSA(SHA256(), deterministic_signing=True))
        r, s = decode_dss_signature(der)
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        self._token = signed + b"." + _unpadded_base64(raw)
        self._issued_at = issued_at
        self._renew_at = issued_at + PERIOD + LEAST_AGE


def _load(key: bytes) -> EllipticCurvePrivateKey:
    try:
        loaded = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the .p8 is not an unencrypted PKCS#8 private key in PEM") from None
    if not isinstance(loaded, EllipticCurvePrivateKey) or not isinstance(loaded.curve, SECP256R1):
        # A wrong value to whoever uploaded it, whatever its Python type.
        raise ValueError(  # noqa: TRY004
            "the .p8 key must be an elliptic curve key on P-256"
        )
    return loaded


def _part(value: dict[str, object]) -> bytes:
    return _unpadded_base64(json.dumps(value, separators=(",", ":")).encode())


def _unpadded_base64(value: bytes) -> bytes:
    return urlsafe_b64encode(value).rstrip(b"=")
