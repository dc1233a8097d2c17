"""Credentials: what lets a tenant push for a bundle id. The secret part rests sealed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class Credential(Base):
    """A VoIP certificate with its key, or a `.p8` key.

    kind: `certificate` or `key`. `sealed` opens (see app.vault) to PEM: certificate chain and key,
    or the key alone. `version` moves when what is sealed does.
    """

    __tablename__ = "credentials"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    bundle_id: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    environments: Mapped[list[str]]
    topics: Mapped[list[str]]
    team_id: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    serial: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)
    not_before: Mapped[datetime | None]
    not_after: Mapped[datetime | None]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    state: Mapped[str] = mapped_column(Text)
    trouble: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_credentials_bundle", "tenant_id", "bundle_id"),)
