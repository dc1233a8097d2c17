"""Administrators, their sessions and tries to sign in, and the counts that the overview draws."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base

KNOWN = text("browser IS NOT NULL")


class Admin(Base):
    """A person who may use the dashboard, for every tenant. `email` is kept in lower case.

    role: `owner` (all, and other administrators), `operator` (all of a tenant), `viewer` (looks).
    `one_time`: the password was made by Ringline, must be replaced before anything else, and is
    good until `one_time_until`.
    """

    __tablename__ = "admins"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    role: Mapped[str] = mapped_column(Text)
    password: Mapped[str] = mapped_column(Text)
    one_time: Mapped[bool] = mapped_column(Boolean)
    one_time_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    signed_in_at: Mapped[datetime | None]


class AdminSession(Base):
    """A browser that has signed in, known by the SHA-256 of its cookie."""

    __tablename__ = "admin_sessions"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    admin_id: Mapped[UUID] = mapped_column(ForeignKey("admins.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("ix_admin_sessions_admin_id", "admin_id"),
        Index("ix_admin_sessions_created_at", "created_at"),
    )


class SignInTry(Base):
    """One try that has failed or is under way. `source` is an address or an IPv6 network.

    `browser`: a known browser's name, or `password:<admin's id>` for a guess at one's own password.
    """

    __tablename__ = "sign_in_tries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    browser: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("ix_sign_in_tries_browser", "browser", "at", postgresql_where=KNOWN),
        Index("ix_sign_in_tries_email", "email", "at"),
        Index("ix_sign_in_tries_source", "source", "at"),
        Index("ix_sign_in_tries_at", "at"),
    )


class AdminTotp(Base):
    """What an administrator's authenticator app makes its codes of, sealed; one at most.

    `confirmed`: a code of it has been shown. `last_step`: the 30 s step of the last code that was
    taken, so that none is good twice. `tenant_id` is the whole server's, for the seal.
    """

    __tablename__ = "admin_totp"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    admin_id: Mapped[UUID] = mapped_column(ForeignKey("admins.id", ondelete="CASCADE"), unique=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    confirmed: Mapped[bool] = mapped_column(Boolean)
    last_step: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AdminPasskey(Base):
    """A passkey (WebAuthn credential) of an administrator: its public key."""

    __tablename__ = "admin_passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    admin_id: Mapped[UUID] = mapped_column(ForeignKey("admins.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_admin_passkeys_admin_id", "admin_id"),)


class AdminRecoveryCode(Base):
    """The SHA-256 of a code that stands in for a lost factor, once."""

    __tablename__ = "admin_recovery_codes"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    admin_id: Mapped[UUID] = mapped_column(ForeignKey("admins.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("ix_admin_recovery_codes_admin_id", "admin_id"),)


class AdminChallenge(Base):
    """What a passkey is to sign, for one browser: known by the SHA-256 of its cookie.

    Also a sign-in whose password was right and that waits for its second factor.
    """

    __tablename__ = "admin_challenges"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    admin_id: Mapped[UUID] = mapped_column(ForeignKey("admins.id", ondelete="CASCADE"))
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("ix_admin_challenges_admin_id", "admin_id"),
        Index("ix_admin_challenges_created_at", "created_at"),
    )


class MinuteCount(Base):
    """How often something happened in one minute of a tenant, once that minute is settled.

    what: `ring` (name: its outcome), `push` (name: how it ended, with Apple's reason) or `took`
    (name: the upper bound in ms of the time from request to Apple's acceptance).
    """

    __tablename__ = "minute_counts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    what: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(Integer)

    __table_args__ = (Index("ix_minute_counts_minute", "minute"),)


class CountedUntil(Base):
    """One row: every minute before `until` is in `minute_counts`."""

    __tablename__ = "counted_until"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    until: Mapped[datetime]


class UntrustedForwarder(Base):
    """A peer that forwarded visitors, and is not in RINGLINE_TRUSTED_PROXIES."""

    __tablename__ = "untrusted_forwarders"

    address: Mapped[str] = mapped_column(Text, primary_key=True)
    seen_at: Mapped[datetime]
