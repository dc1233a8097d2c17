"""Webhooks, their secrets, and what they are sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base

PENDING = text("state = 'pending'")
SENDING = text("state = 'sending'")
OPEN = text("state IN ('pending', 'sending')")


class Webhook(Base):
    """An endpoint of the tenant's backend. `events`: `*`, `call.*` or whole types.

    While it fails, `failures` counts in a row, and nothing is sent before `resting_until`.
    """

    __tablename__ = "webhooks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]]
    description: Mapped[str] = mapped_column(Text, server_default="")
    state: Mapped[str] = mapped_column(Text, server_default="active")
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    failing_since: Mapped[datetime | None]
    resting_until: Mapped[datetime | None]
    succeeded_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_webhooks_tenant_id", "tenant_id"),)


class WebhookSecret(Base):
    """A secret that signs deliveries; while one replaces another, both do."""

    __tablename__ = "webhook_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_webhook_secrets_webhook_id", "webhook_id"),)


class Delivery(Base):
    """One event for one endpoint; written with the event, so that none is lost.

    state: pending -> sending -> delivered | failed; back to pending for its next try. Its body is
    made of the event's own row when it is sent. Those of one call go in order of `seq`.
    """

    __tablename__ = "deliveries"

    webhook_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(Text)
    session_id: Mapped[UUID | None]
    seq: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(Text, server_default="pending")
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    claimed_by: Mapped[UUID | None]
    fence: Mapped[int] = mapped_column(Integer, server_default="0")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_deliveries_due_at", "webhook_id", "due_at", postgresql_where=PENDING),
        Index("ix_deliveries_open", "webhook_id", "session_id", "seq", postgresql_where=OPEN),
        Index("ix_deliveries_sending", "webhook_id", "claimed_by", postgresql_where=SENDING),
        Index("ix_deliveries_webhook_id", "webhook_id", "created_at"),
        Index("ix_deliveries_created_at", "tenant_id", "created_at"),
    )


class DeliveryAttempt(Base):
    """One try at a delivery, and the beginning of what the endpoint answered."""

    __tablename__ = "delivery_attempts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    webhook_id: Mapped[UUID]
    event_id: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_delivery_attempts_webhook_id", "webhook_id", "id"),
        Index("ix_delivery_attempts_event_id", "event_id"),
        Index("ix_delivery_attempts_finished_at", "tenant_id", "finished_at"),
    )
