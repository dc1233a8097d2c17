"""The audit log's tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class Audit(Base):
    """Who did what, when and from where. The database refuses to change or delete a row.

    `actor`: {"kind": "api_key" | "user" | "command" | "dashboard" | "server", "id", "name"};
    `target` is such as `credential:<id>`; `source` the caller's address; `detail` holds no secret.
    A line names no user: `subject` says which, as long as there is that row of AuditSubject.
    """

    __tablename__ = "audit"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    at: Mapped[datetime]
    actor: Mapped[dict[str, Any]]
    action: Mapped[str] = mapped_column(Text)
    target: Mapped[str] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]
    subject: Mapped[UUID | None]

    __table_args__ = (Index("ix_audit_tenant_id", "tenant_id", "id"),)


class AuditSubject(Base):
    """A user whom lines of the audit log are about. Erasing the user deletes this row alone."""

    __tablename__ = "audit_subjects"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    user_id: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", name="uq_audit_subjects_tenant_id_user_id"),
    )
