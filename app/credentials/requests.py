"""A key that never leaves: key pair and signing request made here, the `.cer` brought back.

The private key is sealed the moment it is made; what goes out is the request, which is public.
Apple signs requests of RSA 2048, which is what Keychain makes ("Create a certificate signing
request"), and takes the subject from the App ID, not from the request.
"""

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from app.credentials.apple import fingerprint_of

MOST_WAITING = 20
"""Keys of one tenant that may wait for their certificate at once."""


def make_request(bundle_id: str) -> tuple[bytes, str, str]:
    """A new private key (PEM), its request (PEM) and the fingerprint of its public half.

    Takes about 0.1 s of CPU: call it off the event loop.
    """
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"VoIP {bundle_id}"[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = request.public_bytes(serialization.Encoding.PEM).decode()
    return private, public, fingerprint_of(key.public_key())


def key_of(material: bytes) -> bytes:
    """The private key's PEM block from what was sealed: a key alone, or a certificate and key."""
    start = material.index(b"-----BEGIN PRIVATE KEY-----")
    return material[start:]
