"""What users want of rings, whom they have blocked, and by which handles they are known."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class Preference(Base):
    """A user's preferences, as `app.users.schemas` has them; no row: none."""

    __tablename__ = "preferences"

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    settings: Mapped[dict[str, Any]]
    changed_at: Mapped[datetime]


class UserHandle(Base):
    """A handle of a user. `key`: what is the same in every spelling (`core.person.handle_key`)."""

    __tablename__ = "handles"

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text)
    value: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_handles_user", "tenant_id", "user_id"),)


class Block(Base):
    """`user_id` is not to be rung by `blocked_id`."""

    __tablename__ = "blocks"

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    blocked_id: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_blocks_blocked_id", "tenant_id", "blocked_id"),)
