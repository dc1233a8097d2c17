"""From a stored credential to what the push engine connects with.

The only place that opens what is sealed; call it where a connection is opened, and keep what it
gives no longer than that.
"""

from uuid import UUID

from app.credentials.usable import Usable
from app.infra import vault
from app.infra.sender import Secret
from app.infra.vault import Keyring, Place

PURPOSE = "credential"


def place_of(tenant_id: UUID, row_id: UUID) -> Place:
    """Where a credential's secret is bound to."""
    return Place(tenant_id, row_id, PURPOSE)


def decrypt(keyring: Keyring, row: Usable) -> Secret:
    """What its sender is opened with.

    Raises vault.VaultError when the row was moved or its key-encryption key is gone.
    """
    opened = vault.unseal(keyring, place_of(row.tenant_id, row.id), row.sealed)
    return Secret(row.kind, opened, row.key_id, row.team_id)
