"""Rows of credentials. Takes a session, never commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, delete, select, text, update

from app.credentials.models import Credential
from app.db import Row, Session, insert_rows, many, one

credentials = cast("Table", Credential.__table__)
c = credentials.c

ACTIVE = "active"
PUBLIC = tuple(column for column in c if column.name != "sealed")
"""Every column but the secret: what is read for showing."""


@dataclass(frozen=True, slots=True)
class Usable:
    """A credential that pushes may be sent with now.

    (`id`, `version`) changes whenever what is sealed does: pools of connections are keyed by it.
    """

    id: UUID
    version: int
    tenant_id: UUID
    bundle_id: str
    kind: str
    environments: tuple[str, ...]
    topics: tuple[str, ...]
    team_id: str | None
    key_id: str | None
    state: str
    activated_at: datetime | None
    sealed: bytes = field(repr=False)


USABLE = tuple(c[name] for name in Usable.__dataclass_fields__)


async def for_bundles(session: Session, pairs: Collection[tuple[UUID, str]]) -> list[Usable]:
    """The active credentials of these (tenant, bundle id), the newest activation first.

    One query, whatever the number of pairs. `pick` says which one serves an environment.
    """
    ordered = sorted(pairs)
    statement = (
        select(*USABLE)
        .join(
            text(
                "unnest(CAST(:tenants AS uuid[]), CAST(:bundles AS text[])) "
                "AS wanted (tenant_id, bundle_id)"
            ),
            text(
                "wanted.tenant_id = credentials.tenant_id "
                "AND wanted.bundle_id = credentials.bundle_id"
            ),
        )
        .where(c.state == ACTIVE)
        .order_by(c.activated_at.desc().nulls_last(), c.id.desc())
    )
    wanted = {
        "tenants": [tenant for tenant, _ in ordered],
        "bundles": [name for _, name in ordered],
    }
    return [usable(row) for row in await many(session, statement, wanted)]


def pick(
    rows: Sequence[Usable], tenant_id: UUID, bundle_id: str, environment: str
) -> Usable | None:
    """Which of `for_bundles`' rows serves this app in this environment."""
    return next(
        (
            row
            for row in rows
            if row.tenant_id == tenant_id
            and row.bundle_id == bundle_id
            and environment in row.environments
        ),
        None,
    )


def usable(row: Any) -> Usable:
    """A row with the columns of `USABLE`."""
    values = {name: row[name] for name in Usable.__dataclass_fields__}
    values["environments"] = tuple(values["environments"])
    values["topics"] = tuple(values["topics"])
    return Usable(**values)


async def add(session: Session, row: Row) -> None:
    """Insert one credential."""
    await insert_rows(session, credentials, [row])


async def get(session: Session, tenant_id: UUID, credential_id: UUID) -> Row | None:
    """What may be shown of one credential."""
    return await one(
        session, select(*PUBLIC).where(c.id == credential_id, c.tenant_id == tenant_id)
    )


async def get_usable(session: Session, tenant_id: UUID, credential_id: UUID) -> Usable | None:
    """One credential with its secret, whatever its state."""
    row = await one(session, select(*USABLE).where(c.id == credential_id, c.tenant_id == tenant_id))
    return None if row is None else usable(row)


async def by_tenant(
    session: Session, tenant_id: UUID, bundle_id: str | None = None
) -> Sequence[Row]:
    """What may be shown of a tenant's credentials, the newest first."""
    statement = select(*PUBLIC).where(c.tenant_id == tenant_id).order_by(c.id.desc())
    if bundle_id is not None:
        statement = statement.where(c.bundle_id == bundle_id)
    return await many(session, statement)


async def change(session: Session, tenant_id: UUID, credential_id: UUID, **values: Any) -> None:
    """Set columns of one credential."""
    await session.execute(
        update(credentials).where(c.id == credential_id, c.tenant_id == tenant_id).values(**values)
    )


async def remove(session: Session, tenant_id: UUID, credential_id: UUID) -> None:
    """Delete one credential and its secret for good."""
    await session.execute(
        delete(credentials).where(c.id == credential_id, c.tenant_id == tenant_id)
    )
