"""Provider tokens: good ones, each kind of bad one, and what binds to a connection."""

import base64
import json
import secrets
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from devkit.simulator import ProviderCredential, Simulator
from tests.devkit.simulator.conftest import BUNDLE, Connect, bearer_of
from tests.devkit.simulator.raw_client import TOPIC, Reset


async def test_a_good_token_is_accepted(
    connect: Connect, sim: Simulator, token: str, key: ProviderCredential, bearer: str
) -> None:
    async with connect() as client:
        assert (await client.push(token, bearer=bearer)).status == 200
    (arrival,) = sim.arrivals()
    assert arrival.client == {"kind": "token", "team_id": key.team_id, "key_id": key.key_id}


async def test_the_scheme_is_read_in_any_case(connect: Connect, token: str, bearer: str) -> None:
    async with connect() as client:
        for scheme in ("bearer", "Bearer", "BEARER"):
            answer = await client.push(token, authorization=f"{scheme} {bearer}")
            assert answer.status == 200


@pytest.mark.parametrize("authorization", [None, "", "bearer", "basic abc"])
async def test_missing(connect: Connect, token: str, authorization: str | None) -> None:
    async with connect() as client:
        answer = await client.push(token, authorization=authorization)
        assert (answer.status, answer.reason) == (403, "MissingProviderToken")


def forged(bearer: str) -> str:
    head, claims, signature = bearer.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[10] ^= 1
    return f"{head}.{claims}.{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


def other_algorithm(key: ProviderCredential) -> str:
    private = ec.generate_private_key(ec.SECP384R1())
    claims = {"iss": key.team_id, "iat": int(time.time())}
    return jwt.encode(claims, private, "ES384", headers={"kid": key.key_id})


def unsigned(key: ProviderCredential) -> str:
    parts = [{"alg": "none", "kid": key.key_id}, {"iss": key.team_id, "iat": int(time.time())}]
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*encoded, ""])


async def test_invalid(connect: Connect, token: str, key: ProviderCredential, bearer: str) -> None:
    unknown = ProviderCredential(key.p8, "AAAAAAAAAA", key.team_id)
    foreign = ProviderCredential(key.p8, key.key_id, "OTHERTEAM1")
    bad = [
        "abc",
        "a.b.c",
        "e30.e30.e30",
        "W10.e30.e30",
        forged(bearer),
        other_algorithm(key),
        unsigned(key),
        bearer_of(unknown),
        bearer_of(foreign),
        bearer_of(key, iat=None),
        bearer_of(key, iat=True),
        bearer_of(key, iat="soon"),
        bearer_of(key, iat=[1]),
        bearer_of(key, time.time() + 120),
    ]
    async with connect() as client:
        for text in bad:
            answer = await client.push(token, bearer=text)
            assert (answer.status, answer.reason) == (403, "InvalidProviderToken"), text
        assert (await client.push(token, bearer=bearer)).status == 200


async def test_a_revoked_key_is_invalid_at_once(
    connect: Connect, sim: Simulator, token: str
) -> None:
    made = sim.provider_key()
    good = bearer_of(made)
    async with connect() as client:
        assert (await client.push(token, bearer=good)).status == 200
        sim.revoke_key(made.key_id)
        assert (await client.push(token, bearer=good)).reason == "InvalidProviderToken"


async def test_an_issue_time_may_be_broken_or_text(
    connect: Connect, token: str, key: ProviderCredential
) -> None:
    """Clients in use with APNs write both."""
    for issued_at in (time.time(), str(int(time.time()))):
        async with connect() as client:
            assert (await client.push(token, bearer=bearer_of(key, iat=issued_at))).status == 200


async def test_expired(connect: Connect, token: str, key: ProviderCredential) -> None:
    async with connect() as client:
        answer = await client.push(token, bearer=bearer_of(key, time.time() - 3605))
        assert (answer.status, answer.reason) == (403, "ExpiredProviderToken")
        assert (await client.push(token, bearer=bearer_of(key, time.time() - 3590))).status == 200


async def test_expires_while_in_use(
    connect: Connect, sim: Simulator, token: str, bearer: str
) -> None:
    async with connect() as client:
        assert (await client.push(token, bearer=bearer)).status == 200
        sim.set_conduct(clock_offset=3700)
        assert (await client.push(token, bearer=bearer)).reason == "ExpiredProviderToken"
        sim.set_conduct(clock_offset=-7200)
        assert (await client.push(token, bearer=bearer)).reason == "InvalidProviderToken"


async def test_a_new_token_only_every_20_minutes(
    connect: Connect, token: str, key: ProviderCredential
) -> None:
    now = int(time.time())
    async with connect() as client:
        assert (await client.push(token, bearer=bearer_of(key, now - 2500))).status == 200
        answer = await client.push(token, bearer=bearer_of(key, now - 2500 + 1199))
        assert (answer.status, answer.reason) == (429, "TooManyProviderTokenUpdates")
        # The same second signed again is another token too: signatures are random.
        again = await client.push(token, bearer=bearer_of(key, now - 2500))
        assert again.reason == "TooManyProviderTokenUpdates"
        assert (await client.push(token, bearer=bearer_of(key, now - 1300))).status == 200
    async with connect() as fresh:
        assert (await fresh.push(token, bearer=bearer_of(key, now))).status == 200


async def test_the_20_minutes_may_hold_for_a_key_over_connections(
    connect: Connect, sim: Simulator, token: str
) -> None:
    made = sim.provider_key()
    sim.set_conduct(provider_token_scope="key")
    first, second = bearer_of(made), bearer_of(made)
    async with connect() as one, connect() as two:
        assert (await one.push(token, bearer=first)).status == 200
        assert (await two.push(token, bearer=first)).status == 200
        assert (await two.push(token, bearer=second)).reason == "TooManyProviderTokenUpdates"


async def test_team_and_key_bind_at_the_first_push(
    connect: Connect, sim: Simulator, token: str, key: ProviderCredential, bearer: str
) -> None:
    sister = sim.provider_key(key.team_id)
    stranger = sim.provider_key("OTHERTEAM1")
    now = int(time.time())
    async with connect() as client:
        assert (await client.push(token, bearer=bearer)).status == 200
        answer = await client.push(token, bearer=bearer_of(sister, now))
        assert (answer.status, answer.reason) == (403, "UnrelatedKeyIdInToken")
        answer = await client.push(token, bearer=bearer_of(stranger, now))
        assert (answer.status, answer.reason) == (403, "InvalidProviderToken")
        assert (await client.push(token, bearer=bearer)).status == 200
    async with connect() as client:
        assert (await client.push(token, bearer=bearer_of(stranger, now))).status == 200


async def test_a_bad_token_binds_nothing(
    connect: Connect, sim: Simulator, token: str, key: ProviderCredential, bearer: str
) -> None:
    stranger = sim.provider_key("OTHERTEAM1")
    async with connect() as client:
        assert (
            await client.push(token, bearer=bearer_of(stranger, time.time() - 4000))
        ).status == 403
        assert (await client.push(token, bearer=bearer)).status == 200


async def test_environment_of_a_key(connect: Connect, sim: Simulator, bearer: str) -> None:
    made = secrets.token_hex(32)
    sim.live(made, environment=None)
    sandbox_key = bearer_of(sim.provider_key(environment="sandbox"))
    async with connect() as client:
        answer = await client.push(made, bearer=sandbox_key)
        assert (answer.status, answer.reason) == (403, "BadEnvironmentKeyInToken")
        assert (await client.push(made, bearer=bearer)).status == 200
        answer = await client.push(made, bearer=sandbox_key)
        assert (answer.status, answer.reason) == (403, "BadEnvironmentKeyIdInToken")
    async with connect(environment="sandbox") as client:
        assert (await client.push(made, bearer=sandbox_key)).status == 200


async def test_topics_of_a_key(connect: Connect, sim: Simulator, token: str) -> None:
    made = sim.provider_key(topics=[BUNDLE])
    text = bearer_of(made)
    async with connect() as client:
        assert (await client.push(token, bearer=text)).status == 200
        answer = await client.push(token, bearer=text, topic="com.example.apple.voip")
        assert (answer.status, answer.reason) == (400, "TopicDisallowed")
        # A topic that the key gains later needs a new connection.
        private = made.p8.encode()
        sim.register_key(made.team_id, made.key_id, private, topics=[BUNDLE, "com.new.app"])
        gained = secrets.token_hex(32)
        sim.live(gained)
        answer = await client.push(gained, bearer=text, topic="com.new.app.voip")
        assert answer.reason == "TopicDisallowed"
    async with connect() as client:
        answer = await client.push(gained, bearer=text, topic="com.new.app.voip")
        assert answer.status == 200


async def test_one_stream_until_a_token_is_accepted(
    connect: Connect, sim: Simulator, token: str, bearer: str
) -> None:
    async with connect() as client:
        await client.ready()
        assert client.stream_limit == 1
        assert (await client.push(token, bearer="bad")).status == 403
        assert client.stream_limit == 1
        assert (await client.push(token, bearer=bearer)).status == 200
        await client.until(lambda: client.stream_limit == 1000)
    assert sim.statistics()["refused_streams"] == 0


async def test_the_limit_rises_even_if_that_push_is_refused(connect: Connect, bearer: str) -> None:
    async with connect() as client:
        assert (await client.push("ab" * 32, bearer=bearer)).reason == "BadDeviceToken"
        await client.until(lambda: client.stream_limit == 1000)


async def test_more_streams_than_one_are_refused(
    connect: Connect, sim: Simulator, token: str, bearer: str
) -> None:
    async with connect() as client:
        # Before SETTINGS have come a client may not know; the stream is refused all the same.
        streams = [client.send(token, bearer=bearer, end=False) for _ in range(3)]
        for refused in streams[1:]:
            with pytest.raises(Reset) as caught:
                await client.answer(refused)
            assert caught.value.code == 7
        client.h2.end_stream(streams[0])
        client.flush()
        assert (await client.answer(streams[0])).status == 200
    assert sim.statistics()["refused_streams"] == 2
    assert len(sim.arrivals()) == 1


async def test_a_certificate_needs_no_such_beginning(connect: Connect, certificate: object) -> None:
    async with connect(certificate) as client:
        await client.ready()
        assert client.stream_limit == 1000


def test_keys_are_p256_in_pkcs8(key: ProviderCredential) -> None:
    private = serialization.load_pem_private_key(key.p8.encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    assert private.curve.name == "secp256r1"
    assert key.p8.startswith("-----BEGIN PRIVATE KEY-----")
    assert (len(key.key_id), len(key.team_id)) == (10, 10)


def test_registers_public_halves_and_refuses_other_keys(sim: Simulator) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    sim.register_key("TEAM123456", "PUBLICKEY1", public)
    with pytest.raises(ValueError, match="ten characters"):
        sim.register_key("TEAM123456", "SHORT", public)
    wrong = (
        ec.generate_private_key(ec.SECP384R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ValueError, match="P-256"):
        sim.register_key("TEAM123456", "PUBLICKEY2", wrong)


async def test_a_topic_is_always_needed(connect: Connect, token: str, bearer: str) -> None:
    async with connect() as client:
        answer = await client.push(token, bearer=bearer, topic=None)
        assert (answer.status, answer.reason) == (400, "MissingTopic")
        assert (await client.push(token, bearer=bearer, topic=TOPIC)).status == 200
