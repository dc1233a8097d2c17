"""From a host name to a TCP connection. Nothing is cached: each connect resolves anew."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, Final

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
        host = f"[{self.host}]" if ":" in self.host else self.host
        self.authority: Final = host if self.port == 443 else f"{host}:{self.port}"

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
        return await _first_connected(loop, in_turn(found, random), delay)


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


async def _first_connected(
    loop: asyncio.AbstractEventLoop, addresses: Sequence[Address], delay: float
) -> socket.socket:
    """The first of these that connects; the others are closed (RFC 8305 section 5)."""
    trying: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError("no address answered")
    left = list(addresses)
    try:
        while trying or left:
            if left:
                trying.add(_tasks.spawn("dial", _connected(loop, left.pop(0)), awaited=True))
            done, trying = await asyncio.wait(
                trying, timeout=delay if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            won = [task for task in done if task.exception() is None]
            for other in won[1:]:
                other.result().close()
            if won:
                return won[0].result()
            failure = next((task.exception() or failure for task in done), failure)
        raise failure
    finally:
        _give_up(trying)


def _give_up(trying: set[asyncio.Task[socket.socket]]) -> None:
    """Cancel attempts that are still under way, and close what connects all the same."""
    for task in trying:
        task.cancel()
        task.add_done_callback(_close_late)


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


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
