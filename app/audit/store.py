"""Rows of the audit log: written and read, never changed."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.audit.models import Audit
from app.infra.db import Connection, Row, insert_rows, many, one
from app.infra.ids import uuid7
from app.infra.unreadable import FAULTS, mapping, unreadable

AUDIT = text("""
    SELECT a.id, a.at, a.actor, a.action, a.target, a.source, a.detail,
           a.subject IS NOT NULL AS about_user, s.user_id
    FROM audit a LEFT JOIN audit_subjects s ON s.id = a.subject
    WHERE a.tenant_id = :tenant AND a.id < :before
        AND (CAST(:target AS text) IS NULL OR a.target = :target)
        AND (CAST(:user AS text) IS NULL OR a.subject = (
            SELECT id FROM audit_subjects WHERE tenant_id = :tenant AND user_id = :user))
    ORDER BY a.id DESC LIMIT :limit
""")
SUBJECT = text("SELECT id FROM audit_subjects WHERE tenant_id = :tenant AND user_id = :user")
ADD_SUBJECT = text("""
    INSERT INTO audit_subjects (id, tenant_id, user_id) VALUES (:id, :tenant, :user)
    ON CONFLICT (tenant_id, user_id) DO NOTHING RETURNING id
""")
FORGET_SUBJECT = text("DELETE FROM audit_subjects WHERE tenant_id = :tenant AND user_id = :user")
USER: Final = "user"


async def add_audit(session: Connection, row: Row) -> None:
    """One line of the audit log. It can be neither changed nor removed."""
    await insert_rows(session, Audit.__table__, [row])


async def subject_of(session: Connection, tenant_id: UUID, user_id: str) -> UUID:
    """What stands for a user in the log."""
    values = {"tenant": tenant_id, "user": user_id}
    row = (
        await one(session, SUBJECT, values)
        or await one(session, ADD_SUBJECT, values | {"id": uuid7()})
        or await one(session, SUBJECT, values)  # somebody else was first
    )
    subject: UUID = uuid7() if row is None else row["id"]  # erased at this moment: nobody's
    return subject


ADD_SUBJECTS = text("""
    INSERT INTO audit_subjects (id, tenant_id, user_id)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:tenants AS uuid[]), CAST(:users AS text[]))
    ON CONFLICT (tenant_id, user_id) DO NOTHING
""")
SUBJECTS = text("""
    SELECT s.id, s.tenant_id, s.user_id FROM audit_subjects s
    JOIN unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
        USING (tenant_id, user_id)
""")


async def subjects_of(
    session: Connection, users: Collection[tuple[UUID, str]]
) -> dict[tuple[UUID, str], UUID]:
    """What stands for each of these (tenant, user) in the log."""
    ordered = sorted(users)
    values = {"tenants": [one[0] for one in ordered], "users": [one[1] for one in ordered]}
    await session.execute(ADD_SUBJECTS, values | {"ids": [uuid7() for _ in ordered]})
    rows = await many(session, SUBJECTS, values)
    return {(row["tenant_id"], row["user_id"]): row["id"] for row in rows}


async def add_lines(session: Connection, rows: Sequence[Row]) -> None:
    """Lines of the audit log."""
    await insert_rows(session, Audit.__table__, rows)


async def forget_subject(session: Connection, tenant_id: UUID, user_id: str) -> None:
    """From now on no line says that it is about this user."""
    await session.execute(FORGET_SUBJECT, {"tenant": tenant_id, "user": user_id})


async def audit_before(
    session: Connection, tenant_id: UUID, before: UUID, limit: int, target: str | None = None
) -> list[dict[str, Any]]:
    """Up to `limit` lines of the tenant's audit log with an id below `before`, newest first."""
    kind, _, user = (target or "").partition(":")
    values = {"tenant": tenant_id, "before": before, "limit": limit, "target": target, "user": None}
    if kind == USER:
        values |= {"target": None, "user": user}
    return [_named(row) for row in await many(session, AUDIT, values)]


UNKNOWN: Final = {"kind": "unknown", "id": None, "name": None}


def _read(row: dict[str, Any]) -> dict[str, Any]:
    actor, detail = row["actor"], row["detail"]
    try:
        if not isinstance(mapping(actor)["kind"], str):
            raise TypeError("no word")
        return {"actor": UNKNOWN | dict(actor), "detail": mapping(detail)}
    except FAULTS as error:
        unreadable("audit line", row["id"], error)
        return {"actor": UNKNOWN, "detail": detail if isinstance(detail, dict) else {}}


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """A line with the user's id where it is about one who has not been erased.

    What of it cannot be read is told, and is of nobody known: the line itself stays in its place.
    """
    row |= _read(row)
    about, user = row.pop("about_user"), row.pop("user_id") or "erased"
    if about and row["target"] == USER:
        row["target"] = f"{USER}:{user}"
    if about and row["actor"]["kind"] == USER:
        row["actor"] = row["actor"] | {"name": user}
    return row
