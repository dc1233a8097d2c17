"""Events of calls, what users are told of them, and a tenant's own events."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class Event(Base):
    """A fact about a call; `seq` counts within the call from 1, under the call's lock."""

    __tablename__ = "events"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[UUID]
    type: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    data: Mapped[dict[str, Any]]

    __table_args__ = (
        Index("ix_events_at", "tenant_id", "at"),
        {"postgresql_partition_by": "RANGE (session_id)"},
    )


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
    """What a user is told: numbered by the user's feed without gaps.

    `at` is in the key as it decides on the partition; `seq` by itself is unique in a feed.
    """

    __tablename__ = "user_events"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    body: Mapped[dict[str, Any]]

    __table_args__ = (
        Index("ix_user_events_at", "tenant_id", "at"),
        {"postgresql_partition_by": "RANGE (at)"},
    )


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
