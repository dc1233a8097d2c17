"""Writes PKCS#12 as old and odd exporters do, and as attackers might.

An implementation of its own (RFC 7292), so that a mistake in the reader is not made here too: it
derives with its own loop and encrypts with its own RC2.
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from app.credentials.files.rc2 import _expand


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def seq(*parts: bytes) -> bytes:
    return der(0x30, *parts)


def octets(content: bytes) -> bytes:
    return der(0x04, content)


def number(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    out = b""
    for value in (first * 40 + second, *rest):
        digits = [value & 0x7F]
        while value := value >> 7:
            digits.append(value & 0x7F | 0x80)
        out += bytes(reversed(digits))
    return der(0x06, out)


NULL = b"\x05\x00"
DATA, ENCRYPTED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6"
BAG = "1.2.840.113549.1.12.10.1."
PBE = "1.2.840.113549.1.12.1."
SCHEMES = {  # number of the scheme, cipher, bytes of the key
    "3des": (3, "3des", 24),
    "2des": (4, "3des", 16),
    "rc2-128": (5, "rc2", 16),
    "rc2-40": (6, "rc2", 5),
    "rc4-128": (1, "rc4", 16),
    "rc4-40": (2, "rc4", 5),
}


def bmp(password: str | None) -> bytes:
    return b"" if password is None else password.encode("utf-16-be") + b"\0\0"


def kdf(purpose: int, password: str | None, salt: bytes, rounds: int, size: int) -> bytes:
    def fill(value: bytes) -> bytes:
        whole = 64 * -(-len(value) // 64)
        return (value * (whole // len(value) + 1))[:whole] if value else b""

    mixed = bytearray(fill(salt) + fill(bmp(password)))
    out = b""
    while len(out) < size:
        block = hashlib.sha1(bytes([purpose]) * 64 + bytes(mixed)).digest()
        for _ in range(rounds - 1):
            block = hashlib.sha1(block).digest()
        out += block
        add = fill(block)
        for start in range(0, len(mixed), 64):
            carry = 1
            for i in reversed(range(64)):
                carry += mixed[start + i] + add[i]
                mixed[start + i] = carry & 0xFF
                carry >>= 8
    return out[:size]


def pad(content: bytes, block: int) -> bytes:
    size = block - len(content) % block
    return content + bytes([size]) * size


def rc2_cbc(key: bytes, bits: int, iv: bytes, content: bytes) -> bytes:
    words, out, previous = _expand(key, bits), b"", iv
    for start in range(0, len(content), 8):
        mixed = bytes(a ^ b for a, b in zip(content[start : start + 8], previous, strict=True))
        word = list(struct.unpack("<4H", mixed))
        at = 0
        for turn in range(16):
            for i, shift in enumerate((1, 2, 3, 5)):
                value = word[i] + words[at] + (word[i - 1] & word[i - 2])
                value = (value + (~word[i - 1] & 0xFFFF & word[i - 3])) & 0xFFFF
                word[i] = (value << shift | value >> 16 - shift) & 0xFFFF
                at += 1
            if turn in {4, 10}:
                for i in range(4):
                    word[i] = (word[i] + words[word[i - 1] & 63]) & 0xFFFF
        previous = struct.pack("<4H", *word)
        out += previous
    return out


@dataclass(frozen=True)
class Lock:
    """How a part is encrypted. `claimed` is written in place of the rounds that were done."""

    scheme: str = "3des"
    password: str | None = "pw"
    rounds: int = 2048
    claimed: int | None = None
    salt: bytes | None = None

    def close(self, content: bytes) -> tuple[bytes, bytes]:
        """(AlgorithmIdentifier, ciphertext)."""
        if self.scheme.startswith("aes"):
            return self._pbes2(content)
        which, cipher, size = SCHEMES[self.scheme]
        salt = self.salt or os.urandom(8)
        key = kdf(1, self.password, salt, self.rounds, size)
        iv = kdf(2, self.password, salt, self.rounds, 8)
        algorithm = seq(
            oid(f"{PBE}{which}"), seq(octets(salt), number(self.claimed or self.rounds))
        )
        if cipher == "rc4":
            encryptor = Cipher(ARC4(key), mode=None).encryptor()
            return algorithm, encryptor.update(content) + encryptor.finalize()
        if cipher == "rc2":
            return algorithm, rc2_cbc(key, size * 8, iv, pad(content, 8))
        tripled = key if size == 24 else key + key[:8]
        encryptor = Cipher(TripleDES(tripled), modes.CBC(iv)).encryptor()
        return algorithm, encryptor.update(pad(content, 8)) + encryptor.finalize()

    def _pbes2(self, content: bytes) -> tuple[bytes, bytes]:
        size = int(self.scheme.removeprefix("aes")) // 8
        salt, iv = os.urandom(16), os.urandom(16)
        key = hashlib.pbkdf2_hmac("sha512", (self.password or "").encode(), salt, self.rounds, size)
        cipher = {16: "2", 24: "22", 32: "42"}[size]
        algorithm = seq(
            oid("1.2.840.113549.1.5.13"),
            seq(
                pbkdf2(salt, self.claimed or self.rounds, size),
                seq(oid(f"2.16.840.1.101.3.4.1.{cipher}"), octets(iv)),
            ),
        )
        encryptor = Cipher(AES(key), modes.CBC(iv)).encryptor()
        return algorithm, encryptor.update(pad(content, 16)) + encryptor.finalize()


class Noise(Lock):
    """What was never encrypted: for those who have no right password, as good, and made at once."""

    def close(self, content: bytes) -> tuple[bytes, bytes]:
        algorithm, _ = super().close(b"")
        return algorithm, os.urandom(len(pad(content, 8)))


def pbkdf2(salt: bytes, rounds: int, size: int) -> bytes:
    prf = seq(oid("1.2.840.113549.2.11"), NULL)
    return seq(oid("1.2.840.113549.1.5.12"), seq(octets(salt), number(rounds), number(size), prf))


NAME = der(  # friendlyName and localKeyID, as Keychain writes them
    0x31,
    seq(oid("1.2.840.113549.1.9.20"), der(0x31, der(0x1E, "VoIP".encode("utf-16-be")))),
    seq(oid("1.2.840.113549.1.9.21"), der(0x31, octets(b"\1"))),
)


def certificate_bag(certificate: bytes) -> bytes:
    kind = seq(oid("1.2.840.113549.1.9.22.1"), der(0xA0, octets(certificate)))
    return seq(oid(f"{BAG}3"), der(0xA0, kind), NAME)


def key_bag(pkcs8: bytes, lock: Lock | None) -> bytes:
    if lock is None:
        return seq(oid(f"{BAG}1"), der(0xA0, pkcs8), NAME)
    algorithm, ciphertext = lock.close(pkcs8)
    return seq(oid(f"{BAG}2"), der(0xA0, seq(algorithm, octets(ciphertext))), NAME)


def nested_bag(bags: Sequence[bytes]) -> bytes:
    return seq(oid(f"{BAG}6"), der(0xA0, seq(*bags)))


def safe(bags: Sequence[bytes], lock: Lock | None = None) -> bytes:
    """A ContentInfo of bags, encrypted with a lock."""
    content = seq(*bags)
    if lock is None:
        return seq(oid(DATA), der(0xA0, octets(content)))
    algorithm, ciphertext = lock.close(content)
    info = seq(oid(DATA), algorithm, der(0x80, ciphertext))
    return seq(oid(ENCRYPTED), der(0xA0, seq(number(0), info)))


def pfx(
    safes: Sequence[bytes],
    *,
    password: str | None = "pw",
    mac: bool = True,
    rounds: int = 2048,
    claimed: int | None = None,
    pbmac1: bool = False,
) -> bytes:
    """The whole file."""
    content = seq(*safes)
    info = seq(oid(DATA), der(0xA0, octets(content)))
    if not mac:
        return seq(number(3), info)
    salt = os.urandom(8)
    if pbmac1:
        key = hashlib.pbkdf2_hmac("sha512", (password or "").encode(), salt, rounds, 32)
        scheme = seq(oid("1.2.840.113549.2.9"), NULL)
        algorithm = seq(
            oid("1.2.840.113549.1.5.14"), seq(pbkdf2(salt, claimed or rounds, 32), scheme)
        )
        digest = hmac.digest(key, content, "sha256")
    else:
        key = kdf(3, password, salt, rounds, 20)
        algorithm = seq(oid("1.3.14.3.2.26"), NULL)
        digest = hmac.digest(key, content, "sha1")
    mac_data = seq(seq(algorithm, octets(digest)), octets(salt), number(claimed or rounds))
    return seq(number(3), info, mac_data)


def in_ber(data: bytes) -> bytes:
    """The same PFX with indefinite lengths, and its content in pieces, as NSS and Windows write."""
    from app.credentials.files.der import element

    version, info, *mac = element(data).children()
    kind, wrapped = info.children()
    content = wrapped.children()[0].content
    pieces = b"".join(octets(content[i : i + 1000]) for i in range(0, len(content), 1000))
    constructed = b"\x24\x80" + pieces + b"\0\0"
    explicit = b"\xa0\x80" + constructed + b"\0\0"
    return (
        b"\x30\x80"
        + version.raw
        + (b"\x30\x80" + kind.raw + explicit + b"\0\0")
        + b"".join(one.raw for one in mac)
        + b"\0\0"
    )
