"""Provider authentication tokens: whose they are, whether they are good, how often they change.

Source: "Establishing a token-based connection to APNs".
"""

import base64
import binascii
import json
import math
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from devkit.simulator.answers import Refusal
from devkit.simulator.certificates import private_pem
from devkit.simulator.devices import Environment

LIFETIME = 3600
UPDATE_INTERVAL = 1200
FUTURE_LEEWAY = 60
"""Seconds that a token may be ahead of our clock; Apple names no figure."""
_ID_LENGTH = 10

UpdateScope = Literal["connection", "key", "off"]


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A registered `.p8` key: its public half and what it may be used for.

    `environment` None: both. `topics` None: all of the team's (a team-scoped key); otherwise the
    bundle ids of a topic-specific key, good for their suffixed topics (`.voip`) too.
    """

    team_id: str
    key_id: str
    public_key: ec.EllipticCurvePublicKey
    environment: Environment | None = None
    topics: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ProviderCredential:
    """What a developer downloads and notes down: the `.p8` file's text and two ids."""

    p8: str
    key_id: str
    team_id: str


@dataclass(slots=True)
class Binding:
    """What one connection is bound to since its first valid token."""

    key: ProviderKey
    bearer: str
    issued_at: float


@dataclass(slots=True)
class _Verified:
    key: ProviderKey
    issued_at: float


@dataclass(slots=True)
class ProviderTokens:
    """The registered keys, and the check of a bearer token against them."""

    keys: dict[str, ProviderKey] = field(default_factory=dict)
    update_scope: UpdateScope = "connection"
    _verified: dict[str, _Verified] = field(default_factory=dict)
    _latest_of_key: dict[str, Binding] = field(default_factory=dict)

    def register(
        self,
        team_id: str,
        key_id: str,
        public_key_pem: bytes,
        *,
        environment: Environment | None = None,
        topics: Iterable[str] | None = None,
    ) -> None:
        """Register a key by its public half (or private: its public half is taken), in PEM."""
        if len(team_id) != _ID_LENGTH or len(key_id) != _ID_LENGTH:
            raise ValueError("team id and key id have ten characters")
        public = _public_key(public_key_pem)
        allowed = None if topics is None else frozenset(topics)
        self.keys[key_id] = ProviderKey(team_id, key_id, public, environment, allowed)
        self._verified.clear()

    def make(self, team_id: str, key_id: str | None = None) -> ProviderCredential:
        """Make a `.p8` key, without registering it."""
        alphabet = string.ascii_uppercase + string.digits
        made = key_id or "".join(secrets.choice(alphabet) for _ in range(_ID_LENGTH))
        pem = private_pem(ec.generate_private_key(ec.SECP256R1())).decode()
        return ProviderCredential(pem, made, team_id)

    def revoke(self, key_id: str) -> None:
        """Make a key unknown, as when it is revoked in Apple's portal."""
        self.keys.pop(key_id, None)
        self._verified.clear()

    def forget_history(self) -> None:
        """Forget which token each key used last."""
        self._latest_of_key.clear()

    def authenticate(
        self, authorization: str | None, bound: Binding | None, environment: Environment, now: float
    ) -> Binding:
        """Check a request's `authorization`; give the connection's binding from now on.

        Raises Refusal with one of Apple's 403 and 429 reasons. `now` is in seconds since 1970.
        """
        bearer = _bearer(authorization)
        if bound is not None and bound.bearer == bearer:
            _check_age(bound.issued_at, now)
            if bound.key.key_id not in self.keys:
                raise Refusal("InvalidProviderToken")
            return bound
        verified = self._verify(bearer)
        _check_age(verified.issued_at, now)
        _check_key(verified.key, bound, environment)
        self._check_interval(verified, bearer, bound)
        # Topics bind at the first push: what the key gains later needs a new connection.
        key = verified.key if bound is None else bound.key
        binding = Binding(key, bearer, verified.issued_at)
        self._latest_of_key[key.key_id] = binding
        return binding

    def _verify(self, bearer: str) -> _Verified:
        known = self._verified.get(bearer)
        if known is None:
            known = self._read(bearer)
            if len(self._verified) > 10_000:
                self._verified.clear()
            self._verified[bearer] = known
        return known

    def _read(self, bearer: str) -> _Verified:
        """Read and verify a JWT: ES256, `kid`, `iss`, `iat`."""
        try:
            head, claims, signature = bearer.split(".")
            header, payload = _json(head), _json(claims)
            raw = _base64(signature)
        except ValueError as error:
            raise Refusal("InvalidProviderToken") from error
        key = self.keys.get(str(header.get("kid")))
        issued_at = _issued_at(payload.get("iat"))
        if key is None or header.get("alg") != "ES256" or payload.get("iss") != key.team_id:
            raise Refusal("InvalidProviderToken")
        if issued_at is None or len(raw) != 64:
            raise Refusal("InvalidProviderToken")
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            key.public_key.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise Refusal("InvalidProviderToken") from error
        return _Verified(key, issued_at)

    def _check_interval(self, verified: _Verified, bearer: str, bound: Binding | None) -> None:
        """Refuse a token made less than 20 minutes before or after the one used last."""
        if self.update_scope == "off":
            return
        last = bound
        if self.update_scope == "key":
            last = self._latest_of_key.get(verified.key.key_id)
        if last is None or last.bearer == bearer:
            return
        if abs(verified.issued_at - last.issued_at) < UPDATE_INTERVAL:
            raise Refusal("TooManyProviderTokenUpdates")


def _issued_at(claim: object) -> float | None:
    """Read `iat`; clients that work with APNs send whole and broken numbers, and both as text."""
    if isinstance(claim, bool) or not isinstance(claim, int | float | str):
        return None
    try:
        seconds = float(claim)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _check_age(issued_at: float, now: float) -> None:
    if now - issued_at > LIFETIME:
        raise Refusal("ExpiredProviderToken")
    if issued_at - now > FUTURE_LEEWAY:
        raise Refusal("InvalidProviderToken")


def _check_key(key: ProviderKey, bound: Binding | None, environment: Environment) -> None:
    """Hold a connection to the team and key of its first push."""
    wrong_environment = key.environment not in (None, environment)
    if bound is None:
        if wrong_environment:
            raise Refusal("BadEnvironmentKeyInToken")
        return
    if key.team_id != bound.key.team_id:
        raise Refusal("InvalidProviderToken")
    if wrong_environment:
        raise Refusal("BadEnvironmentKeyIdInToken")
    if key.key_id != bound.key.key_id:
        raise Refusal("UnrelatedKeyIdInToken")


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal("MissingProviderToken")
    return token.strip()


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _json(part: str) -> dict[str, Any]:
    parsed = json.loads(_base64(part))
    if not isinstance(parsed, dict):
        raise ValueError("a part of the JWT is not a JSON object")  # noqa: TRY004 - bad content
    return parsed


def _public_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    if b"PRIVATE KEY" in pem:
        private = serialization.load_pem_private_key(pem, None)
        key: object = private.public_key()
    else:
        key = serialization.load_pem_public_key(pem)
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise ValueError("a provider key is an EC key on P-256")
    return key
