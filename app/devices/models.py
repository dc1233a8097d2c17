"""Users and their devices."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Index, Text, UniqueConstraint, func
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
    """One app installation of a user. `device_id` is kept by the app and unique for its user.

    `rings`: whether it is rung; its tokens have a copy, since those of a ring are found by them.
    """

    __tablename__ = "devices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(Text)
    device_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    platform: Mapped[str | None] = mapped_column(Text)
    locale: Mapped[str | None] = mapped_column(Text)
    report: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    rings: Mapped[bool] = mapped_column(Boolean, server_default="true")
    created_at: Mapped[datetime]
    registered_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "device_id", name="uq_devices_device_id"),
    )


class RemovedDevice(Base):
    """A device that is no more, kept while the call tokens of its last rings are good.

    `id` is the row that it had among the devices.
    """

    __tablename__ = "removed_devices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(Text)
    device_id: Mapped[str] = mapped_column(Text)
    removed_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_removed_devices_user", "tenant_id", "user_id"),
        Index("ix_removed_devices_removed_at", "removed_at"),
    )
