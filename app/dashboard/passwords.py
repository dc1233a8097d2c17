"""Passwords of administrators: argon2id (RFC 9106), off the event loop, a few at a time."""

import asyncio
import secrets

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
    """Refuse (422) a password that is too short, too long or the address itself."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(
            "invalid_password", f"A password has {SHORTEST} to {LONGEST} characters; length helps."
        )
    if password.lower() in {email, email.partition("@")[0]} or len(set(password)) < 5:
        raise Invalid("invalid_password", "This password is easily guessed; choose another.")


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
