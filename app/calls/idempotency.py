"""Rows of kept answers: what a request with an `Idempotency-Key` was told, for 24 hours."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.calls.models import Idempotency
from app.infra.db import Row, Session, insert_rows, many

KEEP = """ON CONFLICT (tenant_id, key) DO UPDATE SET
        body_digest = excluded.body_digest, call_id = excluded.call_id, answer = excluded.answer,
        created_at = excluded.created_at
    WHERE idempotency.created_at < excluded.created_at - interval '24 hours'
    RETURNING tenant_id, key"""
KEPT = text("""
    SELECT i.tenant_id, i.key, i.body_digest, i.answer
    FROM idempotency i
    JOIN unnest(CAST(:tenants AS uuid[]), CAST(:keys AS text[])) AS w(tenant_id, key)
        USING (tenant_id, key)
""")
UNKEEP = text("""
    DELETE FROM idempotency i
    USING unnest(CAST(:tenants AS uuid[]), CAST(:keys AS text[])) AS w(tenant_id, key)
    WHERE i.tenant_id = w.tenant_id AND i.key = w.key
""")


async def keep_answers(session: Session, rows: Sequence[Row]) -> set[tuple[UUID, str]]:
    """Keep answers; those (tenant, key) that were not taken have an answer already."""
    ordered = sorted(rows, key=lambda row: (row["tenant_id"], row["key"]))
    kept = await insert_rows(session, Idempotency.__table__, ordered, suffix=KEEP)
    return {(row["tenant_id"], row["key"]) for row in kept}


async def kept_answers(
    session: Session, keys: Sequence[tuple[UUID, str]]
) -> dict[tuple[UUID, str], dict[str, Any]]:
    """The answers kept for (tenant, key), which `keep_answers` has just found to be in force."""
    values = {"tenants": [key[0] for key in keys], "keys": [key[1] for key in keys]}
    return {(row["tenant_id"], row["key"]): row for row in await many(session, KEPT, values)}


async def forget_answers(session: Session, keys: Sequence[tuple[UUID, str]]) -> None:
    """Take back answers kept in this transaction whose call did not come about."""
    values = {"tenants": [key[0] for key in keys], "keys": [key[1] for key in keys]}
    await session.execute(UNKEEP, values)
