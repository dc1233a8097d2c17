"""What a webhook is sent, and how it is signed (the Standard Webhooks specification)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from standardwebhooks import Webhook

from app.core.event import envelope, rfc3339
from app.infra import vault
from app.infra.vault import Keyring, Place
from app.webhooks.claimed import Delivery, DeliveryFacts, SealedSecret

SECRET_PURPOSE = "webhook_secret"  # noqa: S105
MOST_SIGNERS = 1_000


def body_of(claim: Delivery, fact: DeliveryFacts) -> dict[str, Any]:
    """What an endpoint is sent: the event as live streams tell it, with its id."""
    if claim.session_id is None or claim.seq is None or fact.cid is None:
        return {
            "id": claim.event_id,
            "type": fact.type,
            "at": rfc3339(fact.at),
            "data": fact.data,
        }
    body = envelope(
        session_id=claim.session_id,
        cid=fact.cid,
        seq=claim.seq,
        kind=fact.type,
        at=fact.at,
        data=fact.data,
    )
    return {"id": claim.event_id, **body}


def signed(event: str, at: datetime, body: str, signers: Sequence[Webhook]) -> dict[str, str]:
    """Headers by the Standard Webhooks specification: one signature for each live secret."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Ringline",
        "webhook-id": event,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signer.sign(event, at, body) for signer in signers),
    }


class Signers:
    """What signs with webhooks' secrets, opened once: of so many, those used last."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._known: dict[SealedSecret, Webhook] = {}

    def of(self, secret: SealedSecret) -> Webhook:
        """The one for this secret as it is sealed now. Raises VaultError."""
        signer = self._known.pop(secret, None) or Webhook(unseal_secret(self._keyring, secret))
        self._known[secret] = signer  # the last used stays longest
        if len(self._known) > MOST_SIGNERS:
            del self._known[next(iter(self._known))]
        return signer


def secret_place(tenant_id: UUID, row_id: UUID) -> Place:
    """Where a webhook secret's sealed bytes live."""
    return Place(tenant_id, row_id, SECRET_PURPOSE)


def unseal_secret(keyring: Keyring, secret: SealedSecret) -> str:
    """A webhook secret in the clear."""
    place = secret_place(secret.tenant_id, secret.id)
    return vault.unseal(keyring, place, secret.sealed).decode()
