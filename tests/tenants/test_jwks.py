"""User tokens by a tenant's own identity provider: RS256 and ES256, by its JWKS."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.infra.errors import Unauthorized, Unavailable
from app.infra.ids import uuid7
from app.infra.safe_http import SafeHttp
from app.tenants import jwks
from app.tenants.jwks import BadKeySet, KeySets, key_set
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.tenants.test_revocations import code_of, made
from tests.webhooks.receiver import receiving

ISSUER = "https://id.example/"


@cache
def rsa_key(bits: int = 2_048, n: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(kid: str, key: Any, **more: Any) -> dict[str, Any]:
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {"kid": kid, **json.loads(kind.to_jwk(key.public_key())), **more}


def signed(key: Any, kid: str, algorithm: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    said = {"sub": "bob", "iss": ISSUER, "iat": now, "exp": now + 600, **claims}
    return jwt.encode(said, key, algorithm, headers={"kid": kid})


def test_a_key_alone_says_for_what_it_is() -> None:
    good = [
        public("r", rsa_key()),
        public("r2", rsa_key(), alg="RS256", use="sig", key_ops=["verify"]),
        public("e", ec_key()),
    ]
    passed_over = [
        public("x", rsa_key(), alg="PS256"),
        public("x", rsa_key(), alg=["RS256"]),
        public("x", rsa_key(), use="enc"),
        public("x", rsa_key(1_024)),
        public("x", ec.generate_private_key(ec.SECP384R1())),
        {**public("x", rsa_key()), "key_ops": ["encrypt"]},
        {**public("x", rsa_key()), "key_ops": "verify"},
        {**public("x", rsa_key()), "e": public("x", rsa_key())["n"][:-10] + "AAAAAAAAAQ"},
        {**public("x", rsa_key()), "n": "_" * 2_048},  # 12,288 bits
        {**public("x", rsa_key()), "kid": None},
        {**public("x", rsa_key()), "n": "!"},
        {**public("x", rsa_key()), "kty": ["RSA"]},
        "nonsense",
    ]
    found = key_set({"keys": [*good, *passed_over]})
    assert {kid: one.algorithm for kid, one in found.items()} == {
        "r": "RS256",
        "r2": "RS256",
        "e": "ES256",
    }
    private = json.loads(RSAAlgorithm.to_jwk(rsa_key()))
    shared = {"kty": "oct", "kid": "s", "k": "AAAA"}
    for bad in (
        {}, [], None, {"keys": {}}, {"keys": []}, {"keys": passed_over},
        {"keys": [{**private, "kid": "p"}]}, {"keys": [*good, shared]},
    ):  # fmt: skip
        with pytest.raises(BadKeySet):
            key_set(bad)


async def test_a_document_of_keys(site: Site) -> None:
    _, api = await made(site)
    rules = {"jwks": {"keys": [public("r", rsa_key()), public("e", ec_key())]}}

    async def put(**more: Any) -> str | None:
        answer = await api.put("/v1/settings", json={"user_tokens": rules | more})
        return None if answer.is_success else answer.json()["code"]

    assert await code_of(api, signed(rsa_key(), "r")) == "unknown_issuer"
    assert await put() == "missing_issuer"
    assert await put(issuer=ISSUER, jwks_url="https://id.example/keys") == "two_key_sets"
    assert await put(issuer=ISSUER, jwks={"keys": []}) == "invalid_jwks"
    assert await put(issuer=ISSUER, jwks=None, jwks_url="ftp://id.example/") == "invalid_url"
    assert await put(issuer=ISSUER) is None
    assert await code_of(api, signed(rsa_key(), "r")) is None
    assert await code_of(api, signed(ec_key(), "e", "ES256")) is None
    pem = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for wrong in (
        signed(rsa_key(n=1), "r"),
        signed(ec_key(), "r", "ES256"),
        signed(rsa_key(), "e"),
        signed(rsa_key(), "none"),
        confused(pem, "r"),
    ):
        assert await code_of(api, wrong) == "invalid_token"
    assert await code_of(api, signed(rsa_key(), "r", iss="https://evil.example/")) == (
        "unknown_issuer"
    )
    assert await code_of(api, signed(rsa_key(), "r", exp=1)) == "expired_token"
    of_before = signed(rsa_key(), "r")  # one of the next second is good
    await api.post("/v1/users/bob/revoke")
    assert await code_of(api, of_before) == "token_revoked"


def confused(pem: bytes, kid: str) -> str:
    """HS256 with the public key as the secret, as in the commonest attack on such servers."""

    def part(value: Any) -> bytes:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    claims = {"sub": "bob", "iss": ISSUER, "exp": int(time.time()) + 600}
    said = part({"alg": "HS256", "kid": kid}) + b"." + part(claims)
    return (said + b"." + part(hmac.digest(pem, said, hashlib.sha256))).decode()


async def test_a_tenant_takes_no_other_tenants_issuer(site: Site) -> None:
    from app.tenants import service

    _, api = await made(site)
    other = await service.create(site.runtime, "other")
    theirs = {"Authorization": f"Bearer {other.api_key}"}
    rules = {"issuer": ISSUER, "jwks": {"keys": [public("r", rsa_key())]}}
    evil = {"issuer": ISSUER, "jwks": {"keys": [public("r", rsa_key(n=1))]}}
    assert (await api.put("/v1/settings", json={"user_tokens": rules})).status_code == 200
    answer = await api.put("/v1/settings", json={"user_tokens": evil}, headers=theirs)
    assert (answer.status_code, answer.json()["code"]) == (409, "issuer_taken")
    named = evil | {"audience": "mine"}
    answer = await api.put("/v1/settings", json={"user_tokens": named}, headers=theirs)
    assert answer.status_code == 200
    assert await code_of(api, signed(rsa_key(), "r")) is None
    assert await code_of(api, signed(rsa_key(), "r", aud="mine")) == "invalid_token"
    assert await code_of(api, signed(rsa_key(n=1), "r", aud=["x", "mine"])) is None
    assert (await api.put("/v1/settings", json={}, headers=theirs)).status_code == 200
    assert await code_of(api, signed(rsa_key(), "r", aud="mine")) is None


async def test_an_address_of_keys() -> None:
    """Fetched once for all who wait; asked again for an unknown `kid`, but not for every one."""
    http, tenant = SafeHttp(allow_private=True, within=2), uuid7()
    passed = 0.0
    sets = KeySets(http, lambda: time.monotonic() + passed)
    async with receiving() as receiver:
        receiver.body = json.dumps({"keys": [public("a", rsa_key())]}).encode()
        found = await asyncio.gather(*(sets.key(tenant, receiver.url, "a") for _ in range(20)))
        assert {one.algorithm for one in found} == {"RS256"}
        assert len(receiver.posts) == 1
        receiver.body = json.dumps({"keys": [public("b", ec_key())]}).encode()
        with pytest.raises(Unauthorized):
            await sets.key(tenant, receiver.url, "b")
        assert len(receiver.posts) == 1, "asked less than a minute ago"
        passed = jwks.ASK_AGAIN
        assert (await sets.key(tenant, receiver.url, "b")).algorithm == "ES256"
        receiver.status = 500
        passed += jwks.KEPT + 1
        assert (await sets.key(tenant, receiver.url, "b")).algorithm == "ES256"
        assert len(receiver.posts) == 3, "asked in vain, and used on"
        passed += jwks.OUTLIVES
        with pytest.raises(Unavailable):
            await sets.key(tenant, receiver.url, "b")
    await sets.close()


async def test_an_address_of_keys_leads_to_no_private_network() -> None:
    sets = KeySets(SafeHttp(allow_private=False))
    async with receiving() as receiver:
        receiver.body = json.dumps({"keys": [public("a", rsa_key())]}).encode()
        with pytest.raises(Unavailable):
            await sets.key(uuid7(), receiver.url, "a")
        assert receiver.connections == 0
    await sets.close()
