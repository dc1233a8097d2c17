"""What one can do with credentials. Commits."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app import vault
from app.credentials import store
from app.credentials.material import place_of
from app.credentials.reading import clean_bundle_id, read
from app.credentials.refusals import refused
from app.credentials.understood import BOTH, PRODUCTION, Understood
from app.db import Row, clock
from app.errors import NotFound
from app.ids import uuid7
from app.runtime import Runtime


async def add(
    runtime: Runtime,
    tenant_id: UUID,
    bundle_id: str | None,
    data: bytes,
    password: str | None = None,
    *,
    key_id: str | None = None,
    team_id: str | None = None,
    environments: Sequence[str] | None = None,
) -> Row:
    """Check a file, seal what is secret in it, store it, and return what may be shown of it.

    `bundle_id` may be None for a certificate, which names its own. Raises Refused (422).
    """
    understood = await understand(
        data, password, bundle_id=bundle_id, key_id=key_id, team_id=team_id,
        environments=environments,
    )  # fmt: skip
    if understood.kind == "certificate_only":
        raise refused("no_private_key", subject=understood.subject)
    row_id = uuid7()
    async with runtime.database.transaction() as session:
        now = await clock(session)
        row = _row(runtime, tenant_id, row_id, understood, now)
        await store.add(session, row)
        shown = await store.get(session, tenant_id, row_id)
    assert shown is not None
    return shown


async def understand(
    data: bytes,
    password: str | None = None,
    *,
    bundle_id: str | None = None,
    key_id: str | None = None,
    team_id: str | None = None,
    environments: Sequence[str] | None = None,
) -> Understood:
    """What a file is, checked against what is wanted of it; nothing is stored. Raises Refused."""
    understood = await asyncio.to_thread(
        read, data, password, key_id=key_id, team_id=team_id, now=datetime.now(UTC)
    )
    return fit(understood, bundle_id, environments)


def fit(
    understood: Understood, bundle_id: str | None, environments: Sequence[str] | None
) -> Understood:
    """The same with the bundle id and environments that are wanted, if the file allows them."""
    wanted = clean_bundle_id(bundle_id) if bundle_id else understood.bundle_id
    if wanted is None:
        raise refused("bundle_id_missing")
    if understood.bundle_id is not None and wanted != understood.bundle_id:
        raise refused("bundle_id_mismatch", found=understood.bundle_id, given=wanted)
    asked = tuple(name for name in BOTH if name in environments) if environments else None
    if asked is None and understood.environments == ("sandbox",):
        raise refused("development_certificate", subject=understood.subject)
    missing = [name for name in asked or () if name not in understood.environments]
    if missing:
        kind = "development" if missing[0] == PRODUCTION else "production"
        raise refused(f"{kind}_certificate", subject=understood.subject)
    changes: dict[str, Any] = {
        "bundle_id": wanted,
        "environments": asked or understood.environments,
    }
    if understood.kind == "key":
        changes["topics"] = (wanted + ".voip", wanted)
    return replace(understood, **changes)


async def get(runtime: Runtime, tenant_id: UUID, credential_id: UUID) -> Row:
    """What may be shown of one credential. Raises NotFound."""
    async with runtime.database.reading() as session:
        row = await store.get(session, tenant_id, credential_id)
    if row is None:
        raise NotFound("credential_not_found", "There is no such credential.")
    return row


async def list_all(
    runtime: Runtime, tenant_id: UUID, bundle_id: str | None = None
) -> Sequence[Row]:
    """What may be shown of a tenant's credentials, the newest first."""
    async with runtime.database.reading() as session:
        return await store.by_tenant(session, tenant_id, bundle_id)


def _row(
    runtime: Runtime, tenant_id: UUID, row_id: UUID, understood: Understood, now: datetime
) -> dict[str, Any]:
    return {
        "id": row_id,
        "tenant_id": tenant_id,
        "bundle_id": understood.bundle_id,
        "kind": understood.kind,
        "environments": list(understood.environments),
        "topics": list(understood.topics),
        "team_id": understood.team_id,
        "key_id": understood.key_id,
        "subject": understood.subject,
        "serial": understood.serial,
        "fingerprint": understood.fingerprint,
        "not_before": understood.not_before,
        "not_after": understood.not_after,
        "sealed": vault.seal(runtime.keyring, place_of(tenant_id, row_id), understood.private),
        "version": 1,
        "state": store.ACTIVE,
        "created_at": now,
        "activated_at": now,
    }
