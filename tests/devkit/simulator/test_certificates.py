"""The certificates that the simulator makes, and what it thinks of each as a client's."""

import secrets
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from devkit.simulator import Authority, Issued, Simulator
from devkit.simulator import apple_extensions as apple
from devkit.simulator.push_certificates import voip
from tests.devkit.simulator.conftest import BUNDLE, Connect
from tests.devkit.simulator.raw_client import TOPIC, Ended


def subject(issued: Issued, oid: x509.ObjectIdentifier) -> str:
    (attribute,) = issued.certificate.subject.get_attributes_for_oid(oid)
    return str(attribute.value)


def extension(issued: Issued, oid: x509.ObjectIdentifier) -> bytes:
    value = issued.certificate.extensions.get_extension_for_oid(oid).value
    assert isinstance(value, x509.UnrecognizedExtension)
    return value.value


def present(issued: Issued) -> set[x509.ObjectIdentifier]:
    return {extension.oid for extension in issued.certificate.extensions}


def test_voip_certificate_looks_as_apples(certificate: Issued) -> None:
    assert subject(certificate, NameOID.USER_ID) == TOPIC
    assert subject(certificate, NameOID.COMMON_NAME) == f"VoIP Services: {BUNDLE}"
    assert subject(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME) == "TEAM123456"
    for oid in (apple.DEVELOPMENT, apple.PRODUCTION, apple.VOIP):
        assert extension(certificate, oid) == b"\x05\x00"
    assert apple.decode_topics(extension(certificate, apple.TOPICS)) == [
        (BUNDLE, ["app"]),
        (TOPIC, ["voip"]),
        (f"{BUNDLE}.complication", ["complication"]),
    ]
    lifetime = (
        certificate.certificate.not_valid_after_utc - certificate.certificate.not_valid_before_utc
    )
    assert lifetime == timedelta(days=395)


def test_topic_list_is_der_as_documented() -> None:
    der = apple.encode_topics([("com.x", ["app"]), ("com.x.voip", ["voip"])])
    assert der == b"\x30\x22\x0c\x05com.x\x30\x05\x0c\x03app\x0c\x0acom.x.voip\x30\x06\x0c\x04voip"
    long = [("com." + "x" * 200, ["app", "voip"])]
    assert apple.decode_topics(apple.encode_topics(long)) == long
    for broken in (b"", der[:-1], b"\x0c\x01a", b"\x30\x03\x02\x01\x01", b"\x30"):
        with pytest.raises(ValueError):
            apple.decode_topics(broken)


def test_variants(sim: Simulator) -> None:
    production = sim.voip_certificate(
        BUNDLE, environments="production", topic_list=False, uid=BUNDLE
    )
    assert {apple.PRODUCTION, apple.VOIP} <= present(production)
    assert not {apple.DEVELOPMENT, apple.TOPICS} & present(production)
    assert subject(production, NameOID.USER_ID) == BUNDLE
    alerts = sim.apns_certificate(BUNDLE)
    assert apple.VOIP not in present(alerts)
    assert apple.decode_topics(extension(alerts, apple.TOPICS)) == [(BUNDLE, ["app"])]
    assert not {apple.DEVELOPMENT, apple.PRODUCTION, apple.VOIP, apple.TOPICS} & present(
        sim.distribution_certificate()
    )


def test_keys_are_ec_or_rsa(sim: Simulator) -> None:
    assert isinstance(sim.voip_certificate(key_kind="rsa").key, rsa.RSAPrivateKey)
    assert isinstance(sim.voip_certificate().key, ec.EllipticCurvePrivateKey)


@pytest.mark.parametrize("password", ["", "secret"])
def test_p12_holds_key_and_certificate(certificate: Issued, password: str) -> None:
    made = certificate.p12(password)
    key, leaf, others = pkcs12.load_key_and_certificates(made, password.encode() or None)
    assert leaf == certificate.certificate
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate.certificate.public_key()
    assert others == []
    if password:
        with pytest.raises(ValueError):
            pkcs12.load_key_and_certificates(made, b"wrong")


def test_pem_and_der_forms(certificate: Issued) -> None:
    assert x509.load_pem_x509_certificate(certificate.pem) == certificate.certificate
    assert x509.load_der_x509_certificate(certificate.der) == certificate.certificate
    assert serialization.load_pem_private_key(certificate.pem, None)


def make_csr() -> tuple[ec.EllipticCurvePrivateKey, x509.CertificateSigningRequest]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Alice")])
    return key, x509.CertificateSigningRequestBuilder().subject_name(name).sign(
        key, hashes.SHA256()
    )


def test_signs_a_csr(sim: Simulator) -> None:
    key, csr = make_csr()
    issued = sim.voip_certificate(BUNDLE, csr_pem=csr.public_bytes(serialization.Encoding.PEM))
    assert issued.certificate.public_key() == key.public_key()
    assert subject(issued, NameOID.USER_ID) == TOPIC
    with pytest.raises(ValueError, match="requester"):
        _ = issued.pem


def test_refuses_a_forged_csr(sim: Simulator) -> None:
    _, csr = make_csr()
    der = bytearray(csr.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(ValueError, match="signature"):
        sim.voip_certificate(BUNDLE, csr_pem=forged)


def test_authority_is_kept_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "certs"
    made = Authority.open(folder)
    assert Authority.open(folder).certificate == made.certificate
    assert (folder / "ca.pem").read_bytes() == made.pem
    assert (folder / "ca.key").stat().st_mode & 0o077 == 0
    issued = voip(Authority.open(folder), BUNDLE)
    issued.certificate.verify_directly_issued_by(made.certificate)


async def test_wrong_topic_is_disallowed(connect: Connect, sim: Simulator, token: str) -> None:
    other = sim.voip_certificate("com.other.app")
    alerts = sim.apns_certificate(BUNDLE)
    for issued in (other, alerts):
        async with connect(issued) as client:
            answer = await client.push(token)
            assert (answer.status, answer.reason) == (400, "TopicDisallowed")
    async with connect(alerts) as client:
        plain = secrets.token_hex(32)
        sim.live(plain)
        assert (await client.push(plain, topic=BUNDLE, push_type="alert")).status == 200


@pytest.mark.parametrize("uid", [BUNDLE, TOPIC])
async def test_topic_of_a_certificate_without_a_list(
    connect: Connect, sim: Simulator, token: str, uid: str
) -> None:
    issued = sim.voip_certificate(BUNDLE, uid=uid, topic_list=False)
    async with connect(issued) as client:
        assert (await client.push(token)).status == 200
        # With a single topic the header may be left out.
        assert (await client.push(token, topic=None)).status == 200
        assert (await client.push(token, topic=BUNDLE, push_type=None)).reason == "TopicDisallowed"


@pytest.mark.parametrize(
    ("environments", "environment", "good"),
    [
        ("both", "production", True),
        ("both", "sandbox", True),
        ("none", "production", True),
        ("none", "sandbox", True),
        ("production", "production", True),
        ("production", "sandbox", False),
        ("development", "production", False),
        ("development", "sandbox", True),
    ],
)
async def test_environment_of_a_certificate(
    connect: Connect, sim: Simulator, environments: str, environment: str, good: bool
) -> None:
    made = secrets.token_hex(32)
    sim.live(made, environment=None)
    issued = sim.voip_certificate(BUNDLE, environments=environments)
    async with connect(issued, environment=environment) as client:
        answer = await client.push(made)
        expected = (200, None) if good else (403, "BadCertificateEnvironment")
        assert (answer.status, answer.reason) == expected


async def test_bad_certificates_are_told_over_http(
    connect: Connect, sim: Simulator, token: str
) -> None:
    stranger = voip(Authority.create("Somebody else"), BUNDLE)
    revoked = sim.voip_certificate(BUNDLE)
    sim.revoke_certificate(revoked)
    for issued in (stranger, revoked, sim.distribution_certificate()):
        async with connect(issued) as client:
            answer = await client.push(token)
            assert (answer.status, answer.reason) == (403, "BadCertificate")
    assert not any(a.delivered for a in sim.arrivals())


@pytest.mark.parametrize("when", ["expired", "not yet valid"])
async def test_certificates_out_of_time_are_refused_in_tls(
    connect: Connect, sim: Simulator, token: str, when: str
) -> None:
    begins = datetime.now(UTC) + timedelta(days=-400 if when == "expired" else 1)
    issued = sim.voip_certificate(BUNDLE, not_before=begins, not_after=begins + timedelta(days=390))
    alert = "certificate expired|expired" if when == "expired" else "bad certificate|certificate"
    with pytest.raises((ssl.SSLError, Ended, ConnectionError), match=f"(?i){alert}"):
        async with connect(issued) as client:
            await client.push(token)
    assert sim.statistics()["handshakes_failed"] == 1
    assert sim.statistics()["handshakes"] == 0
    assert sim.arrivals() == []


async def test_who_the_client_is_is_listed(
    connect: Connect, sim: Simulator, certificate: Issued, token: str
) -> None:
    async with connect(certificate) as client:
        await client.push(token)
    (arrival,) = sim.arrivals()
    assert arrival.client["kind"] == "certificate"
    assert arrival.client["uid"] == TOPIC
    assert arrival.client["team_id"] == "TEAM123456"
    fingerprint = certificate.certificate.fingerprint(hashes.SHA256()).hex()
    assert arrival.client["fingerprint"] == fingerprint


async def test_a_provider_token_is_ignored_beside_a_certificate(
    connect: Connect, certificate: Issued, token: str
) -> None:
    async with connect(certificate) as client:
        assert (await client.push(token, bearer="nonsense")).status == 200
