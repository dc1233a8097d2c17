"""From a stored credential to what the push engine connects with.

The only place that opens what is sealed; call it where a connection is opened, and keep what it
gives no longer than that.
"""

from uuid import UUID

from app.apns.credential import CertificateCredential, Credential, KeyCredential
from app.credentials.usable import Usable
from app.infra import vault
from app.infra.vault import Keyring, Place

PURPOSE = "credential"


def place_of(tenant_id: UUID, row_id: UUID) -> Place:
    """Where a credential's secret is bound to."""
    return Place(tenant_id, row_id, PURPOSE)


def decrypt(keyring: Keyring, row: Usable) -> Credential:
    """The certificate with chain and key, or the `.p8` key with its ids.

    Raises vault.VaultError when the row was moved or its key-encryption key is gone.
    """
    opened = vault.unseal(keyring, place_of(row.tenant_id, row.id), row.sealed)
    if row.kind == "certificate":
        return CertificateCredential(pem=opened)
    assert row.key_id is not None
    assert row.team_id is not None
    return KeyCredential(p8=opened, key_id=row.key_id, team_id=row.team_id)
