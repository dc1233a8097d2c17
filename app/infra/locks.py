"""Advisory locks of the database: the one registry, so that no two things take the same."""

from enum import IntEnum
from typing import Final

from sqlalchemy import text

from app.infra.db import Connection


class Only(IntEnum):
    """What one process at a time does."""

    RETENTION = 2
    RATE_LIMITS_TOLD = 3
    REMOVAL = 4
    COUNTS = 100


MIGRATING: Final = {"space": 7465737, "lock": 1}
"""Who brings the tables to another version: held by a connection, not by a transaction."""

APP_CREDENTIALS: Final = "credentials"
"""A first credential of an app is not added twice at the same time: `tenant:app`."""

TRY = text("SELECT pg_try_advisory_xact_lock(7465737, :lock)")
HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


async def only_one(session: Connection, what: Only) -> bool:
    """Take the lock until the transaction ends; False when another process has it."""
    return bool((await session.execute(TRY, {"lock": what.value})).scalar_one())


async def hold(session: Connection, kind: str, key: str) -> None:
    """Hold a name until the transaction ends; waits for whoever has it."""
    await session.execute(HOLD, {"key": f"{kind}:{key}"})
