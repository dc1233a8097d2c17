"""From a host name to a TCP connection. Nothing is cached: each connect resolves anew."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from app.infra.urls import http_url

_SHORTEST_TRY: Final = 0.5


class Endpoint:
    """Where APNs is: `https://host[:port]`, port 443 unless given. Raises ValueError if not."""

    def __init__(self, url: str) -> None:
        parts = http_url(url)
        if parts.scheme != "https" or parts.path.strip("/") or parts.query:
            raise ValueError(f"an APNs URL is https://host or https://host:port, not {url!r}")
        self.host: Final = parts.host
        self.port: Final = parts.effective_port
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.authority: Final = host if self.port == 443 else f"{host}:{self.port}"

    async def connect(
        self, loop: asyncio.AbstractEventLoop, within: float, random: Callable[[], float]
    ) -> socket.socket:
        """A connected socket with TCP_NODELAY. Raises OSError when no address answers.

        Addresses are tried from a random one on, each for a share of `within` seconds, so that
        load spreads and one dead address (or an IPv6 that leads nowhere) is not the end.
        """
        found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        if not found:
            raise OSError(f"{self.host} has no address")
        start = int(random() * len(found))
        failure: OSError = OSError(f"{self.host} has no address")
        for family, kind, proto, _, address in found[start:] + found[:start]:
            try:
                async with asyncio.timeout(max(within / (len(found) + 1), _SHORTEST_TRY)):
                    return await _connected(loop, socket.socket(family, kind, proto), address)
            except OSError as error:  # TimeoutError is one
                failure = error
        raise failure


async def _connected(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, address: tuple[Any, ...]
) -> socket.socket:
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
