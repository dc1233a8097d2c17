"""A test authority, and the certificates that the simulator and its clients use.

Nothing here is checked in: all is made at run time. The authority's certificate is written to
`ca.pem`, which `RINGLINE_APNS_CA_FILE` (or any client's trust store) may point at.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devkit.simulator import apple_extensions

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KeyKind = Literal["ec", "rsa"]
SERVER_NAMES = (
    "localhost",
    "api.push.apple.com",
    "api.sandbox.push.apple.com",
    "fcm.googleapis.com",
    "oauth2.googleapis.com",
)
LIFETIME = timedelta(days=395)
"""About 13 months, as Apple's push certificates."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with, unless it was made from a CSR, its private key."""

    certificate: x509.Certificate
    key: PrivateKey | None

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        """Give the certificate alone, as Apple's portal hands it out (`.cer`)."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return private_pem(self._private())

    @property
    def pem(self) -> bytes:
        """Give certificate and private key in one file, as aioapns and httpx read it."""
        return self.certificate_pem + self.key_pem

    def p12(self, password: str = "", name: str = "push") -> bytes:
        """Give PKCS#12; an empty password makes a file without encryption."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            encryption = serialization.BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(
            name.encode(), self._private(), self.certificate, None, encryption
        )

    def _private(self) -> PrivateKey:
        if self.key is None:
            raise ValueError("this certificate was made from a CSR: its key is with the requester")
        return self.key


class Authority:
    """Signs the server's certificate and its clients', in the place of Apple's authorities."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self.key = key

    @classmethod
    def create(cls, name: str = "Ringline simulator test authority") -> "Authority":
        """Make a new authority in memory."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name({NameOID.COMMON_NAME: name})
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3650))
            .not_valid_after(now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_ca_usage(), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        """Read the authority kept in `folder` (`ca.pem`, `ca.key`), or make one there.

        A simulator that starts again keeps its authority, so credentials that were stored
        elsewhere stay good.
        """
        ca_file, key_file = folder / "ca.pem", folder / "ca.key"
        if ca_file.exists() and key_file.exists():
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{key_file} does not hold an EC key; remove it to make a new one")
            return cls(x509.load_pem_x509_certificate(ca_file.read_bytes()), key)
        authority = cls.create()
        folder.mkdir(parents=True, exist_ok=True)
        key_file.touch(mode=0o600)
        key_file.write_bytes(private_pem(authority.key))
        ca_file.write_bytes(authority.pem)
        return authority

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        subject: x509.Name,
        extensions: Sequence[x509.ExtensionType],
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        key_kind: KeyKind = "ec",
        csr: x509.CertificateSigningRequest | None = None,
    ) -> Issued:
        """Sign a leaf; the key is made here unless a CSR brings one (ValueError if forged)."""
        key = None if csr else make_key(key_kind)
        if csr is not None and not csr.is_signature_valid:
            raise ValueError("the signature of this CSR does not match its key")
        begins = not_before or datetime.now(UTC) - timedelta(hours=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key((csr or _present(key)).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(not_after or begins + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return Issued(builder.sign(self.key, hashes.SHA256()), key)

    def server(
        self,
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        names: Sequence[str] = SERVER_NAMES,
    ) -> Issued:
        """Make a server certificate for Apple's and Google's names, localhost and loopback."""
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        if "localhost" in names:
            alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
            alternatives.append(x509.IPAddress(ipaddress.ip_address("::1")))
        return self.issue(
            _name({NameOID.COMMON_NAME: names[0]}),
            [
                x509.SubjectAlternativeName(alternatives),
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            ],
            not_before=not_before,
            not_after=not_after,
        )


def make_key(kind: KeyKind = "ec") -> PrivateKey:
    """Make a private key: P-256 (fast, the default here) or RSA 2048 (what Keychain makes)."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKey) -> bytes:
    """Give a private key as PKCS#8 PEM without a password, the form of Apple's `.p8`."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def flag(oid: x509.ObjectIdentifier) -> x509.UnrecognizedExtension:
    """Make one of Apple's marker extensions, whose value is NULL."""
    return x509.UnrecognizedExtension(oid, apple_extensions.DER_NULL)


def _present(key: PrivateKey | None) -> PrivateKey:
    if key is None:
        raise ValueError("neither a key nor a CSR")
    return key


def _name(parts: dict[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
