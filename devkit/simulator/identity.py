"""Who is on the other end of a connection: what its certificate lets it do.

Source: "Establishing a certificate-based connection to APNs".
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from devkit.simulator import apple_extensions

_TOPIC_KINDS = {
    apple_extensions.DEVELOPMENT,
    apple_extensions.PRODUCTION,
    apple_extensions.VOIP,
    apple_extensions.TOPICS,
}


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """A client certificate as APNs reads it.

    `usable` is false for one that is not from our authority or is no push certificate at all.
    `topics` are those it may push to, `environments` those it is for.
    """

    usable: bool
    uid: str
    team_id: str
    common_name: str
    topics: tuple[str, ...]
    environments: frozenset[str]
    fingerprint: str

    def as_dict(self) -> dict[str, object]:
        """Give the identity as it is listed with each request."""
        return {
            "kind": "certificate",
            "usable": self.usable,
            "uid": self.uid,
            "team_id": self.team_id,
            "common_name": self.common_name,
            "topics": list(self.topics),
            "environments": sorted(self.environments),
            "fingerprint": self.fingerprint,
        }


def read_certificate(certificate: x509.Certificate, *, trusted: bool) -> CertificateIdentity:
    """Read a client certificate; `trusted` says whether its chain ended at our authority."""
    present = {extension.oid for extension in certificate.extensions}
    uid = _attribute(certificate, NameOID.USER_ID)
    return CertificateIdentity(
        usable=trusted and bool(present & _TOPIC_KINDS) and bool(uid),
        uid=uid,
        team_id=_attribute(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME),
        common_name=_attribute(certificate, NameOID.COMMON_NAME),
        topics=_topics(certificate, uid, voip=apple_extensions.VOIP in present),
        environments=_environments(present),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _environments(present: set[x509.ObjectIdentifier]) -> frozenset[str]:
    """Tell which environments a certificate serves; with neither mark it serves both."""
    marked = set()
    if apple_extensions.DEVELOPMENT in present:
        marked.add("sandbox")
    if apple_extensions.PRODUCTION in present:
        marked.add("production")
    return frozenset(marked or {"sandbox", "production"})


def _topics(certificate: x509.Certificate, uid: str, *, voip: bool) -> tuple[str, ...]:
    listed: list[str] = []
    try:
        extension = certificate.extensions.get_extension_for_oid(apple_extensions.TOPICS)
    except x509.ExtensionNotFound:
        if not voip:
            return (uid,)
        return (uid if uid.endswith(".voip") else f"{uid}.voip",)
    value = extension.value
    if isinstance(value, x509.UnrecognizedExtension):
        try:
            listed = [topic for topic, _ in apple_extensions.decode_topics(value.value)]
        except (ValueError, UnicodeDecodeError):
            return ()
    return tuple(listed)


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    return str(values[0].value) if values else ""
