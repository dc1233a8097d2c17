"""Putting a credential that was understood into its row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.audit.log import Actor
from app.core.credential import CredentialKind, CredentialState
from app.credentials import lifecycle, store
from app.credentials.decrypt import place_of
from app.credentials.files.parsed_file import ParsedFile
from app.credentials.files.refusals import reject
from app.credentials.rows import CredentialRow, KeyRow
from app.infra import vault
from app.infra.db import clock
from app.infra.errors import Conflict
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.infra.vault import Keyring


async def keep(
    runtime: Runtime, tenant_id: UUID, parsed: ParsedFile, key: KeyRow | None, actor: Actor
) -> UUID:
    """Store it, in the row of its request if there is one; use it at once if nothing else serves.

    `key` is the row whose private key a bare certificate belongs to. Raises Conflict
    (`credential_exists`) for one that is stored already, and `too_many_credentials`.
    """
    assert parsed.app_id is not None
    async with runtime.database.transaction() as session:
        rows = await store.lock_bundle(session, tenant_id, parsed.app_id)
        now = await clock(session)
        _check_new(rows, parsed)
        secret = parsed.private
        if key is not None:
            sealed_at = place_of(tenant_id, key.id)
            secret += key_of(vault.unseal(runtime.keyring, sealed_at, key.sealed))
        waiting = next((r for r in rows if key and r.id == key.id), None)
        if waiting is not None and waiting.state is not CredentialState.REQUESTED:
            waiting = None
        values = _row(runtime.keyring, tenant_id, parsed, secret, now, waiting)
        credential_id: UUID = values["id"]
        if waiting is None:
            await lifecycle.check_room(session, tenant_id, parsed.app_id)
            await store.add(session, values)
        else:
            await store.change(session, credential_id, **values)
        act = "credential.add" if waiting is None else "credential.complete"
        await lifecycle.enter(session, tenant_id, parsed.app_id, credential_id, act, now, actor)
    return credential_id


def _check_new(rows: Sequence[CredentialRow], parsed: ParsedFile) -> None:
    for row in rows:
        if row.fingerprint == parsed.fingerprint:
            raise Conflict(
                "credential_exists",
                f"This {row.kind} is stored already, and is {row.state}; to use it again, "
                "activate it.",
                id=str(row.id),
            )
        found, given = parsed.project_id, row.project_id
        active = row.state is CredentialState.ACTIVE
        if active and found is not None and given not in {None, found}:
            raise reject("google_other_project", found=found, given=given)


def _row(
    keyring: Keyring,
    tenant_id: UUID,
    parsed: ParsedFile,
    secret: bytes,
    now: datetime,
    waiting: CredentialRow | None,
) -> dict[str, Any]:
    row_id: UUID = uuid7() if waiting is None else waiting.id
    return {
        "id": row_id,
        "tenant_id": tenant_id,
        "app_id": parsed.app_id,
        "kind": CredentialKind(parsed.kind.removesuffix("_only")),
        "project_id": parsed.project_id,
        "environments": list(parsed.environments),
        "topics": list(parsed.topics),
        "team_id": parsed.team_id,
        "key_id": parsed.key_id,
        "subject": parsed.subject,
        "serial": parsed.serial,
        "fingerprint": parsed.fingerprint,
        "key_fingerprint": parsed.key_fingerprint,
        "not_before": parsed.not_before,
        "not_after": parsed.not_after,
        "sealed": vault.seal(keyring, place_of(tenant_id, row_id), secret),
        "version": 1 if waiting is None else waiting.version + 1,
        "state": CredentialState.STANDBY,
        "probe_due_at": now,
        "created_at": now if waiting is None else waiting.created_at,
    }


def key_of(opened: bytes) -> bytes:
    """The private key's PEM block of what was sealed: a key alone, or a certificate and key."""
    return opened[opened.index(b"-----BEGIN PRIVATE KEY-----") :]


async def has_key(runtime: Runtime, tenant_id: UUID, parsed: ParsedFile) -> bool:
    """Whether the private key of a bare certificate is held here, for this app."""
    if parsed.kind != "certificate_only":
        return False
    async with runtime.database.autocommit() as session:
        rows = await store.by_key(session, tenant_id, parsed.key_fingerprint)
    return any(row.app_id == parsed.app_id for row in rows)


async def find_key(runtime: Runtime, tenant_id: UUID, parsed: ParsedFile) -> KeyRow:
    """The row that holds the private key of a bare certificate. Raises Refused if none does."""
    async with runtime.database.autocommit() as session:
        rows = await store.by_key(session, tenant_id, parsed.key_fingerprint)
    if not rows:
        raise reject("no_private_key", subject=parsed.subject)
    for row in rows:
        if row.app_id == parsed.app_id:
            return row
    given = rows[0].app_id
    raise reject("app_id_mismatch", found=parsed.app_id, given=given)
