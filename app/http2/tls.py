"""The TLS of an HTTP/2 client."""

import asyncio
import ssl
from pathlib import Path
from typing import Final


def client_context(*protocols: str) -> ssl.SSLContext:
    """TLS 1.2 or later, the server's name and chain checked; by ALPN h2, unless others are given.

    TLS 1.2 renegotiation is refused, as HTTP/2 wants it (RFC 9113 section 9.2.1).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(protocols or ("h2",))
    return context


class TrustingContext:
    """A client's context that reads its trust anchors when they are first needed.

    `ca_file` is a PEM of them, None for the system's; `context` trusts nobody yet, and speaks
    HTTP/2 unless given.
    """

    def __init__(self, ca_file: str | Path | None, context: ssl.SSLContext | None = None) -> None:
        self.context: Final = context or client_context()
        self._ca_file = ca_file
        self._trusting = False
        self._reading = asyncio.Lock()

    async def load(self) -> None:
        """Read them, once, whoever waits: 20 ms for a system's store, so off the loop."""
        async with self._reading:
            if not self._trusting:
                await asyncio.get_running_loop().run_in_executor(None, self._load)
                self._trusting = True

    def _load(self) -> None:
        if self._ca_file is None:
            self.context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            self.context.load_verify_locations(cafile=str(self._ca_file))
