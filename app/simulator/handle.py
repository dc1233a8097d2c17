"""The simulator in a background thread, and its operations as plain methods.

Every method may be called from any thread and from inside any event loop: it takes well under a
millisecond. Those that wait come twice: `wait_for_arrivals` blocks, `arrived` is awaited.
"""

import asyncio
import concurrent.futures
import contextlib
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from app.simulator import push_certificates
from app.simulator.apple import Apple, Conduct
from app.simulator.certificates import Authority, Issued
from app.simulator.devices import Environment, GoneReason
from app.simulator.faults import CloseHow, ConnectionFault, Goaway, RequestFault, named_settings
from app.simulator.provider_tokens import ProviderCredential
from app.simulator.requests import Arrival
from app.simulator.server import KEEP, Server, fast_loop, serve

T = TypeVar("T")
_STARTING_SECONDS = 20


class Simulator:
    """A handle on a running simulator: `with Simulator.running() as sim: ...`."""

    def __init__(
        self, server: Server, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event
    ) -> None:
        self._server = server
        self._loop = loop
        self._stopped = stopped

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        folder: Path | None = None,
        *,
        production_port: int = 0,
        sandbox_port: int = 0,
        control_port: int = 0,
        conduct: Conduct | None = None,
        keep: int = KEEP,
    ) -> Iterator["Simulator"]:
        """Run a simulator for the length of the block; parameters as `server.serve`.

        Without a folder the authority is made in a temporary one. OSError when a port is taken.
        """
        ready: concurrent.futures.Future[Simulator] = concurrent.futures.Future()

        async def main(home: Path) -> None:
            stopped = asyncio.Event()
            async with serve(
                home,
                production_port=production_port,
                sandbox_port=sandbox_port,
                control_port=control_port,
                conduct=conduct,
                keep=keep,
            ) as server:
                ready.set_result(cls(server, asyncio.get_running_loop(), stopped))
                await stopped.wait()

        def thread_main(home: Path) -> None:
            try:
                with asyncio.Runner(loop_factory=fast_loop()) as runner:
                    runner.run(main(home))
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        with contextlib.ExitStack() as stack:
            home = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            thread = threading.Thread(
                target=thread_main, args=(home,), name="simulator", daemon=True
            )
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

    def voip_certificate(self, bundle_id: str = "com.example.app", **options: Any) -> Issued:
        """Issue a VoIP Services certificate; options as `push_certificates.voip`."""
        return push_certificates.voip(self.authority, bundle_id, **options)

    def apns_certificate(self, bundle_id: str = "com.example.app", **options: Any) -> Issued:
        """Issue a certificate for alerts; options as `push_certificates.apns`."""
        return push_certificates.apns(self.authority, bundle_id, **options)

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

    # What arrived.

    def arrivals(self, token: str | None = None, *, after: int = 0) -> list[Arrival]:
        """Give kept requests, oldest first; `after` is the number of one already seen."""
        return self._do(lambda apple: apple.arrivals.select(token=token, after=after))

    def deliveries(self, token: str) -> list[Arrival]:
        """Give what a device has received, in order."""
        return self._do(lambda apple: [d.arrival for d in apple.arrivals.deliveries(token)])

    def wait_for_arrivals(
        self, count: int = 1, *, token: str | None = None, after: int = 0, timeout: float = 5
    ) -> list[Arrival]:
        """Block until `count` requests with numbers above `after` are there; TimeoutError."""
        return self._run(self._arrived(count, token, after, timeout)).result()

    async def arrived(
        self, count: int = 1, *, token: str | None = None, after: int = 0, timeout: float = 5
    ) -> list[Arrival]:
        """Await `count` requests with numbers above `after`; TimeoutError."""
        return await asyncio.wrap_future(self._run(self._arrived(count, token, after, timeout)))

    async def _arrived(
        self, count: int, token: str | None, after: int, timeout: float
    ) -> list[Arrival]:
        arrivals = self._server.apple.arrivals

        def enough() -> bool:
            return len(arrivals.select(token=token, after=after)) >= count

        if not await arrivals.wait(token, enough, timeout):
            found = len(arrivals.select(token=token, after=after))
            raise TimeoutError(f"{found} of {count} requests arrived in {timeout} s")
        return arrivals.select(token=token, after=after)

    # Faults.

    def fault(self, **fields: Any) -> int:
        """Script a fault of requests, with the fields of `RequestFault`; give its number."""
        return self._run(self._server.add_fault(RequestFault(**fields))).result()

    def connection_fault(self, **fields: Any) -> int:
        """Script a fault of new connections, with the fields of `ConnectionFault`."""
        return self._run(self._server.add_fault(ConnectionFault(**fields))).result()

    def struck(self, number: int) -> int:
        """Tell how often a fault has struck."""
        return self._do(lambda apple: apple.faults.get(number).struck)

    def held(self, number: int) -> int:
        """Tell how many requests or connections a fault holds now."""
        return self._do(lambda apple: len(apple.faults.get(number).held))

    def release(self, number: int, count: int | None = None) -> int:
        """Let go of what a fault holds (at most `count`); the fault stays in force."""
        return self._do(lambda apple: apple.faults.get(number).release(count))

    def end_fault(self, number: int | None = None) -> None:
        """End one fault, or all."""
        self._run(self._server.remove_fault(number)).result()

    # Connections.

    def connections(self) -> list[dict[str, Any]]:
        """List the open connections: number, environment, client, requests, open_streams."""
        return self._do(lambda apple: [c.as_dict() for c in apple.connections.values()])

    def send_settings(self, connection: int | None = None, **values: int) -> None:
        """Send SETTINGS (`max_concurrent_streams=1`) on one connection, or on all."""
        named = named_settings(values)

        def work(apple: Apple) -> None:
            for found in apple.established(connection):
                found.send_settings(named)
                found.flush()

        self._do(work)

    def send_goaway(self, connection: int | None = None, **fields: Any) -> None:
        """Send GOAWAY, with the fields of `Goaway`, on one connection, or on all."""
        order = Goaway(**fields)

        def work(apple: Apple) -> None:
            for found in apple.established(connection):
                found.goaway(order, above=1)
                found.flush()

        self._do(work)

    def close_connections(self, connection: int | None = None, how: CloseHow = "tls") -> None:
        """Close one connection, or all."""

        def work(apple: Apple) -> None:
            for found in apple.established(connection):
                found.close(how)

        self._do(work)

    def ping(self, connection: int, timeout: float = 5) -> float | None:
        """PING a client; give the seconds until it answered, None if it did not in time."""

        async def work() -> float | None:
            return await self._server.apple.connections[connection].ping(timeout)

        return self._run(work()).result()

    # Counts.

    def statistics(self) -> dict[str, Any]:
        """Give the counters of `Statistics`, `open_connections` and `open_streams`."""
        return self._do(lambda apple: apple.status())

    def clear_arrivals(self) -> None:
        """Forget what arrived."""
        self._do(lambda apple: apple.arrivals.clear())

    def clear(self) -> None:
        """Forget arrivals, faults, tokens and counts; keys, conduct and connections stay."""
        self._run(self._server.clear()).result()

    def _do(self, work: Callable[[Apple], T]) -> T:
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def call() -> None:
            try:
                done.set_result(work(self._server.apple))
            except Exception as error:  # noqa: BLE001 - it is raised where it was called from
                done.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return done.result()

    def _run(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)
