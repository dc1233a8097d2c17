"""Rows of the audit log: written and read, never changed."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.audit.models import Audit
from app.infra.db import Row, Session, insert_rows, many

AUDIT = text("""
    SELECT id, at, actor, action, target, source, detail FROM audit
    WHERE tenant_id = :tenant AND id < :before
        AND (CAST(:target AS text) IS NULL OR target = :target)
    ORDER BY id DESC LIMIT :limit
""")


async def add_audit(session: Session, row: Row) -> None:
    """One line of the audit log. It can be neither changed nor removed."""
    await insert_rows(session, Audit.__table__, [row])


async def audit_before(
    session: Session, tenant_id: UUID, before: UUID, limit: int, target: str | None = None
) -> list[dict[str, Any]]:
    """Up to `limit` lines of the tenant's audit log with an id below `before`, newest first."""
    values = {"tenant": tenant_id, "before": before, "limit": limit, "target": target}
    return await many(session, AUDIT, values)
