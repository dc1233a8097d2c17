"""Tenants, their API keys and their token-signing secrets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.infra.db import Base


class Tenant(Base):
    """One customer app on this server. `settings`: limits, call types, permissions, profiles.

    `ringing_stopped_at`: since when no new ring begins, by the emergency switch. `deleted_at`:
    since when it is deleted, and its rows are being removed; its own goes last
    (`workers.removal`).
    """

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    settings: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ringing_stopped_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_tenants_deleted_at", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    )


class ApiKey(Base):
    """A key of the tenant's backend, stored as its SHA-256; `hint` is its last four characters."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    hint: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_api_keys_tenant_id", "tenant_id"),)


class SigningSecret(Base):
    """A secret with which the tenant's backend signs user tokens; two may be live at once."""

    __tablename__ = "signing_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    kid: Mapped[str] = mapped_column(Text, unique=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_signing_secrets_tenant_id", "tenant_id"),)


class TokenIssuer(Base):
    """Whose user tokens are a tenant's: found by `iss` and `aud`, before their key is known.

    One tenant per issuer and audience (empty: whatever it is), or one could shut out another.
    """

    __tablename__ = "token_issuers"

    issuer: Mapped[str] = mapped_column(Text, primary_key=True)
    audience: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))

    __table_args__ = (Index("ix_token_issuers_tenant_id", "tenant_id"),)


class Revocation(Base):
    """A user whose tokens were all taken back: those issued by then are dead."""

    __tablename__ = "revocations"

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    revoked_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_revocations_revoked_at", "revoked_at"),
        Index("ix_revocations_tenant_id_revoked_at", "tenant_id", "revoked_at"),
    )


class Erasure(Base):
    """A user that was erased: what was signed for it before `erased_at` is good for nothing.

    `digest` is made of tenant and id (`app.tenants.erasures`). The id itself is kept only while
    something is still to be done (`due_at`): calls in which `tombstone` is to stand in its place.
    `horizon`: transactions below this number may have named the user without knowing of this; it is
    known once this is committed.
    """

    __tablename__ = "erasures"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    tombstone: Mapped[str] = mapped_column(Text)
    erased_at: Mapped[datetime]
    user_id: Mapped[str | None] = mapped_column(Text)
    horizon: Mapped[int | None] = mapped_column(BigInteger)
    due_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_erasures_digest", "tenant_id", "digest", "erased_at"),
        Index("ix_erasures_erased_at", "tenant_id", "erased_at"),
        Index("ix_erasures_due_at", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )
