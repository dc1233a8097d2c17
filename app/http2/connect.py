"""From a host name to a TCP connection. Nothing is cached: each connect resolves anew."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, Final

from app.infra.first_of import AllFailed, first_of
from app.infra.tasks import Tasks
from app.infra.urls import http_url

_tasks = Tasks("http2")

_ATTEMPT_DELAY: Final = 0.25
_SHORTEST_DELAY: Final = 0.01
"""Seconds (RFC 8305 section 8: recommended, and the least that is allowed)."""

Address = tuple[Any, Any, int, str, tuple[Any, ...]]
"""What `getaddrinfo` gives: family, kind, protocol, canonical name, address."""


class Endpoint:
    """Where a push service is: `https://host[:port]`, port 443 unless given.

    Raises ValueError for any other URL.
    """

    def __init__(self, url: str) -> None:
        wanted = f"a push service's URL is https://host or https://host:port, not {url!r}"
        try:
            parts = http_url(url)
        except ValueError as error:
            raise ValueError(f"{wanted}: {error}") from None
        if parts.scheme != "https" or parts.path.strip("/") or parts.query:
            raise ValueError(wanted)
        self.host: Final = parts.host
        self.port: Final = parts.effective_port
        self.authority: Final = parts.netloc

    async def addresses(self, loop: asyncio.AbstractEventLoop) -> list[Address]:
        """Where it may be reached, as the system says. Raises OSError."""
        return await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)

    async def connect(
        self, loop: asyncio.AbstractEventLoop, within: float, random: Callable[[], float]
    ) -> socket.socket:
        """A connected socket with TCP_NODELAY. Raises OSError when no address answers.

        Addresses are tried from a random one of each family on, so that load spreads. The next is
        begun when one fails or has not answered for a moment, however many are silent: half of
        `within` seconds goes to beginning them all.
        """
        found = await self.addresses(loop)
        if not found:
            raise OSError(f"{self.host} has no address")
        delay = max(_SHORTEST_DELAY, min(_ATTEMPT_DELAY, within / (2 * len(found))))
        tries = [partial(_connected, loop, one) for one in in_turn(found, random)]
        try:
            return await first_of(tries, delay, socket.socket.close, _tasks)
        except AllFailed as failed:
            cause = failed.causes[-1]
        raise cause


def in_turn(found: Sequence[Address], random: Callable[[], float]) -> list[Address]:
    """The addresses in the order of trying: families in turns, the resolver's first one first.

    Source: RFC 8305 section 4.
    """
    families: dict[Any, list[Address]] = {}
    for one in found:
        families.setdefault(one[0], []).append(one)
    turned = []
    for addresses in families.values():
        start = int(random() * len(addresses))
        turned.append(addresses[start:] + addresses[:start])
    return [one for turn in zip_longest(*turned) for one in turn if one is not None]


async def _connected(loop: asyncio.AbstractEventLoop, to: Address) -> socket.socket:
    family, kind, proto, _, address = to
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
