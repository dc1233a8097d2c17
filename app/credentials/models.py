"""Credentials: what lets a tenant push for a bundle id. The secret part rests sealed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class Credential(Base):
    """A VoIP certificate with its key, a `.p8` key, a Google service account, or a VAPID key.

    kind: `certificate`, `key`, `google_service_account` or `vapid`, whose `key_id` is its public
    half. `sealed` opens (the vault) to PEM:
    certificate chain and key, or the key alone; or to what sending needs of an account.
    `version` moves when what is sealed does: re-wrapping is no change.

    state: `requested` (a key waits for its certificate) -> `standby` -> `active` <-> `standby`
    -> `retired`. Pushes go by the active ones; by one on standby only if Apple refuses those.

    `refused` maps an environment to Apple's reason since the time it began to refuse; `probe` maps
    it to the last probe's answer. `alarmed_days` is the last alarm ahead of expiry, 0 once expired.
    """

    __tablename__ = "credentials"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    app_id: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    environments: Mapped[list[str]]
    topics: Mapped[list[str]]
    team_id: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str | None] = mapped_column(Text)
    project_id: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    serial: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)
    key_fingerprint: Mapped[str] = mapped_column(Text, server_default="")
    not_before: Mapped[datetime | None]
    not_after: Mapped[datetime | None]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    request: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    state: Mapped[str] = mapped_column(Text)
    trouble: Mapped[str | None] = mapped_column(Text)
    refused: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    failing_since: Mapped[datetime | None]
    probe: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    probed_at: Mapped[datetime | None]
    probe_due_at: Mapped[datetime | None]
    alarmed_days: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    replaced_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_credentials_bundle", "tenant_id", "app_id"),
        Index("ix_credentials_key", "tenant_id", "key_fingerprint"),
        Index(
            "ix_credentials_probe_due_at",
            "probe_due_at",
            postgresql_where=text("probe_due_at IS NOT NULL"),
        ),
        UniqueConstraint("tenant_id", "app_id", "fingerprint", name="uq_credentials_fingerprint"),
    )


class KeyCheck(Base):
    """One row: a known value, sealed. A key that does not open it is not this database's."""

    __tablename__ = "key_checks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
