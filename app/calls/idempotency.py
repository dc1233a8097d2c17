"""Rows of kept answers: what a request with an `Idempotency-Key`, or a form of the dashboard, was
told, for 24 hours."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, text

from app.calls.models import Idempotency
from app.infra.db import Connection, Joined, Row, Shape, clock, insert_rows, many
from app.infra.unreadable import Unreadable, unreadable

KeptKey = tuple[UUID, str, str]
"""(tenant, owner, key): two API keys, or two users, never share one. `owner`: see `RingRequest`."""

KEEP = """ON CONFLICT (tenant_id, owner, key) DO UPDATE SET
        body_digest = excluded.body_digest, session_id = excluded.session_id,
        answer = excluded.answer, created_at = excluded.created_at
    WHERE idempotency.created_at < excluded.created_at - interval '24 hours'
    RETURNING tenant_id, owner, key"""
NEW: Final[Shape] = (
    Idempotency.__table__,
    ("owner", "key", "body_digest", "session_id", "answer"),
    "ON CONFLICT (tenant_id, owner, key) DO NOTHING RETURNING key",
    Joined(""),
    ("tenant_id", "created_at"),
)
"""What `app.calls.begin` keeps answers by, of keys that nobody had before."""

WANTED = """
    unnest(CAST(:tenants AS uuid[]), CAST(:owners AS text[]), CAST(:keys AS text[]))
        AS w(tenant_id, owner, key)
"""
KEPT = text(f"""
    SELECT i.tenant_id, i.owner, i.key, i.body_digest, i.session_id, i.answer
    FROM idempotency i JOIN {WANTED} USING (tenant_id, owner, key)
""")  # noqa: S608  (a constant)
UNKEEP = text(f"""
    DELETE FROM idempotency i USING {WANTED}
    WHERE i.tenant_id = w.tenant_id AND i.owner = w.owner AND i.key = w.key
""")  # noqa: S608
FORGET_USER = text("DELETE FROM idempotency WHERE tenant_id = :tenant AND owner = :owner")


def owner_of(*, key_id: UUID | None, user_id: str | None) -> str:
    """Whose idempotency keys a request's are: its API key's, or its user's."""
    return f"user:{user_id}" if user_id is not None else f"key:{key_id}"


async def keep_answers(session: Connection, rows: Sequence[Row]) -> set[KeptKey]:
    """Keep answers; those keys that were not taken have an answer already."""
    kept = await insert_rows(session, Idempotency.__table__, in_order(rows), suffix=KEEP)
    return {_key_of(row) for row in kept}


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Rows in the order in which all write them: one key may have to wait for another request."""
    return sorted(rows, key=_key_of)


async def kept_answers(
    session: Connection, keys: Sequence[KeptKey]
) -> dict[KeptKey, dict[str, Any]]:
    """The answers kept for these keys, which `keep_answers` has just found to be in force."""
    return {_key_of(row): row for row in await many(session, KEPT, _columns(keys))}


def told(row: Row) -> dict[str, Any] | Unreadable | None:
    """What one of `kept_answers` was answered; None while its call owes somebody a ring."""
    answer = row["answer"]
    if answer is None or isinstance(answer, dict):
        return answer
    place = f"{row['tenant_id']}:{row['session_id']}"
    return unreadable("kept answer", place, TypeError("no object"))


async def forget_answers(session: Connection, keys: Sequence[KeptKey]) -> None:
    """Take back answers kept in this transaction whose call did not come about."""
    await session.execute(UNKEEP, _columns(keys))


ANSWERED = text("""
    UPDATE idempotency SET answer = :answer
    WHERE tenant_id = :tenant AND owner = :owner AND key = :key
""").bindparams(bindparam("answer", type_=Idempotency.__table__.c.answer.type))


async def take(session: Connection, key: KeptKey, digest: bytes) -> bool:
    """Whether this key is the caller's from now on; else somebody has it, and `answer` is kept."""
    tenant_id, owner, name = key
    row = {"tenant_id": tenant_id, "owner": owner, "key": name, "body_digest": digest}
    row |= {"session_id": None, "answer": None, "created_at": await clock(session)}
    return bool(await keep_answers(session, [row]))


async def answered(session: Connection, key: KeptKey, answer: dict[str, Any]) -> None:
    """Keep what the request that took this key was answered."""
    tenant_id, owner, name = key
    values = {"tenant": tenant_id, "owner": owner, "key": name, "answer": answer}
    await session.execute(ANSWERED, values)


async def forget_user(session: Connection, tenant_id: UUID, user_id: str) -> None:
    """Delete the answers to a user's own requests."""
    owner = owner_of(key_id=None, user_id=user_id)
    await session.execute(FORGET_USER, {"tenant": tenant_id, "owner": owner})


def _key_of(row: Row) -> KeptKey:
    return row["tenant_id"], row["owner"], row["key"]


def _columns(keys: Sequence[KeptKey]) -> dict[str, Any]:
    return {
        "tenants": [key[0] for key in keys],
        "owners": [key[1] for key in keys],
        "keys": [key[2] for key in keys],
    }
