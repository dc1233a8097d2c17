"""Runs the simulator: the state, its TLS ports and the control API, on one event loop."""

import asyncio
import contextlib
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import uvicorn

from devkit.simulator.apple import Apple, Conduct
from devkit.simulator.control import control_app
from devkit.simulator.faults import ConnectionFault, RequestFault
from devkit.simulator.listener import Port

KEEP = 20_000
"""Requests kept by default; about 3 KB each."""

_WAITING = 2_048
"""Connections to the control API that may wait to be accepted, as uvicorn has it."""


class Server:
    """A running simulator. `apple` is its state; the URLs say where it is."""

    def __init__(self, apple: Apple, host: str, **ports: Port) -> None:
        self.apple = apple
        self.host = host
        self._ports = ports
        self.control_port = 0
        # Another one after each start: who keeps something of this run can tell that it is over.
        self.run_id = secrets.token_hex(8)

    @property
    def production_port(self) -> int:
        return self._ports["production"].number

    @property
    def sandbox_port(self) -> int:
        return self._ports["sandbox"].number

    @property
    def production_url(self) -> str:
        return f"https://localhost:{self.production_port}"

    @property
    def sandbox_url(self) -> str:
        return f"https://localhost:{self.sandbox_port}"

    @property
    def fcm_port(self) -> int:
        return self._ports["fcm"].number

    @property
    def fcm_url(self) -> str:
        return f"https://localhost:{self.fcm_port}"

    @property
    def webpush_port(self) -> int:
        return self._ports["webpush"].number

    @property
    def webpush_url(self) -> str:
        return f"https://localhost:{self.webpush_port}"

    @property
    def google_token_url(self) -> str:
        return f"{self.fcm_url}/token"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.control_port}"

    def refusing(self) -> list[str]:
        """Environments that take no connection."""
        return [name for name, port in self._ports.items() if not port.listening]

    def as_dict(self) -> dict[str, object]:
        """Give where everything is."""
        return {
            "production_url": self.production_url,
            "sandbox_url": self.sandbox_url,
            "fcm_url": self.fcm_url,
            "google_token_url": self.google_token_url,
            "webpush_url": self.webpush_url,
            "control_url": self.control_url,
            "ca_file": str(self.apple.ca_file),
            "run": self.run_id,
        }

    async def add_fault(self, fault: ConnectionFault | RequestFault) -> int:
        """Put a fault in force; give its number."""
        if isinstance(fault, ConnectionFault):
            number = self.apple.faults.add_connection(fault).number
            await self._follow_faults()
            return number
        return self.apple.faults.add_request(fault).number

    async def remove_fault(self, number: int | None = None) -> None:
        """End one fault (KeyError if there is none of that number), or all."""
        self.apple.faults.remove(number)
        await self._follow_faults()

    async def clear(self) -> None:
        """Forget arrivals, faults, tokens and counts."""
        self.apple.clear()
        await self._follow_faults()

    async def _follow_faults(self) -> None:
        for port in self._ports.values():
            await port.follow_faults()


@contextlib.asynccontextmanager
async def serve(
    folder: Path,
    *,
    production_port: int = 0,
    sandbox_port: int = 0,
    fcm_port: int = 0,
    webpush_port: int = 0,
    control_port: int = 0,
    host: str = "127.0.0.1",
    conduct: Conduct | None = None,
    keep: int = KEEP,
) -> AsyncIterator[Server]:
    """Run the simulator on this event loop for the length of the block.

    `folder` keeps the authority (`ca.pem`, `ca.key`) and is made if absent. Port 0 is any free one.
    `host` is where the TLS ports listen; the control API is on the loopback only. At most `keep`
    requests are remembered. OSError when a port is taken.
    """
    apple = Apple(folder, conduct or Conduct(), keep)
    ports = {
        "production": Port(apple, "production", host, production_port),
        "sandbox": Port(apple, "sandbox", host, sandbox_port),
        "fcm": Port(apple, "fcm", host, fcm_port),
        "webpush": Port(apple, "webpush", host, webpush_port),
    }
    server = Server(apple, host, **ports)
    try:
        for port in ports.values():
            await port.open()
        async with _control(server, control_port):
            yield server
    finally:
        for port in ports.values():
            port.close()
        apple.faults.remove()
        apple.stop()
        await asyncio.sleep(0)


class _Uvicorn(uvicorn.Server):
    """Uvicorn that leaves the process's signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _control(server: Server, port: int) -> AsyncIterator[None]:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with bound:
        bound.bind(("127.0.0.1", port))
        bound.listen(_WAITING)  # else who comes before uvicorn has begun is refused
        server.control_port = bound.getsockname()[1]
        config = uvicorn.Config(
            control_app(server),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        http = _Uvicorn(config)
        running = asyncio.create_task(http.serve(sockets=[bound]))
        try:
            yield
        finally:
            server.apple.arrivals.close()
            http.should_exit = True
            await running


def run(
    folder: Path,
    *,
    production_port: int = 0,
    sandbox_port: int = 0,
    fcm_port: int = 0,
    webpush_port: int = 0,
    control_port: int = 0,
    host: str = "127.0.0.1",
    conduct: Conduct | None = None,
    keep: int = KEEP,
    started: Callable[[Server], None] | None = None,
) -> None:
    """Run the simulator alone until SIGINT or SIGTERM; parameters as `serve`.

    `started` is called once all ports are open: the place to print the URLs.
    """

    async def until_stopped() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with serve(
            folder,
            production_port=production_port,
            sandbox_port=sandbox_port,
            fcm_port=fcm_port,
            webpush_port=webpush_port,
            control_port=control_port,
            host=host,
            conduct=conduct,
            keep=keep,
        ) as server:
            if started is not None:
                started(server)
            await stop.wait()

    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(until_stopped())


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Give the maker of event loops: uvloop's where it is installed (not on Windows)."""
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
