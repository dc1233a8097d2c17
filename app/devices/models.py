"""Users, their devices, and the push tokens of each device."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class User(Base):
    """A user of a tenant, made on first sight."""

    __tablename__ = "users"

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        # people look for users by the beginning of their id
        Index("ix_users_beginning", "tenant_id", "id", postgresql_ops={"id": "text_pattern_ops"}),
    )


class Device(Base):
    """One app installation of a user. `device_id` is kept by the app and unique for its user."""

    __tablename__ = "devices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(Text)
    device_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    platform: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    registered_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "device_id", name="uq_devices_device_id"),
    )


class Token(Base):
    """A push address of a device.

    `registered_at` moves with every registration: Apple's 410 retires a token only if its time is
    later. `changed_at` moves when the row's meaning does (owner, environment, life).
    """

    __tablename__ = "tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(Text)
    device_row: Mapped[UUID] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    bundle_id: Mapped[str] = mapped_column(Text)
    environment: Mapped[str] = mapped_column(Text)
    token: Mapped[str] = mapped_column(Text)
    registered_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    retired_why: Mapped[str | None] = mapped_column(Text)
    proven_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")

    __table_args__ = (
        UniqueConstraint("tenant_id", "kind", "bundle_id", "token", name="uq_tokens_token"),
        Index(
            "ix_tokens_user", "tenant_id", "user_id", postgresql_where=text("retired_at IS NULL")
        ),
        Index("ix_tokens_device_row", "device_row"),
        Index(
            "ix_tokens_environment",
            "tenant_id",
            "bundle_id",
            "environment",
            postgresql_where=text("kind = 'voip' AND retired_at IS NULL"),
        ),
        Index("ix_tokens_expires_at", "expires_at", postgresql_where=text("retired_at IS NULL")),
        Index("ix_tokens_registered_at", "registered_at"),
        Index("ix_tokens_ending", "tenant_id", text('"right"(token, 4)')),
    )
