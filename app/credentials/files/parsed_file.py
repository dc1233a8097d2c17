"""What was understood of a file: shown to its owner before anything is stored."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal["certificate", "key", "certificate_only", "google_service_account"]
PRODUCTION, SANDBOX = "production", "sandbox"
BOTH = (PRODUCTION, SANDBOX)


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A credential as read from a file.

    kind: `certificate` with its private key, `key` (.p8), or `certificate_only` (.cer), which can
    push only once its key is found here; or a `google_service_account` (its JSON). `app_id` is None
    for a key, which serves every app of its team, and for an account, which does of its project;
    `subject` is then the account's e-mail. `environments` is what the file allows; only a probe
    knows what the service allows.
    `fingerprint` is the SHA-256 of the certificate, `key_fingerprint` that of the public key
    (SubjectPublicKeyInfo); for a key they are the same. `private` is PEM: certificate, chain and
    key; or the key alone; or the certificate alone. It is never shown.
    """

    kind: Kind
    form: str
    app_id: str | None
    topics: tuple[str, ...]
    environments: tuple[str, ...]
    team_id: str | None
    key_id: str | None
    subject: str | None
    serial: str | None
    fingerprint: str
    key_fingerprint: str
    not_before: datetime | None
    not_after: datetime | None
    notes: tuple[str, ...] = ()
    project_id: str | None = None
    private: bytes = field(default=b"", repr=False)

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires, negative once it has; None for what never does."""
        if self.not_after is None:
            return None
        return (self.not_after - now) // timedelta(days=1)
