"""A key that never leaves: key pair and signing request made here, the `.cer` brought back.

The private key is sealed the moment it is made; what goes out is the request, which is public.
Apple signs requests of RSA 2048, which is what Keychain makes ("Create a certificate signing
request"), and takes the subject from the App ID, not from the request.
"""

from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from app.audit.log import SERVER, Actor, record
from app.core.app_id import VOIP
from app.core.credential import CredentialKind, CredentialState
from app.credentials import lifecycle, store
from app.credentials.decrypt import place_of
from app.credentials.files.apple import fingerprint_of
from app.credentials.files.parsed_file import BOTH
from app.credentials.files.reading import clean_bundle_id
from app.credentials.parse import off_the_loop
from app.credentials.rows import CredentialRow
from app.infra import vault
from app.infra.db import clock
from app.infra.errors import Conflict
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.tenants.store import lock_tenant

MOST_WAITING = 20
"""Keys of one tenant that may wait for their certificate at once."""


async def request(
    runtime: Runtime, tenant_id: UUID, app_id: str, *, actor: Actor = SERVER
) -> CredentialRow:
    """Make a key that stays here, and the signing request (`request`, PEM) for Apple's portal.

    The `.cer` that Apple gives for it goes to `add`. Raises Refused, Conflict (too many waiting).
    """
    app_id = clean_bundle_id(app_id)
    private, pem, fingerprint = await off_the_loop(tenant_id, lambda: make_request(app_id))
    row_id = uuid7()
    async with runtime.database.transaction() as session:
        await lock_tenant(session, tenant_id)
        await store.lock_bundle(session, tenant_id, app_id)
        if await store.count_requests(session, tenant_id) >= MOST_WAITING:
            raise Conflict(
                "too_many_requests",
                f"{MOST_WAITING} keys wait for their certificate; delete those not needed",
            )
        await lifecycle.check_room(session, tenant_id, app_id)
        now = await clock(session)
        row = {
            "id": row_id,
            "tenant_id": tenant_id,
            "app_id": app_id,
            "kind": CredentialKind.CERTIFICATE,
            "environments": list(BOTH),
            "topics": [app_id + VOIP],
            "fingerprint": fingerprint,
            "key_fingerprint": fingerprint,
            "sealed": vault.seal(runtime.keyring, place_of(tenant_id, row_id), private),
            "request": pem,
            "state": CredentialState.REQUESTED,
            "created_at": now,
        }
        await store.add(session, row)
        shown = await store.get(session, tenant_id, row_id)
        assert shown is not None
        detail = {"app_id": app_id, "key_fingerprint": fingerprint}
        await record(
            session, actor, tenant_id, "credential.request", lifecycle.target(shown), detail, at=now
        )
    return shown


def make_request(app_id: str) -> tuple[bytes, str, str]:
    """A new private key (PEM), its request (PEM) and the fingerprint of its public half.

    Takes about 0.1 s of CPU: call it off the event loop.
    """
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"VoIP {app_id}"[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = request.public_bytes(serialization.Encoding.PEM).decode()
    return private, public, fingerprint_of(key.public_key())
