"""Push tokens, pushes (the outbox), each attempt at them, and the workers that claim them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class Token(Base):
    """A push address of a device.

    `registered_at` moves with every registration: an answer with a time of its own (Gone) retires a
    token only if that is later. A `token` of several parts is a subscription, the last
    part its endpoint. `changed_at` moves when the row's meaning does (owner, environment,
    life). `rings` is its device's.
    """

    __tablename__ = "tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(Text)
    device_row: Mapped[UUID] = mapped_column(ForeignKey("devices.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    app_id: Mapped[str] = mapped_column(Text)
    environment: Mapped[str] = mapped_column(Text)
    token: Mapped[str] = mapped_column(Text)
    registered_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    retired_reason: Mapped[str | None] = mapped_column(Text)
    proven_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    rings: Mapped[bool] = mapped_column(Boolean, server_default="true")
    turned_on_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("tenant_id", "kind", "app_id", "token", name="uq_tokens_token"),
        Index(
            "ix_tokens_user", "tenant_id", "user_id", postgresql_where=text("retired_at IS NULL")
        ),
        Index("ix_tokens_device_row", "device_row"),
        Index(
            "ix_tokens_environment",
            "tenant_id",
            "app_id",
            "environment",
            postgresql_where=text("kind = 'voip' AND retired_at IS NULL"),
        ),
        Index("ix_tokens_expires_at", "expires_at", postgresql_where=text("retired_at IS NULL")),
        Index("ix_tokens_registered_at", "registered_at"),
        Index(
            "ix_tokens_turned_on_at",
            "turned_on_at",
            postgresql_where=text("turned_on_at IS NOT NULL"),
        ),
        Index(
            "ix_tokens_endpoint",
            "tenant_id",
            text("md5(split_part(token, ' '::text, 4))"),
            postgresql_where=text("token LIKE '% %'"),
        ),
        Index("ix_tokens_ending", "tenant_id", text('"right"(token, 4)')),
    )


class Push(Base):
    """One message to one token for one ring; `id` is kept over retries.

    state: pending -> sending -> accepted | refused | expired; pending or waiting for its next try
    -> dropped when its ring settles. `is_open` until it has ended. All that a claim looks at is in
    this row.

    No index names what a claim changes (`state`, `claimed_by`, `fence`, `attempts`), and a page is
    filled to 45 %: a claim so writes the row beside itself and no index. When a push ends all of
    them are written, so those of a call, a user or a device are found by their rings, and those of
    a time by their ids, which are UUIDv7 made a moment before `created_at`.

    `inherited`: somebody may have handed it over without a recorded answer. `repeated`: it has had
    the one repeat that this allows, or is about to.
    """

    __tablename__ = "pushes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ring: Mapped[UUID]
    session_id: Mapped[UUID]
    tenant_id: Mapped[UUID]
    user_id: Mapped[str] = mapped_column(Text)
    device_row: Mapped[UUID]
    token_id: Mapped[UUID]
    purpose: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    app_id: Mapped[str] = mapped_column(Text)
    environment: Mapped[str] = mapped_column(Text)
    token: Mapped[str] = mapped_column(Text)
    token_registered_at: Mapped[datetime]
    token_version: Mapped[int] = mapped_column(BigInteger)
    healed: Mapped[bool] = mapped_column(Boolean, server_default="false")
    callkit_reason: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime]
    deadline: Mapped[datetime]
    state: Mapped[str] = mapped_column(Text)
    is_open: Mapped[bool] = mapped_column(Boolean, server_default="true")
    due_at: Mapped[datetime]
    claimed_by: Mapped[UUID | None]
    fence: Mapped[int] = mapped_column(Integer, server_default="0")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    status: Mapped[int | None] = mapped_column(Integer)
    inherited: Mapped[bool] = mapped_column(Boolean, server_default="false")
    repeated: Mapped[bool] = mapped_column(Boolean, server_default="false")
    reason: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    unavailable_at: Mapped[datetime | None]
    declined_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("ring", "token_id", "purpose", name="uq_pushes_ring"),
        Index("ix_pushes_open", "due_at", postgresql_where=text("is_open")),
        {"postgresql_with": {"fillfactor": "45"}},
    )


class PushBatch(Base):
    """Up to fifty of a call's pushes that ring, of one kind, app and environment; places from 1.

    Each place stands for the row of `pushes` that the view `places` shows of it. Whatever is not
    claimed once and taken at its first try leaves before: its row is inserted. `open_bits`: places
    that are neither taken (`accepted_bits`) nor gone. `id` is that of the first push.

    The arrays that never change lie beside the row. No index names what a claim or a record
    changes, but for `done_at`, set when nothing is open.
    """

    __tablename__ = "push_batches"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    tenant_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    app_id: Mapped[str] = mapped_column(Text)
    environment: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    deadline: Mapped[datetime]
    push_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))
    rings: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))
    token_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))
    device_rows: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid()))
    users: Mapped[list[str]] = mapped_column(ARRAY(Text))
    tokens: Mapped[list[str]] = mapped_column(ARRAY(Text))
    token_registered_at: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)))
    token_versions: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    claimed_by: Mapped[UUID | None]
    fence: Mapped[int] = mapped_column(Integer, server_default="0")
    rev: Mapped[int] = mapped_column(Integer, server_default="0")
    open_bits: Mapped[int] = mapped_column(BigInteger)
    accepted_bits: Mapped[int] = mapped_column(BigInteger, server_default="0")
    sent_ms: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    answered_ms: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    done_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_push_batches_session_id", "session_id"),
        Index("ix_push_batches_created_at", "tenant_id", "created_at"),
        Index("ix_push_batches_open", "due_at", postgresql_where=text("done_at IS NULL")),
        {"postgresql_with": {"fillfactor": "45"}},
    )


class Attempt(Base):
    """One try at a push and its answer; also those of a worker whose claim had been taken over.

    A first try that was taken has none: the push's own row says all of it. The table lies in
    partitions by the week of `id`, and no statement on a ring's way looks into them.
    """

    __tablename__ = "attempts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    push_id: Mapped[UUID]
    session_id: Mapped[UUID]
    worker_id: Mapped[UUID]
    fence: Mapped[int] = mapped_column(Integer)
    environment: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    status: Mapped[int | None] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(Text)
    unique_id: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_attempts_push_id", "push_id"),
        Index("ix_attempts_finished_at", "finished_at"),
        {"postgresql_partition_by": "RANGE (id)"},
    )


class Worker(Base):
    """A worker process: its claims are good until `alive_until`, which it keeps moving.

    `unbroken_since` is when it last began to be alive without a gap. `dead_at`, once set by
    another, is for ever: its claims may be taken over, and it cannot renew. `only`: `pushes` or
    `webhooks`, of one that does not do both. `batches`: it claims those, too.
    """

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(Integer)
    only: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    alive_until: Mapped[datetime]
    unbroken_since: Mapped[datetime] = mapped_column(server_default=text("now()"))
    dead_at: Mapped[datetime | None]
    batches: Mapped[bool] = mapped_column(Boolean, server_default="false")
