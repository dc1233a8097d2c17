"""Events of calls, what users and webhooks are told of them, and a tenant's own events."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base

PENDING = text("state = 'pending'")
SENDING = text("state = 'sending'")
OPEN = text("state IN ('pending', 'sending')")


class Event(Base):
    """A fact about a call; `seq` counts within the call from 1, under the call's lock."""

    __tablename__ = "events"

    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]

    __table_args__ = (Index("ix_events_at", "tenant_id", "at"),)


class Feed(Base):
    """The counter of one user's events: there is a row once the user has opened a stream.

    It is locked last in a transaction, users sorted, so that order of numbers is order of commits.
    A new feed counts on from the milliseconds of its making, so that a number of a feed that was
    there before it can never be taken for one of its own.
    """

    __tablename__ = "feeds"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, server_default="0")
    opened_at: Mapped[datetime]

    __table_args__ = (Index("ix_feeds_opened_at", "tenant_id", "opened_at"),)


class UserEvent(Base):
    """What a user is told: numbered by the user's feed without gaps."""

    __tablename__ = "user_events"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime]
    body: Mapped[dict[str, Any]]

    __table_args__ = (Index("ix_user_events_at", "tenant_id", "at"),)


class TenantEvent(Base):
    """A fact about a tenant that belongs to no call: an alarm about a credential, say."""

    __tablename__ = "tenant_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]

    __table_args__ = (
        Index("ix_tenant_events_tenant_id", "tenant_id", "id"),
        Index("ix_tenant_events_at", "at"),
    )


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
    disabled_why: Mapped[str | None] = mapped_column(Text)
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
    call_id: Mapped[UUID | None]
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
        Index("ix_deliveries_open", "webhook_id", "call_id", "seq", postgresql_where=OPEN),
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
