"""Passwords of administrators: argon2id (RFC 9106), off the event loop, a few at a time."""

import asyncio
import re
import secrets
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.infra.errors import Invalid

SHORTEST, LONGEST = 12, 256
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS, GROUP = 4, 5

_hasher = PasswordHasher()
# Each hash takes 64 MiB: many at once must not be a way to fill the memory.
_at_once = asyncio.Semaphore(2)
_nobody: list[str] = []


def one_time_password() -> str:
    """A new password of about 99 bits, easy to read aloud and to type."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))
    return "-".join(groups)


def check_acceptable(password: str, email: str) -> None:
    """Refuse (422) a password that is too short, too long, or that others would try first.

    NIST SP 800-63B, 3.1.1.2: a length and a list of what is guessed, and no rules of composition.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(
            "invalid_password", f"A password has {SHORTEST} to {LONGEST} characters; length helps."
        )
    if len(set(password)) < 5 or is_common(password):
        raise Invalid(
            "invalid_password",
            "This password, or one very like it, is on the lists that are tried first; choose "
            "another. A few plain words that do not belong together are good.",
        )
    if _rests_on(password, email):
        raise Invalid(
            "invalid_password",
            "This password is made of your own address or of this product's name; choose another.",
        )


def is_common(password: str) -> bool:
    """Whether a password, or what is left of it without its trimmings, is a common one.

    Trimmings: upper case, digits and signs before and after, letters written as digits, spaces, and
    repeating it.
    """
    return _is_sequence(password) or any(form in _common() for form in _forms(password))


def _is_sequence(text: str) -> bool:
    """Whether most characters follow the one before, as in `123456789012` or `abcdefABCDEF`."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    return 4 * sum(step in {-1, 0, 1} for step in steps) >= 3 * len(steps)


def _rests_on(password: str, email: str) -> bool:
    """Whether little is left of a password once the address's own words are taken out."""
    plain = _plain(password)
    words = {word for word in re.split(r"[^a-z0-9]+", _plain(email)) if len(word) >= 3}
    forms = {plain, plain.translate(LEET)}
    for form in forms:
        left = form
        for word in sorted(words | OWN_WORDS, key=len, reverse=True):
            left = left.replace(word, "")
        if left != form and len(re.sub(r"[\W\d_]", "", left)) < ENOUGH_LEFT:
            return True
    return False


COMMON = Path(__file__).resolve().parent / "common_passwords.txt"
LEET = str.maketrans("013457@$!", "oleastasi")
OWN_WORDS = frozenset({"ringline", "dashboard", "admin", "password"})
ENOUGH_LEFT = 6
"""Letters that must be left of a password besides the words of its owner's address and ours."""


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    return frozenset(COMMON.read_text(encoding="ascii").split())


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _forms(password: str) -> Iterator[str]:
    plain = _plain(password)
    for text in (plain, plain.translate(LEET)):
        joined = re.sub(r"[\W_]+", "", text)
        for form in (
            text,
            joined,
            re.sub(r"^[\d\W_]+|[\d\W_]+$", "", text),
            joined.strip("0123456789"),
        ):
            yield form
            yield _unit(form)


def _unit(text: str) -> str:
    """What a text repeats: `abc` of `abcabcab`."""
    for size in range(1, len(text) // 2 + 1):
        if (text[:size] * (len(text) // size + 1))[: len(text)] == text:
            return text[:size]
    return text


async def hashed(password: str) -> str:
    """The argon2id hash of a password. Takes about 50 ms, not of the event loop."""
    async with _at_once:
        return await asyncio.to_thread(_hasher.hash, password)


async def fits(stored: str | None, password: str) -> bool:
    """Whether a password is the one of this hash; as slow when there is no hash to compare with."""
    if stored is None:
        if not _nobody:
            _nobody.append(await hashed(secrets.token_hex()))
        await fits(_nobody[0], password)
        return False
    async with _at_once:
        try:
            return await asyncio.to_thread(_hasher.verify, stored, password)
        except (VerificationError, InvalidHashError):
            return False
