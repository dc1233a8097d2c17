"""Rows of erasures: which users were erased and when, and what is still to be done for it."""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.identifiers import TOMBSTONE
from app.infra import horizon
from app.infra.db import Connection, Row, many, one
from app.infra.ids import uuid7


def digest_of(tenant_id: UUID, user_id: str) -> bytes:
    """By what an erased user is recognised: SHA-256, since the id itself is not kept."""
    return hashlib.sha256(tenant_id.bytes + user_id.encode()).digest()


ADD = text("""
    INSERT INTO erasures (id, tenant_id, digest, tombstone, erased_at, user_id, due_at)
    VALUES (:id, :tenant_id, :digest, :tombstone, clock_timestamp(), :user_id, clock_timestamp())
    RETURNING id, tenant_id, tombstone, erased_at, user_id
""")
DUE = text("""
    SELECT id FROM erasures
    WHERE due_at <= statement_timestamp() AND id <> ALL(CAST(:aside AS uuid[]))
    ORDER BY due_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")
UNFINISHED = text("""
    SELECT id, tenant_id, tombstone, erased_at, user_id, horizon FROM erasures
    WHERE id = :id AND due_at IS NOT NULL
""")
# After the commit, not with it: who begins to write in between does not know of it either.
BOUND = text(f"""
    UPDATE erasures SET horizon = {horizon.NEXT}
    WHERE id = :id AND due_at IS NOT NULL AND horizon IS NULL
""")  # noqa: S608  (a constant)
ALONE = text(f"""
    SELECT horizon <= {horizon.OLDEST} AS alone
    FROM erasures WHERE id = :id AND due_at IS NOT NULL
""")  # noqa: S608  (a constant)
DONE = text("UPDATE erasures SET user_id = NULL, horizon = NULL, due_at = NULL WHERE id = :id")
PUT_LAST = text("""
    UPDATE erasures SET due_at = clock_timestamp() WHERE id = :id AND due_at IS NOT NULL
""")
LAST_OF_USER = text("""
    SELECT max(erased_at) AS at FROM erasures WHERE tenant_id = :tenant AND digest = :digest
""")


async def add(session: Connection, tenant_id: UUID, user_id: str) -> Row:
    """From this commit on this user is erased; the row says with what tombstone."""
    row_id = uuid7()
    values = {
        "id": row_id,
        "tenant_id": tenant_id,
        "digest": digest_of(tenant_id, user_id),
        "tombstone": TOMBSTONE + row_id.hex,
        "user_id": user_id,
    }
    row = await one(session, ADD, values)
    assert row is not None
    return row


async def due(session: Connection, limit: int, aside: Sequence[UUID]) -> list[UUID]:
    """Erasures that are not finished, but for those `aside`."""
    values = {"limit": limit, "aside": list(aside)}
    return [row["id"] for row in await many(session, DUE, values)]


async def unfinished(session: Connection, erasure: UUID) -> dict[str, Any] | None:
    """An erasure with something left to do, which is committed; outside of a transaction."""
    row = await one(session, UNFINISHED, {"id": erasure})
    if row is not None and row["horizon"] is None:
        await session.execute(BOUND, {"id": erasure})
    return row


async def alone(session: Connection, erasure: UUID) -> bool:
    """Whether every transaction that may not have known of this erasure has ended."""
    row = await one(session, ALONE, {"id": erasure})
    return row is None or bool(row["alone"])


async def done(session: Connection, erasure: UUID) -> None:
    """Nothing more is to be done; the user's id goes from here too."""
    await session.execute(DONE, {"id": erasure})


async def put_last(session: Connection, erasure: UUID) -> None:
    """Others that are due come before this one."""
    await session.execute(PUT_LAST, {"id": erasure})


async def last_of_user(session: Connection, tenant_id: UUID, user_id: str) -> dict[str, Any] | None:
    """When this user was last erased (`at`, None: never)."""
    values = {"tenant": tenant_id, "digest": digest_of(tenant_id, user_id)}
    return await one(session, LAST_OF_USER, values)
