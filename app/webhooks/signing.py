"""What a webhook is sent, and how it is signed (the Standard Webhooks specification)."""

import re
from base64 import b64decode
from binascii import b2a_base64
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from app.core.event import envelope, rfc3339
from app.infra import vault
from app.infra.signing_key import SigningKey
from app.infra.vault import Keyring, Place
from app.webhooks.claimed import Delivery, DueEvent, SealedSecret

SECRET_PURPOSE = "webhook_secret"  # noqa: S105
MOST_KEYS = 1_000


BODY: Final = '{"id":"%s","type":"%s","session_id":"%s","cid":"%s","seq":%d,"at":"%s","data":%s}'
"""`core.event.envelope` with an id, as it is written."""
PLAIN: Final = re.compile(r"[a-zA-Z0-9_:.-]*")
"""What JSON says as it is."""


def body_of(claim: Delivery, event: DueEvent) -> bytes:
    """What endpoints are sent: the event as live streams tell it, with its id."""
    # its data as the database has it: it is not read to be written again
    if claim.session_id is None or claim.seq is None or event.cid is None:
        said: dict[str, Any] = {"id": claim.event_id, "type": event.type, "at": rfc3339(event.at)}
        return orjson.dumps(said | {"data": orjson.Fragment(event.data)})
    call, seq, at = claim.session_id, claim.seq, event.at
    if PLAIN.fullmatch(claim.event_id + event.type + event.cid):
        values = (claim.event_id, event.type, call, event.cid, seq, rfc3339(at), event.data)
        return (BODY % values).encode()
    told = envelope(session_id=call, cid=event.cid, seq=seq, kind=event.type, at=at, data={})
    return orjson.dumps({"id": claim.event_id, **told, "data": orjson.Fragment(event.data)})


HEADERS: Final = b"""\
Content-Type: application/json\r
User-Agent: Ringline\r
webhook-id: %b\r
webhook-timestamp: %b\r
webhook-signature: %b\r
"""


def signed(event: bytes, second: bytes, body: bytes, keys: Sequence[SigningKey]) -> bytes:
    """Headers by the Standard Webhooks specification: one signature for each live secret's key.

    `event` is its id, fit for a header; `second` Unix seconds, as digits. As they are sent.
    """
    text = b"%b.%b.%b" % (event, second, body)
    signature = b"v1," + b2a_base64(keys[0].sign(text), newline=False) if keys else b""
    for key in keys[1:]:
        signature += b" v1," + b2a_base64(key.sign(text), newline=False)
    return HEADERS % (event, second, signature)


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
