"""An uploaded file between its preview and its storing: sealed, and kept by the browser alone.

Nothing is stored before the admin says so, and the page that asks holds no private key that could
be read from it: only this server opens it, for this administrator, in this tenant, for a while.
"""

import base64
import binascii
from dataclasses import dataclass, field
from uuid import UUID

import orjson

from app.infra import clock, vault
from app.infra.errors import Invalid
from app.infra.vault import Keyring, Place, VaultError

PURPOSE = "dashboard_upload"
GOOD_FOR = 3600.0


@dataclass(frozen=True, slots=True)
class Held:
    """A file as it was dropped, with the password typed for it."""

    name: str
    data: bytes = field(repr=False)
    password: str | None = field(default=None, repr=False)


def seal(keyring: Keyring, tenant_id: UUID, admin_id: UUID, held: Held) -> str:
    """The file as text for a hidden field."""
    inner = {
        "name": held.name,
        "data": base64.b64encode(held.data).decode(),
        "password": held.password,
        "until": clock.unix() + GOOD_FOR,
    }
    sealed = vault.seal(keyring, Place(tenant_id, admin_id, PURPOSE), orjson.dumps(inner))
    return base64.b64encode(sealed).decode()


def unseal(
    keyring: Keyring, tenant_id: UUID, admin_id: UUID, text: str, now: float | None = None
) -> Held:
    """The file again; `now` in Unix seconds.

    Raises Invalid for what was not sealed here, or too long ago.
    """
    try:
        sealed = base64.b64decode(text, validate=True)
        inner = orjson.loads(vault.unseal(keyring, Place(tenant_id, admin_id, PURPOSE), sealed))
    except (VaultError, binascii.Error, ValueError, IndexError) as error:
        raise Invalid("file_lost", "The file did not come along; choose it again.") from error
    if inner["until"] < (clock.unix() if now is None else now):
        raise Invalid("file_lost", "That was too long ago; choose the file again.")
    return Held(inner["name"], base64.b64decode(inner["data"]), inner["password"])
