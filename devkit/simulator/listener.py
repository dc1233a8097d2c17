"""The TLS ports: one for each of Apple's environments, Google's, the browsers'."""

import asyncio
import socket

from devkit.simulator.apple import Apple
from devkit.simulator.connection import ApnsConnection
from devkit.simulator.devices import Environment
from devkit.simulator.google.connection import GoogleConnection
from devkit.simulator.webpush.connection import WebPushConnection


class Port:
    """One environment's port, which a fault may close for a while.

    While it is closed, a socket that is bound but does not listen keeps the number: a client gets
    ECONNREFUSED, and nobody else gets the port.
    """

    def __init__(self, apple: Apple, environment: Environment, host: str, number: int) -> None:
        self._apple = apple
        self._environment: Environment = environment
        self._host = host
        self.number = number
        self._server: asyncio.Server | None = None
        self._holder: socket.socket | None = None

    async def open(self) -> None:
        """Listen, on any free port if the number is 0."""
        if self._server is not None:
            return
        bound = self._holder or _bind(self._host, self.number)
        self._holder = None
        self.number = bound.getsockname()[1]
        self._server = await asyncio.get_running_loop().create_server(
            lambda: self._accept().stream, sock=bound, backlog=1024
        )

    @property
    def listening(self) -> bool:
        """Whether connections are taken: a fault in force may say otherwise."""
        return self._server is not None

    def _accept(self) -> ApnsConnection:
        if self._environment == "fcm":
            return GoogleConnection(self._apple)
        if self._environment == "webpush":
            return WebPushConnection(self._apple)
        return ApnsConnection(self._apple, self._environment)

    def refuse(self) -> None:
        """Stop listening; connections that are open stay."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._holder = _bind(self._host, self.number)

    async def follow_faults(self) -> None:
        """Be open or closed as the faults in force say."""
        if self._apple.faults.refused(self._environment):
            self.refuse()
        else:
            await self.open()

    def close(self) -> None:
        """Stop for good."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._holder is not None:
            self._holder.close()
            self._holder = None


def _bind(host: str, number: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    try:
        bound.bind((host, number))
    except OSError:
        bound.close()
        raise
    return bound
