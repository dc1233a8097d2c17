"""What a certificate says of itself, in Apple's terms.

Apple documents extensions .3.4 and .3.6 ("Establishing a certificate-based connection to APNs");
.3.1 and .3.2 are strong hints: with neither, a certificate is taken to serve both environments.
"""

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.core.app_id import VOIP, without_voip
from app.credentials.files.der import SEQUENCE, UTF8_STRING, DerError, element
from app.credentials.files.parsed_file import BOTH, PRODUCTION, SANDBOX
from app.credentials.files.refusals import Refused, reject

_APPLE = "1.2.840.113635.100.6"
DEVELOPMENT_MARK = x509.ObjectIdentifier(f"{_APPLE}.3.1")
PRODUCTION_MARK = x509.ObjectIdentifier(f"{_APPLE}.3.2")
VOIP_MARK = x509.ObjectIdentifier(f"{_APPLE}.3.4")
TOPIC_LIST = x509.ObjectIdentifier(f"{_APPLE}.3.6")
PUSH_MARKS = {DEVELOPMENT_MARK, PRODUCTION_MARK, VOIP_MARK, TOPIC_LIST}
SIGNING_NAMES = (
    "iPhone Distribution", "iPhone Developer", "Apple Distribution", "Apple Development",
    "Mac Developer", "3rd Party Mac Developer", "Developer ID", "Mac App Distribution",
    "Mac Installer Distribution",
)  # fmt: skip
MIN_BITS, MAX_BITS = 2_048, 4_096
MOST_TOPICS = 100


class Leaf:
    """One certificate and what it means. Raises ValueError for one that cannot be read."""

    def __init__(self, der: bytes) -> None:
        self.certificate = x509.load_der_x509_certificate(der)
        self.issuer = self.certificate.issuer  # parsed when it is read: damage shows here
        self.oids = {extension.oid for extension in self.certificate.extensions}
        self.uid = self._attribute(NameOID.USER_ID)
        self.common_name = self._attribute(NameOID.COMMON_NAME)
        self.subject = self.common_name or self.uid or "without a name"
        self.team_id = self._attribute(NameOID.ORGANIZATIONAL_UNIT_NAME) or None
        self.not_before = self.certificate.not_valid_before_utc
        self.not_after = self.certificate.not_valid_after_utc
        self.key_fingerprint = fingerprint_of(self.certificate.public_key())
        self.topics, self.voip = self._topics()

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:x}"

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def is_push(self) -> bool:
        """Whether any of Apple's push marks is on it."""
        return bool(self.oids & PUSH_MARKS) and bool(self.uid)

    @property
    def is_authority(self) -> bool:
        try:
            found = self.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        except x509.ExtensionNotFound:
            return self.issuer == self.certificate.subject and not self.is_push
        return found.value.ca

    @property
    def is_for_signing(self) -> bool:
        if self.common_name.startswith(SIGNING_NAMES):
            return True
        try:
            usage = self.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        except x509.ExtensionNotFound:
            return False
        return ExtendedKeyUsageOID.CODE_SIGNING in usage.value

    @property
    def app_id(self) -> str:
        """The app's bundle id: the subject's UID, which Apple writes with and without `.voip`."""
        return without_voip(self.uid).lower()

    @property
    def environments(self) -> tuple[str, ...]:
        marks = {PRODUCTION: PRODUCTION_MARK, SANDBOX: DEVELOPMENT_MARK}
        return tuple(name for name in BOTH if marks[name] in self.oids) or BOTH

    def judge(self, now: datetime) -> None:
        """Raise the refusal that teaches most, if this is not a certificate to ring with."""
        if self.is_authority:
            raise self._refused("authority_certificate")
        if self.is_for_signing and not self.is_push:
            raise self._refused("signing_certificate")
        if not self.is_push:
            raise self._refused("not_a_push_certificate")
        if not self.voip:
            raise self._refused("no_voip_topic")
        key = self.certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey) and not MIN_BITS <= key.key_size <= MAX_BITS:
            raise self._refused("weak_key", bits=key.key_size)
        if self.not_after <= now:
            raise self._refused("expired", not_after=f"{self.not_after:%Y-%m-%d %H:%M} UTC")
        if self.not_before > now:
            raise self._refused("not_yet_valid", not_before=f"{self.not_before:%Y-%m-%d %H:%M} UTC")

    def _refused(self, code: str, **facts: object) -> Refused:
        return reject(code, subject=self.subject, **facts)

    def _attribute(self, oid: x509.ObjectIdentifier) -> str:
        values = self.certificate.subject.get_attributes_for_oid(oid)
        value = values[0].value if values else ""
        return value if isinstance(value, str) else ""

    def _topics(self) -> tuple[tuple[str, ...], bool]:
        """The topics it may push to, and whether VoIP is among them."""
        marked = VOIP_MARK in self.oids
        listed = self._listed_topics()
        if not listed:
            return (
                (without_voip(self.uid) + VOIP if marked else self.uid,) if self.uid else ()
            ), marked
        voip = any(topic.lower().endswith(VOIP) or VOIP[1:] in kinds for topic, kinds in listed)
        return tuple(topic for topic, _ in listed), voip or marked

    def _listed_topics(self) -> list[tuple[str, list[str]]]:
        """Extension .3.6: a SEQUENCE of pairs, a topic and the SEQUENCE of its kinds."""
        if TOPIC_LIST not in self.oids:
            return []
        value = self.certificate.extensions.get_extension_for_oid(TOPIC_LIST).value
        found: list[tuple[str, list[str]]] = []
        try:
            assert isinstance(value, x509.UnrecognizedExtension)
            for one in element(value.value).expect(SEQUENCE).children():
                if one.tag == UTF8_STRING:
                    found.append((one.content.decode(), []))
                elif one.tag == SEQUENCE and found:
                    found[-1][1].extend(kind.content.decode() for kind in one.children())
        except (DerError, UnicodeDecodeError) as error:
            raise ValueError("its list of topics is malformed") from error
        return found[:MOST_TOPICS]


def fingerprint_of(key: CertificatePublicKeyTypes) -> str:
    """SHA-256 of the SubjectPublicKeyInfo: the same for a certificate, its key and its request."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize().hex()


def chain_of(leaf: Leaf, others: list[Leaf]) -> list[Leaf]:
    """The authorities that stand between the leaf and its root, in TLS order, the root left out."""
    chain: list[Leaf] = []
    issuer = leaf.issuer
    for _ in others:
        above = next((one for one in others if one.certificate.subject == issuer), None)
        if above is None or above.issuer == above.certificate.subject:
            break
        chain.append(above)
        others = [one for one in others if one is not above]
        issuer = above.issuer
    return chain
