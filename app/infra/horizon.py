"""Which transactions had begun to write at a moment, and when all of those have ended.

A transaction gets its number when it first writes. A snapshot's `xmax` is no bound of those that
have one: it is one past the last that has *ended* (PostgreSQL's documentation, "pg_snapshot
Components"), and the numbers from there on may be at work. A number of one's own is.
"""

from typing import Final

from sqlalchemy import text

from app.infra.db import Connection, one

NEXT: Final = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
"""SQL: every transaction that has begun to write by now has a number below this one, which is this
transaction's own."""

OLDEST: Final = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
"""SQL: every transaction below this number has ended."""


async def next_transaction(session: Connection) -> int:
    """A number above that of every transaction that has begun to write by now; outside of one."""
    return await _number(session, NEXT)


async def oldest_transaction(session: Connection) -> int:
    """Every transaction below this number has ended."""
    return await _number(session, OLDEST)


async def _number(session: Connection, sql: str) -> int:
    row = await one(session, text(f"SELECT {sql} AS number"))
    assert row is not None
    return int(row["number"])
