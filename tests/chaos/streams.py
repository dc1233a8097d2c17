"""Clients of the live streams, by SSE and by WebSocket, that come back and resume as a browser does."""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.chaos.balancer import Balancer
from tests.chaos.wire import BROKEN, request

NOT_EVENTS = frozenset({"snapshot", "reset", "closing", "pong"})


@dataclass
class Follower:
    """One user's stream, whichever server it is on. `heard`: (number, type) of events, as they came."""

    user: str
    token: str
    balancer: Balancer
    heard: list[tuple[int, str]] = field(default_factory=list)
    last: int | None = None
    began: int | None = None
    resets: int = 0
    connections: int = 0

    async def follow(self) -> None:
        """For ever: whatever ends the stream, another is opened where it left off."""
        while True:
            with contextlib.suppress(*BROKEN, TimeoutError, WebSocketException):
                self.connections += 1
                await self._one()
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def _one(self) -> None:
        raise NotImplementedError

    def _take(self, number: int | None, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "reset":
            self.resets += 1
            self.last = None
        if number is None:
            return
        self.last = number
        if kind == "snapshot":
            self.began = number if self.began is None else self.began
        elif kind not in NOT_EVENTS:
            self.heard.append((number, kind))


class SseFollower(Follower):
    """Server-sent events."""

    async def _one(self) -> None:
        server = self.balancer.choose()
        async with asyncio.timeout(4):
            reader, writer = await asyncio.open_connection(server.host, server.port)
        server.streams.add(writer)
        try:
            resume = {} if self.last is None else {"Last-Event-ID": str(self.last)}
            writer.write(request("GET", "/v1/events", bearer=self.token, headers=resume))
            async with asyncio.timeout(8):
                head = await reader.readuntil(b"\r\n\r\n")
            if head.split()[1] != b"200":
                return
            rest = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                rest += (await reader.readexactly(size + 2))[:-2]
                *blocks, rest = rest.split(b"\n\n")
                for block in blocks:
                    self._parse(block)
        finally:
            server.streams.discard(writer)
            writer.transport.abort()

    def _parse(self, block: bytes) -> None:
        fields = dict(_fields(block))
        if "data" in fields:
            number = int(fields["id"]) if "id" in fields else None
            self._take(number, orjson.loads(fields["data"]))


def _fields(block: bytes) -> Iterator[tuple[str, str]]:
    for line in block.decode().split("\n"):
        name, _, value = line.partition(":")
        yield name, value.removeprefix(" ")


class WsFollower(Follower):
    """A WebSocket."""

    async def _one(self) -> None:
        server = self.balancer.choose()
        url = f"ws://{server.host}:{server.port}/v1/ws"
        async with connect(url, open_timeout=4, ping_interval=5, ping_timeout=5) as socket:
            hello: dict[str, Any] = {"type": "authenticate", "token": self.token}
            if self.last is not None:
                hello["last_event_id"] = self.last
            await socket.send(orjson.dumps(hello).decode())
            async for text in socket:
                message = orjson.loads(text)
                self._take(message.get("id"), message)
