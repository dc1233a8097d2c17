"""What one can do with credentials. Commits."""

import asyncio
from uuid import UUID

import structlog

from app.audit.log import SERVER, Actor, record
from app.core.credential import CredentialState
from app.credentials import lifecycle, store, vapid
from app.credentials import upload as storing
from app.credentials.decrypt import decrypt
from app.credentials.files.parsed_file import ParsedFile
from app.credentials.files.reading import clean_app_id
from app.credentials.files.refusals import reject
from app.credentials.health import raise_alarm
from app.credentials.lifecycle import facts, target
from app.credentials.parse import Upload, parse
from app.credentials.probe import ProbeAnswer, ask_all
from app.credentials.requests import request
from app.credentials.rows import CredentialRow
from app.credentials.usable import Usable
from app.infra.db import Connection, clock
from app.infra.errors import Conflict, NotFound
from app.infra.runtime import Runtime
from app.infra.vault import VaultError

__all__ = [
    "activate",
    "add",
    "complete",
    "delete",
    "get",
    "list_all",
    "make_vapid",
    "preview",
    "probe",
    "probe_due",
    "request",
    "retire",
]

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Probes of the daily look that run at the same time."""


async def add(
    runtime: Runtime,
    tenant_id: UUID,
    upload: Upload,
    *,
    actor: Actor = SERVER,
    probe_now: bool = True,
) -> CredentialRow:
    """Check a file, seal and store it, ask Apple about it, and return what may be shown of it.

    A bare `.cer` is matched to the key of its request. The first credential of an app is used at
    once; a later one takes over when its probe succeeds. Raises Refused (422), Conflict (409
    `credential_exists`).
    """
    parsed = await parse(tenant_id, upload)
    key = None
    if parsed.kind == "certificate_only":
        key = await storing.find_key(runtime, tenant_id, parsed)
    credential_id = await storing.keep(runtime, tenant_id, parsed, key, actor)
    if probe_now:
        return await probe(runtime, tenant_id, credential_id)
    return await get(runtime, tenant_id, credential_id)


async def preview(runtime: Runtime, tenant_id: UUID, upload: Upload) -> tuple[ParsedFile, bool]:
    """What is understood of a file, and whether a bare certificate's private key is held here.

    Nothing is stored. Raises Refused (422).
    """
    parsed = await parse(tenant_id, upload)
    return parsed, await storing.has_key(runtime, tenant_id, parsed)


async def complete(
    runtime: Runtime,
    tenant_id: UUID,
    credential_id: UUID,
    data: bytes,
    *,
    actor: Actor = SERVER,
    probe_now: bool = True,
) -> CredentialRow:
    """Bring the `.cer` of the request `credential_id`. Raises Refused, Conflict, NotFound."""
    row = await get(runtime, tenant_id, credential_id)
    upload = Upload(data=data, app_id=row.app_id)
    parsed = await parse(tenant_id, upload)
    if parsed.key_fingerprint != row.key_fingerprint:
        raise reject("key_mismatch", subject=parsed.subject)
    return await add(runtime, tenant_id, upload, actor=actor, probe_now=probe_now)


async def make_vapid(
    runtime: Runtime, tenant_id: UUID, app_id: str, subject: str, *, actor: Actor = SERVER
) -> CredentialRow:
    """Make a VAPID key, with which an app's browsers subscribe from now on.

    Those that have subscribed before go on by the key that they know. Raises as `vapid.make`.
    """
    credential_id = await vapid.make(runtime, tenant_id, app_id, subject, actor)
    return await probe(runtime, tenant_id, credential_id)


async def get(runtime: Runtime, tenant_id: UUID, credential_id: UUID) -> CredentialRow:
    """What may be shown of one credential. Raises NotFound."""
    async with runtime.database.autocommit() as session:
        row = await store.get(session, tenant_id, credential_id)
    if row is None:
        raise _not_found()
    return row


async def list_all(
    runtime: Runtime, tenant_id: UUID, app_id: str | None = None
) -> list[CredentialRow]:
    """What may be shown of a tenant's credentials (of one app's), the newest first."""
    if app_id is not None:
        app_id = clean_app_id(app_id)
    async with runtime.database.autocommit() as session:
        return await store.by_tenant(session, tenant_id, app_id)


async def probe(
    runtime: Runtime, tenant_id: UUID, credential_id: UUID, *, actor: Actor = SERVER
) -> CredentialRow:
    """Ask Apple, in each environment, whether it takes the credential; record the answers.

    Takes up to 5 s. One on standby that was never in use takes over if any answer is yes.
    """
    usable = await _usable(runtime, tenant_id, credential_id)
    answers = await _ask(runtime, usable)
    async with runtime.database.transaction() as session:
        rows, row = await _locked(session, tenant_id, usable.app_id, credential_id)
        if row.version == usable.version:
            now = await clock(session)
            await lifecycle.note_probe(session, rows, row, answers, now, actor)
            if actor is not SERVER:
                detail = {name: answer.as_dict() for name, answer in answers.items()}
                await record(
                    session, actor, tenant_id, "credential.probe", target(row), detail, at=now
                )
    return await get(runtime, tenant_id, credential_id)


async def _ask(runtime: Runtime, usable: Usable) -> dict[str, ProbeAnswer]:
    try:
        credential = decrypt(runtime.keyring, usable)
    except VaultError as error:
        log.warning("credential_does_not_open", credential=str(usable.id), why=str(error))
        return {name.value: ProbeAnswer("no", str(error)) for name in usable.environments}
    return await ask_all(runtime.settings, usable, credential)


async def activate(
    runtime: Runtime, tenant_id: UUID, credential_id: UUID, *, actor: Actor = SERVER
) -> CredentialRow:
    """Use this one from now on: brings back what was replaced or retired. Asks Apple first.

    Raises Conflict: `credential_expired`, or `credential_refused` when Apple says no everywhere.
    """
    usable = await _usable(runtime, tenant_id, credential_id)
    if usable.expired:
        raise Conflict("credential_expired", "This certificate has expired; add a new one.")
    row = await probe(runtime, tenant_id, credential_id)
    answers = [row.probe.get(name, {}) for name in row.environments]
    if answers and all(answer.get("says") == "no" for answer in answers):
        words = answers[0].get("words")
        raise Conflict("credential_refused", f"Apple refuses this credential: {words}.")
    async with runtime.database.transaction() as session:
        rows, row = await _locked(session, tenant_id, usable.app_id, credential_id)
        now = await clock(session)
        await lifecycle.activate(session, rows, row, now, actor)
    return await get(runtime, tenant_id, credential_id)


async def retire(
    runtime: Runtime,
    tenant_id: UUID,
    credential_id: UUID,
    *,
    confirm: bool = False,
    actor: Actor = SERVER,
) -> CredentialRow:
    """Use it no more, and keep it: `activate` brings it back. One on standby takes its place.

    Raises Conflict: `last_credential`, `key_in_use` unless confirmed, `no_certificate_yet` for a
    mere request.
    """
    usable = await _usable(runtime, tenant_id, credential_id)
    async with runtime.database.transaction() as session:
        rows, row = await _locked(session, tenant_id, usable.app_id, credential_id)
        if row.state is not CredentialState.RETIRED:
            now = await clock(session)
            lifecycle.check_not_last(rows, row, now, confirm=confirm)
            await lifecycle.check_not_needed(session, row, confirm=confirm)
            await store.change(
                session,
                credential_id,
                state=CredentialState.RETIRED,
                retired_at=now,
                probe_due_at=None,
            )
            await record(
                session, actor, tenant_id, "credential.retire", target(row), facts(row), at=now
            )
            await lifecycle.promote(session, rows, row, now, actor)
    return await get(runtime, tenant_id, credential_id)


async def delete(
    runtime: Runtime,
    tenant_id: UUID,
    credential_id: UUID,
    *,
    confirm: bool = False,
    actor: Actor = SERVER,
) -> None:
    """Delete it with its private key, for good; the audit log keeps what it was.

    Raises Conflict (`last_credential`, `key_in_use`) unless confirmed.
    """
    shown = await get(runtime, tenant_id, credential_id)
    async with runtime.database.transaction() as session:
        rows, row = await _locked(session, tenant_id, shown.app_id, credential_id)
        now = await clock(session)
        lifecycle.check_not_last(rows, row, now, confirm=confirm)
        await lifecycle.check_not_needed(session, row, confirm=confirm)
        await store.remove(session, credential_id)
        await record(
            session, actor, tenant_id, "credential.delete", target(row), facts(row), at=now
        )
        await lifecycle.promote(session, rows, row, now, actor)


async def probe_due(runtime: Runtime, limit: int = 8) -> int:
    """Look after the credentials whose time has come: daily probe, alarms. For the sweep.

    Cheap when nothing is due (one indexed statement); else up to 5 s, so do not wait for it.
    Returns how many were looked after.
    """
    async with runtime.database.autocommit() as session:
        due = await store.claim_due(session, limit)
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(tenant_id: UUID, credential_id: UUID) -> None:
        async with gate:
            try:
                await _look_after(runtime, tenant_id, credential_id)
            except (NotFound, Conflict):
                return  # deleted meanwhile
            except Exception:
                log.exception("credential_not_looked_after", credential=str(credential_id))

    await asyncio.gather(*(look(*one) for one in due))
    return len(due)


async def _look_after(runtime: Runtime, tenant_id: UUID, credential_id: UUID) -> None:
    usable = await _usable(runtime, tenant_id, credential_id)
    if not usable.expired:
        await probe(runtime, tenant_id, credential_id)
        return
    async with runtime.database.transaction() as session:
        _, row = await _locked(session, tenant_id, usable.app_id, credential_id)
        await raise_alarm(session, row, await clock(session))
        await store.change(session, credential_id, probe_due_at=None)


async def _usable(runtime: Runtime, tenant_id: UUID, credential_id: UUID) -> Usable:
    async with runtime.database.autocommit() as session:
        usable = await store.get_usable(session, tenant_id, credential_id)
    if usable is None:
        raise _not_found()
    if usable.state is CredentialState.REQUESTED:
        raise Conflict(
            "no_certificate_yet",
            "This is a request: take it to Apple's portal and bring the .cer; or delete it.",
        )
    return usable


async def _locked(
    session: Connection, tenant_id: UUID, app_id: str, credential_id: UUID
) -> tuple[list[CredentialRow], CredentialRow]:
    rows = await store.lock_bundle(session, tenant_id, app_id)
    row = next((one for one in rows if one.id == credential_id), None)
    if row is None:
        raise _not_found()
    return rows, row


def _not_found() -> NotFound:
    return NotFound("credential_not_found", "There is no such credential.")
