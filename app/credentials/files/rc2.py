"""RC2 in CBC mode, for decrypting only: Keychain long wrote certificates under 40 bits of it.

Not every build of OpenSSL has RC2 any more, and cryptography's takes 128-bit keys alone. It
protects nothing here: what it hides is a certificate, which is public. Source: RFC 2268.
"""

from functools import lru_cache
from struct import Struct

BLOCK = 8
_WORDS = Struct("<4H")
_KEY_WORDS = Struct("<64H")
_MIX = ((0, 1), (1, 2), (2, 3), (3, 5))  # word and its rotation, in the order of encrypting


@lru_cache(maxsize=1)
def _pi_table() -> bytes:
    """RFC 2268 section 2: a permutation of 0 to 255 made from the digits of pi."""
    return bytes.fromhex(
        "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
        "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
        "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
        "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
        "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
        "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
        "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
        "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
    )


def decrypt(key: bytes, effective_bits: int, iv: bytes, ciphertext: bytes) -> bytes:
    """The plaintext with its padding; ValueError unless the length is a multiple of 8."""
    if len(ciphertext) % BLOCK or len(iv) != BLOCK:
        raise ValueError("RC2 works on blocks of 8 bytes")
    words = _expand(key, effective_bits)
    plain, previous = bytearray(), iv
    for start in range(0, len(ciphertext), BLOCK):
        block = ciphertext[start : start + BLOCK]
        opened = int.from_bytes(_decrypt_block(words, block), "big")
        plain += (opened ^ int.from_bytes(previous, "big")).to_bytes(BLOCK, "big")
        previous = block
    return bytes(plain)


def _expand(key: bytes, effective_bits: int) -> tuple[int, ...]:
    table = _pi_table()
    buffer = bytearray(key) + bytes(128 - len(key))
    for i in range(len(key), 128):
        buffer[i] = table[(buffer[i - 1] + buffer[i - len(key)]) & 0xFF]
    size = (effective_bits + 7) // 8
    mask = 0xFF >> (8 * size - effective_bits)
    buffer[128 - size] = table[buffer[128 - size] & mask]
    for i in range(127 - size, -1, -1):
        buffer[i] = table[buffer[i + 1] ^ buffer[i + size]]
    return _KEY_WORDS.unpack(buffer)


def _decrypt_block(key: tuple[int, ...], block: bytes) -> bytes:
    word = list(_WORDS.unpack(block))
    at = 63
    for round_ in range(16):
        for i, shift in reversed(_MIX):
            value = word[i]
            value = (value >> shift | value << 16 - shift) & 0xFFFF
            word[i] = (
                value
                - key[at]
                - (word[i - 1] & word[i - 2])
                - (~word[i - 1] & 0xFFFF & word[i - 3])
            ) & 0xFFFF
            at -= 1
        if round_ in {4, 10}:
            for i in (3, 2, 1, 0):
                word[i] = (word[i] - key[word[i - 1] & 63]) & 0xFFFF
    return _WORDS.pack(*word)
