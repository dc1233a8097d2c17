"""Reading PKCS#12 (`.p12`, `.pfx`) whole: every key and every certificate in it.

Libraries hand back one key and one certificate, so "two keys" cannot be seen, and they derive
keys for as long as the file says. Here each derivation is paid for first, also those nested
inside encrypted parts. Source: RFC 7292; RFC 9579 for PBMAC1.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from app.credentials.files import pbe
from app.credentials.files.der import (
    CONTEXT_0,
    CONTEXT_0_PRIMITIVE,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    DerError,
    Element,
    element,
)
from app.credentials.files.pbe import (
    Meter,
    Password,
    UnknownScheme,
    WrongPassword,
    first_that_opens,
    spellings,
)

DATA, ENCRYPTED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6"
_BAG = "1.2.840.113549.1.12.10.1."
KEY_BAG, SHROUDED_KEY_BAG, CERTIFICATE_BAG, NESTED_BAG = (
    f"{_BAG}1",
    f"{_BAG}2",
    f"{_BAG}3",
    f"{_BAG}6",
)
X509 = "1.2.840.113549.1.9.22.1"
PBMAC1 = "1.2.840.113549.1.5.14"
MOST_BAGS = 100
MOST_NESTING = 4


@dataclass(slots=True)
class Contents:
    """What a file holds: keys as PKCS#8 and certificates, all in DER."""

    keys: list[bytes] = field(default_factory=list, repr=False)
    certificates: list[bytes] = field(default_factory=list)
    bags: int = 0
    notes: tuple[str, ...] = ()


def looks_like(data: bytes) -> bool:
    """Whether this is a PFX: a SEQUENCE that begins with version 3 and a ContentInfo."""
    try:
        version, safe = element(data).expect(SEQUENCE).children()[:2]
        return version.integer() == 3 and safe.children()[0].oid().startswith("1.2.840.113549.1.7.")
    except (DerError, ValueError, IndexError):
        return False


def contents(data: bytes, password: str | None, meter: Meter) -> Contents:
    """Everything in the file.

    An empty password and none at all are told apart by the format but not by people, so either
    opens a file of the other kind; and a file that needs none opens whatever was typed.

    Raises WrongPassword, pbe.TooCostly, UnknownScheme, DerError.
    """
    pfx = element(data).expect(SEQUENCE).children()
    safe = _content(pfx[1], DATA).octets()

    def open_with(one: Password) -> Contents:
        if len(pfx) > 2:
            _check_mac(pfx[2], safe, one, meter)
        return _open(safe, one, meter)

    none = [(Password(""), None), (Password(None), None)]
    found, said = first_that_opens([*spellings(password), *none], open_with)
    found.notes = (said,) if said else ()
    return found


def _open(safe: bytes, password: Password, meter: Meter) -> Contents:
    found = Contents()
    for info in element(safe).expect(SEQUENCE).children():
        kind = info.expect(SEQUENCE).children()[0].oid()
        if kind == DATA:
            bags = _content(info, DATA).octets()
        elif kind == ENCRYPTED:
            bags = _decrypted(_content(info, ENCRYPTED), password, meter)
        else:
            raise UnknownScheme  # enveloped for a recipient's key: no password opens it
        _collect(_inner(bags, opened=kind == ENCRYPTED), password, meter, found, 0)
    return found


def _inner(bags: bytes, *, opened: bool) -> Element:
    """SafeContents. With no MAC, garbage that happens to be padded well is a wrong password."""
    try:
        return element(bags).expect(SEQUENCE)
    except DerError:
        if opened:
            raise WrongPassword from None
        raise


def _content(info: Element, kind: str) -> Element:
    """The `[0] EXPLICIT` content of a ContentInfo of that type."""
    inside = info.expect(SEQUENCE).children()
    if inside[0].oid() != kind:
        raise UnknownScheme  # signed with a key instead of guarded by a password
    return inside[1].expect(CONTEXT_0).children()[0]


def _decrypted(encrypted: Element, password: Password, meter: Meter) -> bytes:
    _, info = encrypted.expect(SEQUENCE).children()[:2]
    _, algorithm, ciphertext = info.expect(SEQUENCE).children()[:3]
    if ciphertext.tag not in {CONTEXT_0, CONTEXT_0_PRIMITIVE}:
        raise DerError("a PKCS#12 part without content")
    return pbe.decrypt(algorithm, ciphertext.octets(), password, meter)


def _collect(bags: Element, password: Password, meter: Meter, found: Contents, depth: int) -> None:
    for bag in bags.children():
        found.bags += 1
        if found.bags > MOST_BAGS or depth > MOST_NESTING:
            raise DerError("a PKCS#12 file with too many parts")
        oid, wrapped = bag.expect(SEQUENCE).children()[:2]
        value = wrapped.expect(CONTEXT_0).children()[0]
        match oid.oid():
            case kind if kind == KEY_BAG:
                found.keys.append(value.raw)
            case kind if kind == SHROUDED_KEY_BAG:
                found.keys.append(decrypt_key(value, password, meter))
            case kind if kind == CERTIFICATE_BAG:
                _collect_certificate(value, found)
            case kind if kind == NESTED_BAG:
                _collect(value.expect(SEQUENCE), password, meter, found, depth + 1)


def _collect_certificate(bag: Element, found: Contents) -> None:
    kind, wrapped = bag.expect(SEQUENCE).children()[:2]
    if kind.oid() == X509:
        found.certificates.append(wrapped.expect(CONTEXT_0).children()[0].octets())


def decrypt_key(encrypted: Element, password: Password, meter: Meter) -> bytes:
    """PKCS#8 from an EncryptedPrivateKeyInfo (RFC 5958)."""
    algorithm, ciphertext = encrypted.expect(SEQUENCE).children()[:2]
    plain = pbe.decrypt(algorithm, ciphertext.octets(), password, meter)
    try:
        return element(plain).expect(SEQUENCE).raw
    except DerError:
        raise WrongPassword from None


def _check_mac(mac: Element, safe: bytes, password: Password, meter: Meter) -> None:
    digest_info, salt, *more = mac.expect(SEQUENCE).children()
    algorithm, expected = digest_info.expect(SEQUENCE).children()[:2]
    oid, params = pbe.parts(algorithm)
    if oid == PBMAC1:
        kdf, scheme = params.expect(SEQUENCE).children()[:2]
        name = pbe.HMACS.get(pbe.parts(scheme)[0])
        if name is None:
            raise UnknownScheme
        key = pbe.derive(kdf, password, hashlib.new(name).digest_size, meter)
    else:
        name = pbe.HASHES.get(oid)
        if name is None:
            raise UnknownScheme
        rounds = more[0].integer() if more and more[0].tag == INTEGER else 1
        size = hashlib.new(name).digest_size
        salted = salt.expect(OCTET_STRING).octets()
        key = pbe.pkcs12_kdf(name, pbe.MAC, password.bmp(), salted, rounds, size, meter)
    if not hmac.compare_digest(hmac.digest(key, safe, name), expected.octets()):
        raise WrongPassword
