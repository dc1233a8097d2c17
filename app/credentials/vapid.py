"""VAPID keys: made here, and only their public half ever leaves."""

import re
from typing import Final
from uuid import UUID

from app import senders
from app.audit.log import Actor
from app.core.credential import CredentialKind, CredentialState
from app.core.push import Environment, TokenKind
from app.credentials import lifecycle, store
from app.credentials.decrypt import place_of
from app.credentials.files.apple import fingerprint_of
from app.credentials.files.reading import clean_app_id
from app.credentials.usable import in_order
from app.infra import vault
from app.infra.db import clock
from app.infra.errors import Conflict, Invalid, NotFound
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.infra.urls import BadUrl, http_url
from app.webpush.vapid import VapidKey, public_of

MOST_KEYS: Final = 20
"""VAPID keys of one app: each is kept while a browser is subscribed with it."""
LONGEST_SUBJECT: Final = 300
_MAIL: Final = re.compile(r"mailto:[^\s@<>,;:/?#]{1,64}@[A-Za-z0-9.\-]{1,190}")


async def make(runtime: Runtime, tenant_id: UUID, app_id: str, subject: str, actor: Actor) -> UUID:
    """Make a key pair for an app and use it at once if there is no other. Returns its id.

    Raises Refused, Invalid (`invalid_subject`), Conflict (`too_many_keys`,
    `too_many_credentials`).
    """
    app_id = clean_app_id(app_id)
    key = VapidKey.made(_subject(subject))
    private = key.loaded()
    row_id = uuid7()
    fingerprint = fingerprint_of(private.public_key())
    service = senders.serving(TokenKind.WEBPUSH)
    async with runtime.database.transaction() as session:
        rows = await store.lock_bundle(session, tenant_id, app_id)
        if sum(row.kind is CredentialKind.VAPID for row in rows) >= MOST_KEYS:
            raise Conflict(
                "too_many_keys", f"an app has at most {MOST_KEYS} VAPID keys: delete those not used"
            )
        await lifecycle.check_room(session, tenant_id, app_id)
        now = await clock(session)
        values = {
            "id": row_id,
            "tenant_id": tenant_id,
            "app_id": app_id,
            "kind": CredentialKind.VAPID,
            "environments": list(service.environments),
            "topics": [service.topic(TokenKind.WEBPUSH, app_id)],
            "key_id": public_of(private),
            "subject": key.subject,
            "fingerprint": fingerprint,
            "key_fingerprint": fingerprint,
            "sealed": vault.seal(runtime.keyring, place_of(tenant_id, row_id), key.sealed()),
            "state": CredentialState.STANDBY,
            "probe_due_at": now,
            "created_at": now,
        }
        await store.add(session, values)
        await lifecycle.enter(session, tenant_id, app_id, row_id, "credential.add", now, actor)
    return row_id


async def public_key(runtime: Runtime, tenant_id: UUID, app_id: str) -> str:
    """With what an app's browsers subscribe now. Raises NotFound."""
    async with runtime.database.autocommit() as session:
        rows = await store.for_apps(session, {(tenant_id, app_id)})
    kind, environment = TokenKind.WEBPUSH, Environment.PRODUCTION
    found = in_order(rows, tenant_id, app_id, environment, kind)
    if not found or found[0].key_id is None:
        raise NotFound("credential_not_found", f"There is no VAPID key for {app_id}.")
    return found[0].key_id


def _subject(text: str) -> str:
    """Whom a push service may write to. Raises Invalid."""
    subject = text.strip()
    if len(subject) <= LONGEST_SUBJECT:
        if _MAIL.fullmatch(subject):
            return subject
        try:
            return str(http_url(subject, schemes=("https",)))
        except BadUrl:
            pass
    raise Invalid(
        "invalid_subject",
        "subject: whom a push service may write to, as mailto:push@example.com or "
        "https://example.com/contact",
    )
