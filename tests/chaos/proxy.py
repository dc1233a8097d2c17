"""A TCP proxy before servers that can go mute: bytes vanish, nothing is closed.

A process of its own (`python -m tests.chaos.proxy PORT TARGET [PORT TARGET ...]`, a target being a
socket's path or a port), told by lines on its standard input: `mute old` (connections that are open
now, for ever; new ones work), `mute all` (new ones too), `clear` (new ones work again; what was
muted stays so, as behind a NAT that has forgotten it), `join` (the same, and those that began mute
are reset: a network would have kept their first packet for later). Ports may follow: else it is
said to all.
"""

import asyncio
import contextlib
import sys
from typing import Any

import uvloop

FORGOTTEN_AFTER = 15.0
"""Seconds after which the server's side of a muted connection is closed, as by its keepalives."""


class Pipe(asyncio.Protocol):
    """One direction's reading end; `other` is where its bytes go."""

    def __init__(self, pair: "Pair") -> None:
        self.pair = pair
        self.other: Pipe | None = None
        self.transport: Any = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # uvloop's is no asyncio.Transport

    def join(self, other: "Pipe") -> None:
        self.other = other
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self.pair.mute:
            return
        if self.other is None or self.other.transport is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is None or self.other.transport is None:
            return
        if self.pair.mute:
            loop = asyncio.get_running_loop()
            loop.call_later(FORGOTTEN_AFTER, self.other.transport.abort)
        else:
            self.other.transport.close()


class Pair:
    """Both ends of one connection."""

    def __init__(self, mute: bool) -> None:
        self.mute = mute
        self.client = Pipe(self)
        self.server = Pipe(self)


class Proxy:
    """Every connection, and whether new ones are mute from the start."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._pairs: list[Pair] = []
        self._mute_new = False
        self._begun_mute: list[Pair] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def connected(self) -> Pipe:
        pair = Pair(self._mute_new)
        self._pairs.append(pair)
        if pair.mute:  # it never gets to the server
            self._begun_mute.append(pair)
        else:
            task = asyncio.get_running_loop().create_task(self._reach(pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return pair.client

    async def _reach(self, pair: Pair) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self._target.isdecimal():
                await loop.create_connection(lambda: pair.server, "127.0.0.1", int(self._target))
            else:
                await loop.create_unix_connection(lambda: pair.server, self._target)
        except OSError:
            if pair.client.transport is not None:
                pair.client.transport.abort()
            return
        pair.server.join(pair.client)
        pair.client.join(pair.server)

    def order(self, line: str) -> None:
        if line in {"clear", "join"}:
            self._mute_new = False
            for pair in self._begun_mute if line == "join" else ():
                if pair.client.transport is not None:
                    pair.client.transport.abort()
            self._begun_mute.clear()
            return
        self._mute_new = line == "mute all"
        for pair in self._pairs:
            pair.mute = True
        self._pairs.clear()


async def serve(targets: dict[str, str]) -> None:
    """Until the standard input ends. `targets` by port."""
    loop = asyncio.get_running_loop()
    proxies = {port: Proxy(target) for port, target in targets.items()}
    for port, proxy in proxies.items():
        await loop.create_server(proxy.connected, "127.0.0.1", int(port), backlog=512)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        words = line.decode().split()
        ports = [word for word in words if word.isdecimal()]
        for port in ports or proxies:
            proxies[port].order(" ".join(words[: len(words) - len(ports)]))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))))
