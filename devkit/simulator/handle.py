"""The simulator in a background thread, and its operations as plain methods.

Every method may be called from any thread and from inside any event loop: it takes well under a
millisecond. Those that wait come twice: `wait_for_arrivals` blocks, `arrived` is awaited.
"""

import asyncio
import concurrent.futures
import contextlib
import tempfile
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from devkit.simulator import push_certificates
from devkit.simulator.apple import Apple, Conduct
from devkit.simulator.certificates import Authority, Issued
from devkit.simulator.devices import Environment, GoneReason
from devkit.simulator.google.handle import OfGoogle
from devkit.simulator.provider_tokens import ProviderCredential
from devkit.simulator.scripting import Scripting
from devkit.simulator.server import KEEP, Server, fast_loop, serve
from devkit.simulator.watching import Watching
from devkit.simulator.webpush.handle import OfPushService

_STARTING_SECONDS = 20


class Simulator(Watching, Scripting, OfGoogle, OfPushService):
    """A handle on a running simulator: `with Simulator.running() as sim: ...`."""

    def __init__(
        self, server: Server, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event
    ) -> None:
        super().__init__(server, loop)
        self._stopped = stopped

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        folder: Path | None = None,
        *,
        production_port: int = 0,
        sandbox_port: int = 0,
        fcm_port: int = 0,
        webpush_port: int = 0,
        control_port: int = 0,
        conduct: Conduct | None = None,
        keep: int = KEEP,
    ) -> Iterator["Simulator"]:
        """Run a simulator for the length of the block; parameters as `server.serve`.

        Without a folder the authority is made in a temporary one. OSError when a port is taken.
        """
        with contextlib.ExitStack() as stack:
            serving = serve(
                folder or Path(stack.enter_context(tempfile.TemporaryDirectory())),
                production_port=production_port,
                sandbox_port=sandbox_port,
                fcm_port=fcm_port,
                webpush_port=webpush_port,
                control_port=control_port,
                conduct=conduct,
                keep=keep,
            )
            ready: concurrent.futures.Future[Simulator] = concurrent.futures.Future()
            work = (cls, serving, ready)
            thread = threading.Thread(target=_serve_here, args=work, name="simulator", daemon=True)
            thread.start()
            handle = ready.result(_STARTING_SECONDS)
            try:
                yield handle
            finally:
                handle.stop()
                thread.join()

    def stop(self) -> None:
        """Ask the simulator to end; `running` does so, and waits for it."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    # Where it is.

    @property
    def production_url(self) -> str:
        """`https://localhost:PORT`, for RINGLINE_APNS_PRODUCTION_URL."""
        return self._server.production_url

    @property
    def sandbox_url(self) -> str:
        """`https://localhost:PORT`, for RINGLINE_APNS_SANDBOX_URL."""
        return self._server.sandbox_url

    @property
    def control_url(self) -> str:
        """`http://127.0.0.1:PORT`, the control API."""
        return self._server.control_url

    @property
    def production_port(self) -> int:
        return self._server.production_port

    @property
    def sandbox_port(self) -> int:
        return self._server.sandbox_port

    @property
    def ca_file(self) -> Path:
        """The authority's certificate in PEM, for RINGLINE_APNS_CA_FILE."""
        return self._server.apple.ca_file

    @property
    def authority(self) -> Authority:
        """Issues certificates; see `push_certificates` for the kinds."""
        return self._server.apple.authority

    # Credentials.

    def voip_certificate(self, app_id: str = "com.example.app", **options: Any) -> Issued:
        """Issue a VoIP Services certificate; options as `push_certificates.voip`."""
        return push_certificates.voip(self.authority, app_id, **options)

    def apns_certificate(self, app_id: str = "com.example.app", **options: Any) -> Issued:
        """Issue a certificate for alerts; options as `push_certificates.apns`."""
        return push_certificates.apns(self.authority, app_id, **options)

    def distribution_certificate(self) -> Issued:
        """Issue a code-signing certificate, which is no good here."""
        return push_certificates.distribution(self.authority)

    def revoke_certificate(self, issued: Issued) -> None:
        """Refuse a certificate with BadCertificate on connections to come."""
        self._do(lambda apple: apple.revoke_certificate(issued.certificate))

    def provider_key(
        self,
        team_id: str = push_certificates.TEAM,
        key_id: str | None = None,
        *,
        environment: Environment | None = None,
        topics: Iterable[str] | None = None,
    ) -> ProviderCredential:
        """Make a `.p8` key and register it; `topics` are bundle ids (None: all of the team's)."""

        def work(apple: Apple) -> ProviderCredential:
            made = apple.tokens.make(team_id, key_id)
            apple.tokens.register(
                team_id, made.key_id, made.p8.encode(), environment=environment, topics=topics
            )
            return made

        return self._do(work)

    def register_key(
        self,
        team_id: str,
        key_id: str,
        public_key_pem: bytes,
        *,
        environment: Environment | None = None,
        topics: Iterable[str] | None = None,
    ) -> None:
        """Register a key that was made elsewhere, by its public (or private) half in PEM."""
        self._do(
            lambda apple: apple.tokens.register(
                team_id, key_id, public_key_pem, environment=environment, topics=topics
            )
        )

    def revoke_key(self, key_id: str) -> None:
        """Make a provider key unknown."""
        self._do(lambda apple: apple.tokens.revoke(key_id))

    # Devices.

    def live(
        self,
        *tokens: str,
        topic: str | None = None,
        environment: Environment | None = "production",
    ) -> None:
        """Make tokens live for a topic (None: any) in an environment (None: both)."""
        topics = None if topic is None else [topic]
        self._do(lambda apple: apple.live(tokens, topics=topics, environment=environment))

    def gone(
        self,
        token: str,
        *,
        since: datetime | int | None = None,
        reason: GoneReason = "Unregistered",
    ) -> None:
        """Let a token be gone (410) since a time: aware datetime, ms since 1970, None for now."""
        moment = int(since.timestamp() * 1000) if isinstance(since, datetime) else since
        self._do(lambda apple: apple.gone(token, since=moment, reason=reason))

    def forget(self, token: str) -> None:
        """Make a token unknown (400 BadDeviceToken)."""
        self._do(lambda apple: apple.devices.forget(token))

    def set_online(self, token: str, *, online: bool) -> None:
        """Switch a device off or on; off, only pushes with an expiration ahead are kept."""
        self._do(lambda apple: apple.set_online(token, online=online))

    def set_conduct(self, **changes: Any) -> None:
        """Change the conduct (see `Conduct`): `accept_unknown=True`, `clock_offset=-7200`."""
        self._do(lambda apple: apple.change_conduct(changes))


def _serve_here(
    handle: type[Simulator],
    serving: contextlib.AbstractAsyncContextManager[Server],
    ready: "concurrent.futures.Future[Simulator]",
) -> None:
    """Run a simulator on this thread until its handle stops it."""

    async def main() -> None:
        stopped = asyncio.Event()
        async with serving as server:
            ready.set_result(handle(server, asyncio.get_running_loop(), stopped))
            await stopped.wait()

    try:
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            runner.run(main())
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)
