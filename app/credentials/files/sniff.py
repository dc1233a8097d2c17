"""Telling by content what a file is, and gathering the keys and certificates in it.

Nothing here judges them; see `reading`. Names of files play no part.
"""

from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from app.core.text import is_plain
from app.credentials.files import google, pem, pkcs12
from app.credentials.files.der import (
    BIT_STRING,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    DerError,
    element,
)
from app.credentials.files.pbe import (
    MOST_PASSWORD,
    Meter,
    Password,
    TooCostly,
    UnknownScheme,
    WrongPassword,
    first_that_opens,
    spellings,
)
from app.credentials.files.refusals import reject
from app.credentials.files.unwrap import unwrap

SIGNED_DATA = "1.2.840.113549.1.7.2"
MAGIC = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfe\xed\xfe\xed", "a Java keystore (JKS)"),
    (b"\xce\xce\xce\xce", "a Java keystore (JCEKS)"),
    (b"kych", "a whole keychain"),
    (b"SQLite format 3", "a database (a keychain, maybe)"),
    (b"bplist00", "a property list"),
    (b"\x7fELF", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"MZ", "a program"),
)
TEXTS = (
    ("<!doctype html", "a web page (a download that needed a login, maybe)"),
    ("<html", "a web page (a download that needed a login, maybe)"),
    ("<?xml", "an XML document"),
    ("ssh-", "an SSH public key"),
    ("from:", "an e-mail message"),
)


@dataclass(slots=True)
class Sniffed:
    """Keys as PKCS#8, PKCS#1 or SEC1, and certificates; all in DER."""

    form: str
    keys: list[bytes] = field(default_factory=list, repr=False)
    certificates: list[bytes] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    google: dict[str, Any] | None = field(default=None, repr=False)


def sniff(data: bytes, password: str | None) -> Sniffed:
    """Everything in the file that matters, and what was odd about it. Raises Refused."""
    if password is not None and len(password) > MOST_PASSWORD:
        raise reject("password_too_long", limit=f"{MOST_PASSWORD:,}")
    data, layers = unwrap(data)
    try:
        found = _recognise(data, password, Meter())
    except WrongPassword:
        raise reject("wrong_password" if password else "password_missing") from None
    except TooCostly:
        raise reject("too_costly") from None
    except (UnknownScheme, UnsupportedAlgorithm):
        raise reject("unknown_encryption") from None
    except pem.PemError as error:
        raise reject("truncated" if error.cut else "unreadable", why=str(error)) from None
    except DerError as error:
        raise reject("truncated" if error.cut else "unreadable", why=str(error)) from None
    except (ValueError, IndexError, OverflowError):
        raise reject("unreadable", why="its parts do not fit together") from None
    found.notes = layers + found.notes
    return found


def _recognise(data: bytes, password: str | None, meter: Meter) -> Sniffed:
    for magic, what in MAGIC:
        if data.startswith(magic):
            raise reject("not_a_credential", what=what)
    if data[:1] == b"\x30":
        return _from_der(data, password, meter)
    text = pem.text_of(data)
    found = google.document(data.decode("utf-8-sig", "replace"))  # as it is: JSON has its own \\n
    if found is not None:
        return Sniffed("JSON", google=found)
    google.refuse_text(text)
    if pem.BEGIN in text:
        return _from_pem(text, password, meter)
    raise reject("not_a_credential", what=_describe(text))


def _describe(text: str) -> str:
    start = text.lstrip()[:200].lower()
    for prefix, what in TEXTS:
        if start.startswith(prefix):
            return what
    if start.startswith("{"):
        return "a JSON document"
    printable = sum(is_plain(character) or character in "\t\n" for character in text[:1000])
    return "plain text" if start and printable > 0.95 * len(text[:1000]) else "unknown data"


def _from_pem(text: str, password: str | None, meter: Meter) -> Sniffed:
    found = Sniffed("PEM")
    for block in pem.blocks(text):
        match block.label:
            case "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE":
                # OpenSSL's trusted form has its own data after the certificate
                found.certificates.append(element(block.der).expect(SEQUENCE).raw)
            case "ENCRYPTED PRIVATE KEY":
                found.keys.append(_unlocked(block.der, password, meter, found))
            case "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY" if block.encrypted:
                found.keys.append(_unlocked_old(block.text, password, found))
            case "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY":
                found.keys.append(block.der)
            case "PKCS12":
                inside = pkcs12.contents(block.der, password, meter)
                found.keys += inside.keys
                found.certificates += inside.certificates
                found.notes += inside.notes
            case "EC PARAMETERS":
                continue
            case _:
                _refuse_label(block.label)
    return found


def _refuse_label(label: str) -> None:
    if label.endswith("CERTIFICATE REQUEST"):
        raise reject("signing_request")
    if label.endswith("PUBLIC KEY"):
        raise reject("public_key")
    if label in {"PKCS7", "CMS"}:
        raise reject("certificates_only")
    if label.startswith(("OPENSSH", "SSH")):
        raise reject("ssh_key")
    raise reject("not_a_credential", what="a PEM file of another kind")


def _unlocked(der: bytes, password: str | None, meter: Meter, found: Sniffed) -> bytes:
    """PKCS#8 from its encrypted form: a `.p8`-like key under a password."""
    tries = spellings(password) or [(Password(password), None)]
    key, said = first_that_opens(tries, lambda one: pkcs12.decrypt_key(element(der), one, meter))
    found.notes += (said,) if said else ()
    return key


def _unlocked_old(block: bytes, password: str | None, found: Sniffed) -> bytes:
    """OpenSSL's old form: one round of MD5, so it costs nothing to open."""

    def open_with(one: Password) -> bytes:
        try:
            key = serialization.load_pem_private_key(
                block, one.utf8(), unsafe_skip_rsa_key_validation=True
            )
        except ValueError:
            raise WrongPassword from None
        return key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    opened, said = first_that_opens(spellings(password), open_with)
    found.notes += (said,) if said else ()
    return opened


def _from_der(data: bytes, password: str | None, meter: Meter) -> Sniffed:
    whole = element(data).expect(SEQUENCE)
    if pkcs12.looks_like(whole.raw):
        inside = pkcs12.contents(whole.raw, password, meter)
        return Sniffed("PKCS#12", inside.keys, inside.certificates, inside.notes)
    tags = [child.tag for child in whole.children()]
    if tags[:1] == [OID] and whole.children()[0].oid() == SIGNED_DATA:
        raise reject("provisioning_profile" if b"<plist" in data else "certificates_only")
    if tags[:3] == [SEQUENCE, SEQUENCE, BIT_STRING]:
        return _certificate(whole.raw)
    if tags[:2] == [SEQUENCE, BIT_STRING]:
        raise reject("public_key")
    if tags[:2] == [SEQUENCE, OCTET_STRING]:
        found = Sniffed("PKCS#8")
        found.keys.append(_unlocked(whole.raw, password, meter, found))
        return found
    if tags[:3] == [INTEGER, SEQUENCE, OCTET_STRING]:
        return Sniffed("PKCS#8", [whole.raw])
    if tags[:2] in ([INTEGER, INTEGER], [INTEGER, OCTET_STRING]):
        return Sniffed("a bare key", [whole.raw])
    raise reject("not_a_credential", what="ASN.1 of another kind")


def _certificate(der: bytes) -> Sniffed:
    try:
        x509.load_der_x509_csr(der)
    except ValueError:
        return Sniffed("a certificate", [], [der])
    raise reject("signing_request")
