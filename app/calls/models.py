"""Calls, members, rings, and the answers kept for repeated requests."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class Call(Base):
    """One session of a cid. `due_at`: when time next changes it; the sweep's only question.

    `told_seq`: the event up to which the members of a large call have been told; `update_due_at`:
    when they are to be told more. `traceparent`: the span in which it began, while traces are on.
    `owed`: whom it is yet to ring, until they are written (`app.calls.slices`).

    No foreign key looks up, and locks, the tenant of each; they go with it by one trigger (0147).
    """

    __tablename__ = "calls"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    caller_id: Mapped[str] = mapped_column(Text)
    caller_name: Mapped[str | None] = mapped_column(Text)
    caller_avatar_url: Mapped[str | None] = mapped_column(Text)
    caller_handle: Mapped[dict[str, Any] | None]
    title: Mapped[str | None] = mapped_column(Text)
    video: Mapped[bool] = mapped_column(Boolean)
    custom: Mapped[dict[str, Any]]
    limits: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    active_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    alone_since: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    event_seq: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    told_seq: Mapped[int] = mapped_column(Integer, server_default="0")
    update_due_at: Mapped[datetime | None]
    traceparent: Mapped[str | None] = mapped_column(Text)
    owed: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index(
            "uq_calls_live",
            "tenant_id",
            "type",
            "name",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_calls_name", "tenant_id", "name", "type", "created_at"),
        Index("ix_calls_created_at", "tenant_id", "created_at"),
        Index("ix_calls_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index(
            "ix_calls_ended_at",
            "tenant_id",
            "ended_at",
            postgresql_where=text("ended_at IS NOT NULL"),
        ),
        Index(
            "ix_calls_update_due_at",
            "update_due_at",
            postgresql_where=text("update_due_at IS NOT NULL"),
        ),
        Index("ix_calls_owed", "tenant_id", postgresql_where=text("owed IS NOT NULL")),
    )


class Member(Base):
    """A user in a call. `person`: what is shown of them (`app.core.person`).

    Members and rings are written by who holds their call, so no foreign key looks again; they go
    with it by one trigger a statement (0136).
    """

    __tablename__ = "members"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[UUID]
    role: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    device_id: Mapped[str | None] = mapped_column(Text)
    monitored: Mapped[bool] = mapped_column(Boolean)
    ring: Mapped[UUID | None]
    joined_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    person: Mapped[dict[str, Any] | None]
    suppressed: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_members_user", "tenant_id", "user_id", "session_id"),
        # no index names what commands and heartbeats change: with room on its page such a row is
        # written without touching one, at half the cost
        {"postgresql_with": {"fillfactor": 50}},
    )


class SeenMark(Base):
    """Until when a user has seen what was missed."""

    __tablename__ = "seen_marks"

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    seen_at: Mapped[datetime]


class Ring(Base):
    """One attempt to reach one member. `uuid` is CallKit's.

    `shown_on`: the devices, by their apps' own ids, that have it on their screen.
    """

    __tablename__ = "rings"

    uuid: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    tenant_id: Mapped[UUID]
    user_id: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    deadline: Mapped[datetime]
    outcome: Mapped[str | None] = mapped_column(Text)
    settled_at: Mapped[datetime | None]
    callkit_reason: Mapped[int | None] = mapped_column(Integer)
    device: Mapped[str | None] = mapped_column(Text)
    shown_on: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")

    __table_args__ = (
        Index("ix_rings_session_id", "session_id"),
        Index("ix_rings_live", "tenant_id", "user_id", postgresql_where=text("outcome IS NULL")),
    )


class Idempotency(Base):
    """The answer to a request with an `Idempotency-Key`, kept for 24 hours.

    `owner`: `key:<id>` of the API key, or `user:<id>`, whose request it was; or `form:<id>` of the
    administrator whose form of the dashboard it was (`app.dashboard.once`).
    """

    __tablename__ = "idempotency"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    body_digest: Mapped[bytes] = mapped_column(LargeBinary)
    session_id: Mapped[UUID | None]
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_idempotency_created_at", "created_at"),
        Index("ix_idempotency_session_id", "session_id"),
    )
