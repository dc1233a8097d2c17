"""Keys with which a tenant's own identity provider signs user tokens (RFC 7517).

The algorithm is fixed by the key: RS256 for RSA, ES256 for P-256. What a token's header says only
has to agree, so that no public key can ever be taken for a shared secret.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from app.core.frozen import frozen
from app.infra import clock
from app.infra.errors import Unauthorized, Unavailable
from app.infra.safe_http import SafeHttp
from app.infra.tasks import Tasks

log = structlog.get_logger(__name__)

ALGORITHMS: Final = {"RSA None": "RS256", "EC P-256": "ES256"}
MOST_KEYS: Final = 50
LONGEST_KID: Final = 200
SMALLEST_RSA: Final = 2_048
"""Bits (RFC 7518, 3.3)."""
LARGEST_RSA: Final = 8_192
LARGEST_EXPONENT: Final = 2**32 - 1
"""All tenants wait while one verifies a token: 22 ms with an exponent of 3,072 bits, else 0.1."""

KEPT: Final = 600.0
"""Seconds for which a set that was fetched is trusted."""
ASK_AGAIN: Final = 60.0
"""Seconds between two tries at most, whoever asks: for an unknown `kid`, or after a failure."""
FIRST_AGAIN: Final = 5.0
"""The same while there is no set at all."""
OUTLIVES: Final = 3_600.0
"""Seconds for which a set is still used when its address does not answer any more."""
WITHIN: Final = 3.0
"""Seconds that one fetch may take: a request waits for it."""


class BadKeySet(ValueError):
    """What was given is no set of public keys; says why."""


@frozen
class VerifyKey:
    """A public key and the one algorithm that it is good for."""

    algorithm: str
    key: RSAPublicKey | EllipticCurvePublicKey


KeySet = Mapping[str, VerifyKey]
"""By `kid`."""


def key_set(document: Any) -> KeySet:
    """The keys of a JWKS that can sign user tokens. Others in it are passed over.

    Raises BadKeySet for what is no JWKS, holds a private key, or holds no key of use.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise BadKeySet("must be an object with a list `keys` (RFC 7517)")
    found: dict[str, VerifyKey] = {}
    for one in listed[:MOST_KEYS]:
        if not isinstance(one, dict):
            continue
        if one.get("kty") == "oct" or "d" in one:
            raise BadKeySet("holds a private or shared key: give public keys only")
        key = _key(one)
        if key is not None:
            found[one["kid"]] = key
    if not found:
        raise BadKeySet("holds no key for RS256 (2,048 to 8,192 bits) or ES256 with a `kid`")
    return found


def _key(one: dict[str, Any]) -> VerifyKey | None:
    kid, kind = one.get("kid"), f"{one.get('kty')} {one.get('crv')}"
    algorithm = ALGORITHMS.get(kind)
    fits = one.get("alg", algorithm) == algorithm and one.get("use", "sig") == "sig"
    acts = one.get("key_ops", ["verify"])
    fits = fits and isinstance(acts, list) and "verify" in acts  # RFC 7517, 4.3
    if algorithm is None or not fits or not isinstance(kid, str) or len(kid) > LONGEST_KID:
        return None
    try:
        key = (RSAAlgorithm if algorithm == "RS256" else ECAlgorithm).from_jwk(one)
    except (InvalidKeyError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and (
        not SMALLEST_RSA <= key.key_size <= LARGEST_RSA or key.public_numbers().e > LARGEST_EXPONENT
    ):
        return None
    assert isinstance(key, RSAPublicKey | EllipticCurvePublicKey)
    return VerifyKey(algorithm, key)


@frozen
class Held:
    """A set as it was fetched; times on the monotonic clock."""

    keys: KeySet
    fetched: float


class KeySets:
    """Key sets of tenants' addresses, as one process holds them. Belongs to one event loop.

    Nobody holds anything shared while a set is fetched: who waits waits for its own tenant.
    """

    def __init__(self, http: SafeHttp, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._monotonic = monotonic
        self._held: dict[tuple[UUID, str], Held] = {}
        self._asked: dict[tuple[UUID, str], float] = {}
        self._tasks = Tasks("jwks")
        self._fetching: dict[tuple[UUID, str], asyncio.Task[None]] = {}

    async def key(self, tenant_id: UUID, url: str, kid: str) -> VerifyKey:
        """The key of this `kid`. Raises Unauthorized (401), Unavailable (503) without any set."""
        place = (tenant_id, url)
        if self._wants(place, kid):
            await self._fetch(place)
        held = self._held.get(place)
        if held is None or self._monotonic() > held.fetched + OUTLIVES:
            raise Unavailable("jwks_unavailable", "the tenant's `jwks_url` gives no keys")
        return known_key(held.keys, kid)

    async def close(self) -> None:
        """Fetch nothing more."""
        await self._tasks.stop()
        await self._http.close()

    def _wants(self, place: tuple[UUID, str], kid: str) -> bool:
        now, held = self._monotonic(), self._held.get(place)
        rested = now - self._asked.get(place, -ASK_AGAIN)
        if place in self._fetching:
            return held is None or kid not in held.keys
        if held is None:
            return rested >= FIRST_AGAIN
        wanted = kid not in held.keys or now > held.fetched + KEPT
        return wanted and rested >= ASK_AGAIN

    async def _fetch(self, place: tuple[UUID, str]) -> None:
        task = self._fetching.get(place)
        if task is None:
            self._asked[place] = self._monotonic()
            task = self._tasks.spawn("fetch", self._ask(place), of_all=True)
            self._fetching[place] = task
            task.add_done_callback(lambda _: self._fetching.pop(place, None))
        await asyncio.shield(task)  # who goes away does not end it for others

    async def _ask(self, place: tuple[UUID, str]) -> None:
        tenant_id, url = place
        answer = await self._http.get(url, now=clock.now(), owner=tenant_id)
        why: str | None = answer.error
        if answer.ok and why is None:
            try:
                keys = key_set(orjson.loads(answer.text or ""))
            except (BadKeySet, orjson.JSONDecodeError) as error:
                why = "bad_key_set" if isinstance(error, BadKeySet) else "not_json"
            else:
                self._held[place] = Held(keys, self._monotonic())
        if why is not None:
            log.warning("jwks_not_fetched", tenant=str(tenant_id), reason=why)


def known_key(keys: KeySet, kid: str) -> VerifyKey:
    """The key of this `kid`. Raises Unauthorized (401)."""
    key = keys.get(kid)
    if key is None:
        raise Unauthorized("invalid_token", "the JWT's `kid` names no key of its tenant's JWKS")
    return key
