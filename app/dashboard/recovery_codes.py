"""Codes that stand in for a lost second factor, each once. Commits."""

import secrets
from typing import Final

from app.audit.log import Actor
from app.dashboard import store_factors
from app.dashboard.admins import Visitor, note
from app.infra import vault
from app.infra.runtime import Runtime

CODES: Final = 10
GROUPS: Final = 6
"""Of four characters of base32: 120 bits, so a digest hides a code (NIST SP 800-63B, 3.1.2.2)."""
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


async def new_codes(runtime: Runtime, visitor: Visitor, *, actor: Actor) -> list[str]:
    """Ten recovery codes, each good once; those of before are good no more."""
    codes = ["-".join(_group() for _ in range(GROUPS)) for _ in range(CODES)]
    async with runtime.database.transaction() as session:
        await store_factors.replace_codes(session, visitor.id, [digest_of(one) for one in codes])
        await note(session, actor, "admin.codes", visitor.email)
    return codes


def _group() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(4))


def digest_of(code: str) -> bytes:
    """How a recovery code rests, however it was typed."""
    plain = "".join(one for one in code.upper() if one in ALPHABET)
    return vault.digest("recovery|" + plain)


async def first_codes(runtime: Runtime, visitor: Visitor, actor: Actor) -> list[str]:
    """New codes if an administrator has none: their first factor has just come."""
    async with runtime.database.autocommit() as session:
        left = await store_factors.codes_left(session, visitor.id)
    return [] if left else await new_codes(runtime, visitor, actor=actor)
