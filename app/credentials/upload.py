"""Putting a credential that was understood into its row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.audit.log import Actor, record
from app.credentials import lifecycle, store
from app.credentials.decrypt import place_of
from app.credentials.files.parsed_file import Understood
from app.credentials.files.refusals import refused
from app.credentials.lifecycle import facts, target
from app.credentials.store import REQUESTED
from app.credentials.usable import STANDBY
from app.infra import vault
from app.infra.db import Row, Session, clock
from app.infra.errors import Conflict
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.infra.vault import Keyring


async def keep(
    runtime: Runtime, tenant_id: UUID, understood: Understood, key: Row | None, actor: Actor
) -> UUID:
    """Store it, in the row of its request if there is one; use it at once if nothing else serves.

    `key` is the row whose private key a bare certificate belongs to. Raises Conflict
    (`credential_exists`) for one that is stored already.
    """
    assert understood.bundle_id is not None
    async with runtime.database.transaction() as session:
        rows = await store.lock_bundle(session, tenant_id, understood.bundle_id)
        now = await clock(session)
        _check_new(rows, understood)
        secret = understood.private
        if key is not None:
            sealed_at = place_of(tenant_id, key["id"])
            secret += key_of(vault.unseal(runtime.keyring, sealed_at, key["sealed"]))
        waiting = next((r for r in rows if key and r["id"] == key["id"]), None)
        if waiting is not None and waiting["state"] != REQUESTED:
            waiting = None
        row = _row(runtime.keyring, tenant_id, understood, secret, now, waiting)
        if waiting is None:
            await store.add(session, row)
        else:
            await store.change(session, row["id"], **row)
        act = "credential.add" if waiting is None else "credential.complete"
        await record(session, actor, tenant_id, act, target(row), facts(row), at=now)
        await _use_at_once(session, tenant_id, understood.bundle_id, row["id"], now, actor)
    credential_id: UUID = row["id"]
    return credential_id


async def _use_at_once(
    session: Session, tenant_id: UUID, bundle_id: str, row_id: UUID, now: datetime, actor: Actor
) -> None:
    """Where nothing is in use there is nothing to lose: no probe is waited for."""
    rows = await store.lock_bundle(session, tenant_id, bundle_id)
    row = next(one for one in rows if one["id"] == row_id)
    if lifecycle.is_first(rows, row):
        await lifecycle.activate(session, rows, row, now, actor)


def _check_new(rows: list[dict[str, Any]], understood: Understood) -> None:
    for row in rows:
        if row["fingerprint"] == understood.fingerprint:
            raise Conflict(
                "credential_exists",
                f"This {row['kind']} is stored already, and is {row['state']}; to use it again, "
                "activate it.",
                id=str(row["id"]),
            )


def _row(
    keyring: Keyring,
    tenant_id: UUID,
    understood: Understood,
    secret: bytes,
    now: datetime,
    waiting: Row | None,
) -> dict[str, Any]:
    row_id: UUID = uuid7() if waiting is None else waiting["id"]
    return {
        "id": row_id,
        "tenant_id": tenant_id,
        "bundle_id": understood.bundle_id,
        "kind": "key" if understood.kind == "key" else "certificate",
        "environments": list(understood.environments),
        "topics": list(understood.topics),
        "team_id": understood.team_id,
        "key_id": understood.key_id,
        "subject": understood.subject,
        "serial": understood.serial,
        "fingerprint": understood.fingerprint,
        "key_fingerprint": understood.key_fingerprint,
        "not_before": understood.not_before,
        "not_after": understood.not_after,
        "sealed": vault.seal(keyring, place_of(tenant_id, row_id), secret),
        "version": 1 if waiting is None else waiting["version"] + 1,
        "state": STANDBY,
        "probe_due_at": now,
        "created_at": now if waiting is None else waiting["created_at"],
    }


def key_of(opened: bytes) -> bytes:
    """The private key's PEM block of what was sealed: a key alone, or a certificate and key."""
    return opened[opened.index(b"-----BEGIN PRIVATE KEY-----") :]


async def has_key(runtime: Runtime, tenant_id: UUID, understood: Understood) -> bool:
    """Whether the private key of a bare certificate is held here, for this app."""
    if understood.kind != "certificate_only":
        return False
    async with runtime.database.reading() as session:
        rows = await store.by_key(session, tenant_id, understood.key_fingerprint)
    return any(row["bundle_id"] == understood.bundle_id for row in rows)


async def find_key(runtime: Runtime, tenant_id: UUID, understood: Understood) -> Row:
    """The row that holds the private key of a bare certificate. Raises Refused if none does."""
    async with runtime.database.reading() as session:
        rows = await store.by_key(session, tenant_id, understood.key_fingerprint)
    if not rows:
        raise refused("no_private_key", subject=understood.subject)
    for row in rows:
        if row["bundle_id"] == understood.bundle_id:
            return row
    given = rows[0]["bundle_id"]
    raise refused("bundle_id_mismatch", found=understood.bundle_id, given=given)
