"""The beginning of a connection: TCP, perhaps a barrier, TLS, and who the client is."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from devkit.simulator.devices import Environment
from devkit.simulator.fault_book import Scripted
from devkit.simulator.faults import ConnectionFault
from devkit.simulator.identity import CertificateIdentity, read_certificate
from devkit.simulator.tls import Speaks, TlsStream

if TYPE_CHECKING:
    from devkit.simulator.apple import Apple

_NO_FAULT = ConnectionFault()


class Opening:
    """A connection until HTTP/2 begins; `ApnsConnection` is what it becomes.

    `number` counts connections from 1, `client` says who is on the other end, and `fault` is what
    was scripted for this connection. `speaks_old`: HTTP/1.1 is spoken here, too.
    """

    speaks_old = False

    def __init__(self, apple: "Apple", environment: Environment) -> None:
        self.apple = apple
        self.environment: Environment = environment
        self.identity: CertificateIdentity | None = None
        self.stream = TlsStream(self)
        self.number = 0
        self.established = False
        self.client: dict[str, object] = {"kind": "none"}
        self.fault = _NO_FAULT
        self._tasks: set[asyncio.Task[None]] = set()

    def tcp_opened(self) -> None:
        apple = self.apple
        apple.statistics.tcp_connections += 1
        scripted = apple.faults.for_connection(self.environment, self.number)
        if scripted is not None:
            self.fault = scripted.fault
        if self.fault.reset:
            self.stream.close("rst")
        elif scripted is not None and self.fault.hold:
            self.spawn(self._begin_when_released(scripted))
        else:
            self._begin_tls()

    async def _begin_when_released(self, scripted: Scripted[ConnectionFault]) -> None:
        await scripted.wait_released()
        self._begin_tls()

    def _begin_tls(self) -> None:
        fault = self.fault
        speaks: Speaks = "h2"
        if self.speaks_old:
            speaks = "old" if fault.http1 else "both"
        context = self.apple.contexts.get(fault.certificate, alpn=fault.alpn, speaks=speaks)
        self.stream.start(context)

    def tls_failed(self, reason: str) -> None:
        self.apple.statistics.handshakes_failed += 1
        self.apple.statistics.handshake_errors.append(reason)

    def tls_opened(self) -> None:
        if self.stream.alpn != b"h2" and self.fault.alpn:
            self.tls_failed("the client does not offer ALPN h2")
            self.stream.close("tls")
            return
        self.apple.statistics.handshakes += 1
        self.established = True
        self._identify()
        if self.fault.fingerprint not in (None, self.identity and self.identity.fingerprint):
            self.fault = _NO_FAULT
        if self.fault.close is not None:
            self.stream.close(self.fault.close)
        elif not self.fault.silent:
            self.begin_http2()

    def _identify(self) -> None:
        certificate = self.stream.peer_certificate
        if certificate is None:
            return
        identity = read_certificate(certificate, trusted=self.stream.trusted)
        if identity.fingerprint in self.apple.revoked:
            identity = replace(identity, usable=False)
        self.identity = identity
        self.client = identity.as_dict()

    def begin_http2(self) -> None:
        """Go on with HTTP/2."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        """Take in what TLS decrypted."""
        raise NotImplementedError

    def read_done(self) -> None:
        """Send what has become ready."""
        raise NotImplementedError

    def closed(self) -> None:
        """Give up what the connection held."""
        self.established = False
        self.cancel_tasks()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that waits, for as long as the connection lives."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel_tasks(self) -> None:
        """End what waits, but for the task that asks for it."""
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
