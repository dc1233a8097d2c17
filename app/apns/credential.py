"""What lets a sender push: a certificate with its key, or a .p8 key. Values only.

A PEM reaches OpenSSL, which only reads files, through a sealed memory file on Linux and a
private temporary file elsewhere; neither is left behind.
"""

import os
import ssl
import sys
import tempfile
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Final

from app.apns.headers import HeaderWriter
from app.apns.jwt import ProviderTokens
from app.core.frozen import frozen
from app.http2.tls import TrustingContext


@frozen
class CertificateCredential:
    """A VoIP certificate: the PEM of certificate and unencrypted private key, in any order."""

    pem: bytes = field(repr=False)


@frozen
class KeyCredential:
    """A .p8 key: the file's bytes and the two ids of ten characters."""

    p8: bytes = field(repr=False)
    key_id: str
    team_id: str


Credential = CertificateCredential | KeyCredential


class Identity:
    """A credential made ready: a TLS context, and provider tokens for a .p8.

    Raises ValueError, in a sentence, for material that cannot be used.
    """

    def __init__(
        self, credential: Credential, ca_file: str | Path | None, wall_clock: Callable[[], float]
    ) -> None:
        self.tls: Final = TrustingContext(ca_file)
        self.context: Final = self.tls.context
        self.tokens: Final = (
            ProviderTokens(credential.p8, credential.key_id, credential.team_id, wall_clock)
            if isinstance(credential, KeyCredential)
            else None
        )
        if isinstance(credential, CertificateCredential):
            load_pem(self.context, credential.pem)

    @property
    def one_stream_first(self) -> bool:
        """Apple takes one stream until a provider token has been accepted.

        Source: Apple, "Establishing a token-based connection to APNs".
        """
        return self.tokens is not None

    def header_writer(self, authority: str) -> HeaderWriter:
        """For a new connection."""
        return HeaderWriter(authority, self.tokens)

    async def prepare(self) -> None:
        """Read the trust anchors, once."""
        await self.tls.load()


def load_pem(context: ssl.SSLContext, pem: bytes) -> None:
    """Give the context a certificate and key from memory. Raises ValueError if it cannot."""
    try:
        if sys.platform == "linux" and Path("/proc/self/fd").is_dir():
            _load_from_memory(context, pem)
        else:
            _load_from_private_file(context, pem)
    except (ssl.SSLError, OSError) as error:
        why = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise ValueError(f"the certificate and key cannot be loaded: {why}") from None


def _load_from_memory(context: ssl.SSLContext, pem: bytes) -> None:
    import fcntl  # noqa: PLC0415 - not on Windows

    memory = os.memfd_create("apns", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(os.dup(memory), "wb") as file:
            file.write(pem)
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
        _load_chain(context, f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)


def _load_from_private_file(context: ssl.SSLContext, pem: bytes) -> None:
    handle, path = tempfile.mkstemp(suffix=".pem")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        _load_chain(context, path)
    finally:
        Path(path).unlink(missing_ok=True)


def _load_chain(context: ssl.SSLContext, path: str) -> None:
    # The password callback keeps OpenSSL from asking on the terminal for an encrypted key's.
    context.load_cert_chain(path, password=lambda: b"")
