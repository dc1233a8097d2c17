"""Opening what a password guards, with the work counted before it is done.

A file names its own iteration counts, so one of a few hundred bytes could keep a server busy for
hours. Every derivation is first paid for out of a `Meter`; a file that asks for more is refused.

Sources: RFC 7292 appendices B and C (PKCS#12), RFC 8018 (PBES2, PBKDF2), RFC 7914 (scrypt).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar
from unicodedata import normalize

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from app.credentials.files import rc2
from app.credentials.files.der import NULL, SEQUENCE, DerError, Element

MOST_ROUNDS = 3_000_000
"""Hash rounds that one file may cost in all: 1.2 s of one core (0.25 to 0.5 µs each, measured).
Keychain and OpenSSL write 2,048, Java 10,000, cryptography 20,000, cautious people 600,000."""
MOST_SCRYPT = 2**18
"""N * r * p of scrypt at most: 32 MiB of memory and 0.1 s. OpenSSL's own default is half of it."""

MOST_PASSWORD = 1_024
"""Characters of a password. It is hashed once for each block of a key, however many there are."""

KEY, IV, MAC = 1, 2, 3

Known = TypeVar("Known")
Opened = TypeVar("Opened")


class WrongPassword(Exception):
    """What came out is not what went in."""


class TooCostly(Exception):
    """The file asks for more work than any honest one."""


class UnknownScheme(Exception):
    """A way of encrypting that is not known here."""


class Meter:
    """How many hash rounds are left for a file; other work is paid for in rounds as well."""

    def __init__(self, rounds: int = MOST_ROUNDS) -> None:
        self._left = rounds

    def spend(self, rounds: int) -> None:
        """Pay for work that is about to be done. Raises TooCostly instead of letting it start."""
        self._left -= rounds
        if self._left < 0:
            raise TooCostly


BLOCK_ROUNDS = 3
"""What a block of salt and password costs beside the rounds, for each block of output."""
RC2_ROUNDS = 150
"""What a block of RC2 costs: it is done in Python (70 µs, measured)."""


@dataclass(frozen=True, slots=True, repr=False)
class Password:
    """A password as the two standards spell it; `None` is "none at all", unlike an empty one."""

    text: str | None

    def bmp(self) -> bytes:
        """RFC 7292 B.1: UTF-16BE with two zero bytes at the end; nothing when absent."""
        return b"" if self.text is None else (self.text + "\0").encode("utf-16-be")

    def utf8(self) -> bytes:
        """RFC 8018: the bytes as they are."""
        return (self.text or "").encode()


def spellings(password: str | None) -> list[tuple[Password, str | None]]:
    """A password as it may have been meant, as typed first, each with what is said if it fits.

    Keyboards compose letters and some systems take them apart; what is pasted brings its line end
    along; OpenSSL before 1.1.0 took each byte of UTF-8 for a character.
    """
    typed = password or ""
    line, bare = typed.strip("\r\n"), typed.strip()
    found: dict[str, str | None] = {typed: None} if typed else {}
    found.setdefault(line, "The password was typed with a line end, which is no part of it.")
    found.setdefault(bare, "The password was typed with spaces around it, which are no part of it.")
    for text in (typed, line, bare):
        for form in ("NFC", "NFD", "NFKC"):
            said = f"The password fits in another Unicode form ({form}) than it was typed in."
            found.setdefault(normalize(form, text), said)
    for text in (typed, line, bare):
        bytewise = text.encode("utf-8", "replace").decode("latin-1")
        found.setdefault(bytewise, "The password fits as OpenSSL before 1.1.0 spelled it.")
    found.pop("", None)
    return [(Password(text), said) for text, said in found.items()]


def first_that_opens(
    tries: Sequence[tuple[Password, str | None]], open_with: Callable[[Password], Opened]
) -> tuple[Opened, str | None]:
    """What opens with the first of these that fits, and what is said of it.

    Raises WrongPassword when none does, also when there is no more to spend on trying.
    """
    for count, (one, said) in enumerate(tries):
        try:
            return open_with(one), said
        except WrongPassword:
            continue
        except TooCostly:
            if count == 0:
                raise
            break
    raise WrongPassword


class Legacy(NamedTuple):
    """A scheme of RFC 7292 appendix C."""

    cipher: str
    key_bytes: int
    iv_bytes: int
    rc2_bits: int = 0


_PBE = "1.2.840.113549.1.12.1."
_LEGACY = {
    f"{_PBE}1": Legacy("rc4", 16, 0),
    f"{_PBE}2": Legacy("rc4", 5, 0),
    f"{_PBE}3": Legacy("3des", 24, 8),
    f"{_PBE}4": Legacy("3des", 16, 8),
    f"{_PBE}5": Legacy("rc2", 16, 8, 128),
    f"{_PBE}6": Legacy("rc2", 5, 8, 40),
}
PBES2, PBKDF2, SCRYPT = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12", "1.3.6.1.4.1.11591.4.11"
HASHES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
HMACS = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
_CBC = {
    "2.16.840.1.101.3.4.1.2": ("aes", 16),
    "2.16.840.1.101.3.4.1.22": ("aes", 24),
    "2.16.840.1.101.3.4.1.42": ("aes", 32),
    "1.2.840.113549.3.7": ("3des", 24),
}


def decrypt(algorithm: Element, ciphertext: bytes, password: Password, meter: Meter) -> bytes:
    """Open `ciphertext` as its AlgorithmIdentifier says.

    Raises WrongPassword, TooCostly, UnknownScheme, and DerError for parameters that make no sense.
    """
    oid, params = parts(algorithm)
    if oid == PBES2:
        kdf, scheme = params.expect(SEQUENCE).children()[:2]
        cipher, iv = parts(scheme)
        name, size = _known(_CBC, cipher)
        key = derive(kdf, password, size, meter)
        return _open_cbc(name, key, iv.octets(), ciphertext)
    legacy = _known(_LEGACY, oid)
    salt, count = params.expect(SEQUENCE).children()[:2]
    rounds = count.integer()
    bmp, salted = password.bmp(), salt.octets()
    key = pkcs12_kdf("sha1", KEY, bmp, salted, rounds, legacy.key_bytes, meter)
    if legacy.cipher == "rc4":
        return _open_rc4(key, ciphertext)
    iv_bytes = pkcs12_kdf("sha1", IV, bmp, salted, rounds, legacy.iv_bytes, meter)
    if legacy.cipher == "rc2":
        meter.spend(RC2_ROUNDS * len(ciphertext) // rc2.BLOCK)
        return _open_rc2(key, legacy.rc2_bits, iv_bytes, ciphertext)
    return _open_cbc("3des", key, iv_bytes, ciphertext)


def parts(algorithm: Element) -> tuple[str, Element]:
    """An AlgorithmIdentifier as (oid, parameters); NULL where it has none."""
    inside = algorithm.expect(SEQUENCE).children()
    if not inside:
        raise DerError("an algorithm without a name")
    return inside[0].oid(), inside[1] if len(inside) > 1 else Element(NULL, b"", b"\x05\0")


def derive(kdf: Element, password: Password, size: int, meter: Meter) -> bytes:
    """`size` bytes by the key derivation function of PBES2 or PBMAC1."""
    oid, params = parts(kdf)
    inside = params.expect(SEQUENCE).children()
    salt = inside[0].octets()
    if oid == SCRYPT:
        n, r, p = (number.integer() for number in inside[1:4])
        if n * r * p > MOST_SCRYPT or n < 2 or n & (n - 1) or not r or not p:
            raise TooCostly
        meter.spend(n * r * p)
        return hashlib.scrypt(
            password.utf8(), salt=salt, n=n, r=r, p=p, maxmem=256 * MOST_SCRYPT, dklen=size
        )
    if oid != PBKDF2:
        raise UnknownScheme
    rounds = inside[1].integer()
    prf = next((_known(HMACS, parts(one)[0]) for one in inside[2:] if one.tag == SEQUENCE), "sha1")
    meter.spend(rounds * -(-size // hashlib.new(prf).digest_size))
    return hashlib.pbkdf2_hmac(prf, password.utf8(), salt, max(rounds, 1), size)


def pkcs12_kdf(
    name: str, purpose: int, password: bytes, salt: bytes, rounds: int, size: int, meter: Meter
) -> bytes:
    """RFC 7292 appendix B.2."""
    hashed = getattr(hashlib, name)
    block, length = hashed().block_size, hashed().digest_size
    outputs = -(-size // length)
    blocks = (len(salt) + len(password)) // block + 2
    meter.spend(outputs * (rounds + BLOCK_ROUNDS * blocks))
    diversifier = bytes((purpose,)) * block
    filled = _stretch(salt, block) + _stretch(password, block)
    out = b""
    while len(out) < size:
        value = diversifier + filled
        for _ in range(max(rounds, 1)):
            value = hashed(value).digest()
        out += value
        add = int.from_bytes(_stretch(value, block)[:block], "big") + 1
        filled = b"".join(
            ((int.from_bytes(filled[i : i + block], "big") + add) % (1 << 8 * block)).to_bytes(
                block, "big"
            )
            for i in range(0, len(filled), block)
        )
    return out[:size]


def _stretch(value: bytes, block: int) -> bytes:
    """Repeated up to a whole number of blocks."""
    size = -(-len(value) // block) * block
    return (value * (size // len(value) + 1))[:size] if value else b""


def _known(table: Mapping[str, Known], oid: str) -> Known:
    try:
        return table[oid]
    except KeyError:
        raise UnknownScheme from None


def _open_cbc(name: str, key: bytes, iv: bytes, ciphertext: bytes) -> bytes:
    cipher = AES(key) if name == "aes" else TripleDES(key if len(key) == 24 else key + key[:8])
    block = cipher.block_size // 8
    if len(iv) != block or not ciphertext or len(ciphertext) % block:
        raise DerError("encrypted content of a length that cannot be")
    opened = Cipher(cipher, modes.CBC(iv)).decryptor()
    return _unpad(opened.update(ciphertext) + opened.finalize(), block)


def _open_rc2(key: bytes, bits: int, iv: bytes, ciphertext: bytes) -> bytes:
    if not ciphertext or len(ciphertext) % rc2.BLOCK:
        raise DerError("encrypted content of a length that cannot be")
    return _unpad(rc2.decrypt(key, bits, iv, ciphertext), rc2.BLOCK)


def _open_rc4(key: bytes, ciphertext: bytes) -> bytes:
    opened = Cipher(ARC4(key), mode=None).decryptor()
    return opened.update(ciphertext) + opened.finalize()


def _unpad(plain: bytes, block: int) -> bytes:
    """PKCS#7 padding taken off. It being wrong is how a wrong password shows."""
    size = plain[-1]
    if not 1 <= size <= block or plain[-size:] != bytes((size,)) * size:
        raise WrongPassword
    return plain[:-size]
