"""The vault: envelope encryption for whatever must rest encrypted.

Each secret has a data key of its own (AES-256-GCM); the data key is wrapped by a key-encryption
key derived from `RINGLINE_SECRET_KEY`. Both layers are bound to the tenant, the row and the
purpose, so that a sealed value copied to another row or tenant does not open.

Sealed bytes: version (1) | length of mark (1) | mark | nonce (12) | wrapped data key (48) |
nonce (12) | ciphertext and tag. The mark says which key-encryption key wrapped the data key: it is
made from the key itself, so the names that operators give their keys may change. Version 1 held
that name instead, and did not bind it: whatever key opens it, opens it.

`RINGLINE_SECRET_KEY` may hold several keys as `id:secret,id:secret`: the first seals, all open.
So a key is changed without a stop: put the new one behind the old and restart each process (all can
open it now), then in front and restart each (all seal with it), then `ringline vault rotate` wraps
every data key anew, and the old key can go. Every sealed column is listed in `SEALED`.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.infra.settings import Settings
from app.infra.signing_key import SigningKey, kept

VERSION, NAMED = 2, 1
MARK = 6
NONCE = 12
WRAPPED = 32 + 16
KEY_ID = re.compile(r"[A-Za-z0-9_.\-]{1,32}")


class VaultError(Exception):
    """A sealed value did not open. The message says why and names no secret."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value lives: it opens nowhere else."""

    tenant_id: UUID
    row_id: UUID
    purpose: str

    def bound(self) -> bytes:
        return b"|".join((self.purpose.encode(), self.tenant_id.bytes, self.row_id.bytes))


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed bytes. Its table has `id` and `tenant_id`, which make the place."""

    table: str
    column: str
    purpose: str


SEALED = (
    SealedColumn("credentials", "sealed", "credential"),
    SealedColumn("signing_secrets", "sealed", "signing_secret"),
    SealedColumn("webhook_secrets", "sealed", "webhook_secret"),
    SealedColumn("admin_totp", "sealed", "admin_totp"),
    SealedColumn("key_checks", "sealed", "key_check"),
)
"""Every sealed column there is. One that is missing here would be lost with the old key, so a
test compares this with the tables' own columns named `sealed`."""


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """Key-encryption keys by mark; `current` marks the one that seals. Never printed.

    `names`: what RINGLINE_SECRET_KEY calls each of them, by mark.
    """

    current: str
    keys: Mapping[str, bytes]
    token_keys: tuple[bytes, ...]
    names: Mapping[str, str]

    def token_mac(self, message: bytes, length: int = 16) -> bytes:
        """A MAC under the current token key: call and member tokens are not stored, only signed."""
        return self.token_key().sign(message)[:length]

    def token_key(self) -> SigningKey:
        """What makes them now."""
        return kept(self.token_keys[0])

    def token_mac_valid(self, message: bytes, mac: bytes) -> bool:
        """Whether `mac` was made under the current or any older token key."""
        return any(
            hmac.compare_digest(kept(key).sign(message)[: len(mac)], mac) for key in self.token_keys
        )


def keyring(settings: Settings) -> Keyring:
    """The key-encryption keys of these settings (HKDF-SHA256, RFC 5869).

    Raises VaultError for an id that cannot be one: it shows no secret, as the id may be part of it.
    """
    secrets = settings.secret_keys()
    if not all(KEY_ID.fullmatch(key_id) for key_id in secrets):
        raise VaultError(
            "RINGLINE_SECRET_KEY: a key's id must be 1 to 32 letters, digits, dots, hyphens or "
            "underscores, as in `2026:secret,2025:secret`; a secret itself holds no colon or comma"
        )
    names = {_derive(secret, b"mark")[:MARK].hex(): name for name, secret in secrets.items()}
    return Keyring(
        current=next(iter(names)),
        keys={mark: _derive(secrets[name], b"vault") for mark, name in names.items()},
        token_keys=tuple(_derive(secret, b"token") for secret in secrets.values()),
        names=names,
    )


def _derive(secret: str, purpose: bytes) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=b"ringline", info=purpose)
    return kdf.derive(secret.encode())


def seal(ring: Keyring, place: Place, plaintext: bytes) -> bytes:
    """Encrypt `plaintext` for `place`."""
    data_key = AESGCM.generate_key(256)
    nonce = os.urandom(NONCE)
    ciphertext = AESGCM(data_key).encrypt(nonce, plaintext, place.bound())
    return _head(ring, place, data_key) + nonce + ciphertext


def unseal(ring: Keyring, place: Place, sealed: bytes) -> bytes:
    """Decrypt what `seal` made for the same place.

    Raises VaultError: unknown key id, another place, or damaged bytes.
    """
    data_key, rest = _open_head(ring, place, sealed)
    try:
        return AESGCM(data_key).decrypt(rest[:NONCE], rest[NONCE:], place.bound())
    except (InvalidTag, ValueError) as error:
        raise VaultError("a sealed value is damaged or belongs to another row") from error


def rewrap(ring: Keyring, place: Place, sealed: bytes) -> bytes | None:
    """The same secret with its data key wrapped by the current key; None if it is so already."""
    if sealed.startswith(head(ring.current)):
        return None
    data_key, rest = _open_head(ring, place, sealed)
    return _head(ring, place, data_key) + rest


def head(mark: str) -> bytes:
    """How sealed bytes under that key begin: for finding, in the database, those that do not."""
    return bytes((VERSION, len(mark))) + mark.encode()


def mark_of(sealed: bytes) -> str:
    """The mark of the key that it rests under; of version 1, what the settings called that key."""
    return sealed[2 : 2 + sealed[1]].decode(errors="replace")


def digest(secret: str) -> bytes:
    """How high-entropy secrets (API keys) are stored: SHA-256, compared by equality of digests."""
    return hashlib.sha256(secret.encode()).digest()


def _head(ring: Keyring, place: Place, data_key: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    begins = head(ring.current)
    key = AESGCM(ring.keys[ring.current])
    return begins + nonce + key.encrypt(nonce, data_key, begins + place.bound())


def _open_head(ring: Keyring, place: Place, sealed: bytes) -> tuple[bytes, bytes]:
    if len(sealed) < 2 or sealed[0] not in {VERSION, NAMED}:
        raise VaultError("these are not sealed bytes of a known version")
    start = 2 + sealed[1]
    begins = sealed[:start] if sealed[0] == VERSION else b""
    nonce, wrapped = sealed[start : start + NONCE], sealed[start + NONCE : start + NONCE + WRAPPED]
    for key in ring.keys.values():
        try:
            data_key = AESGCM(key).decrypt(nonce, wrapped, begins + place.bound())
        except (InvalidTag, ValueError):
            continue
        return data_key, sealed[start + NONCE + WRAPPED :]
    raise VaultError(
        "a sealed value does not open: RINGLINE_SECRET_KEY does not hold the key that it rests "
        "under, or the row was moved. Add that key back, after the others, as id:secret"
    )
