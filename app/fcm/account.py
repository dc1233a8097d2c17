"""A Google service account: what its JSON file says that sending needs. Values only."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from google.auth import crypt

from app.core.frozen import frozen


@frozen
class ServiceAccount:
    """`private_key` is PEM, `key_id` Google's name of it."""

    project_id: str
    client_email: str
    key_id: str
    private_key: str = field(repr=False)

    @classmethod
    def of(cls, material: bytes) -> "ServiceAccount":
        """Read it as `sealed` wrote it. Raises ValueError for what is no service account."""
        found = orjson.loads(material)
        return cls(**found)

    def sealed(self) -> bytes:
        """The same as bytes, to be kept sealed."""
        return orjson.dumps(
            {
                "project_id": self.project_id,
                "client_email": self.client_email,
                "key_id": self.key_id,
                "private_key": self.private_key,
            }
        )

    def signer(self) -> crypt.RSASigner:
        """Signs with the account's key. Raises ValueError when that cannot be read.

        Its primes were tested when the file was (app/credentials/files/google.py): that takes 36 ms
        at 2,048 bits, which a worker's loop need not wait for each time that it opens a sender.
        """
        try:
            key = serialization.load_pem_private_key(
                self.private_key.encode(), None, unsafe_skip_rsa_key_validation=True
            )
            signer: crypt.RSASigner = crypt.RSASigner(key, self.key_id)  # type: ignore[no-untyped-call]
        except (ValueError, TypeError) as error:
            raise ValueError(f"the account's private key cannot be read: {error}") from None
        return signer


def claims(account: ServiceAccount, audience: str, now: float) -> Mapping[str, Any]:
    """What an assertion says. It is dated back, for the clock of who reads it may be behind ours.

    Source: "Using OAuth 2.0 for server to server applications", developers.google.com.
    """
    at = int(now) - 60
    return {
        "iss": account.client_email,
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": audience,
        "iat": at,
        "exp": at + 3_600,
    }
