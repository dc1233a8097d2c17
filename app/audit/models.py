"""The audit log's table."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class Audit(Base):
    """Who did what, when and from where. The database refuses to change or delete a row.

    `actor`: {"kind": "api_key" | "command" | "dashboard" | "server", "id", "name"}; `target` is
    such as `credential:<id>`; `source` the caller's address; `detail` holds no secret.
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

    __table_args__ = (Index("ix_audit_tenant_id", "tenant_id", "id"),)
