"""What a webhook is sent, and how it is signed (the Standard Webhooks specification)."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.event import envelope, rfc3339
from app.infra import vault
from app.infra.signing_key import SigningKey
from app.infra.vault import Keyring, Place
from app.webhooks.claimed import Delivery, DueEvent, SealedSecret

SECRET_PURPOSE = "webhook_secret"  # noqa: S105
MOST_KEYS = 1_000


def body_of(claim: Delivery, event: DueEvent) -> bytes:
    """What endpoints are sent: the event as live streams tell it, with its id."""
    if claim.session_id is None or claim.seq is None or event.cid is None:
        said: dict[str, Any] = {"type": event.type, "at": rfc3339(event.at)}
    else:
        said = envelope(
            session_id=claim.session_id,
            cid=event.cid,
            seq=claim.seq,
            kind=event.type,
            at=event.at,
            data={},
        )
    # as the database has it: it is not read to be written again
    return orjson.dumps({"id": claim.event_id, **said, "data": orjson.Fragment(event.data)})


def signed(event: str, at: datetime, body: bytes, keys: Sequence[SigningKey]) -> dict[str, str]:
    """Headers by the Standard Webhooks specification: one signature for each live secret's key."""
    at_second = str(int(at.timestamp()))
    text = f"{event}.{at_second}.".encode() + body
    signatures = [b64encode(key.sign(text)).decode() for key in keys]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Ringline",
        "webhook-id": event,
        "webhook-timestamp": at_second,
        "webhook-signature": " ".join([f"v1,{one}" for one in signatures]),
    }


class SigningKeys:
    """The keys of webhooks' secrets, opened once: of so many, those used last."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._known: dict[SealedSecret, SigningKey] = {}

    def of(self, secret: SealedSecret) -> SigningKey:
        """The key of this secret as it is sealed now. Raises VaultError."""
        key = self._known.pop(secret, None)
        if key is None:
            text = unseal_secret(self._keyring, secret)
            key = SigningKey(b64decode(text.removeprefix("whsec_")))
        self._known[secret] = key  # the last used stays longest
        if len(self._known) > MOST_KEYS:
            del self._known[next(iter(self._known))]
        return key


def secret_place(tenant_id: UUID, row_id: UUID) -> Place:
    """Where a webhook secret's sealed bytes live."""
    return Place(tenant_id, row_id, SECRET_PURPOSE)


def unseal_secret(keyring: Keyring, secret: SealedSecret) -> str:
    """A webhook secret in the clear."""
    place = secret_place(secret.tenant_id, secret.id)
    return vault.unseal(keyring, place, secret.sealed).decode()
