"""HTTP/1.1 by hand over kept connections: what a load costs must not be the client's own work."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

BROKEN = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)
"""How a connection ends that should not have."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; `status` 0: there was none."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return orjson.loads(self.body) if self.body else None

    @property
    def retry_after(self) -> float:
        return float(self.headers.get("retry-after", "0") or 0)


@dataclass
class Server:
    """One server, the idle connections to it, and whether a health check has found it well.

    `strict`: a kept connection that breaks is a failure; else another is tried.
    """

    host: str
    port: int
    up: bool = True
    strict: bool = False
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    streams: set[asyncio.StreamWriter] = field(default_factory=set)

    async def ask(self, head: bytes, timeout: float) -> Reply:
        """One request and its response. Raises one of BROKEN, TimeoutError when it takes too long.

        A kept connection that the server has closed meanwhile is replaced by a new one.
        """
        async with asyncio.timeout(timeout):
            while self.idle:
                connection = self.idle.pop()
                if self.strict:
                    return await self._on(connection, head)
                if connection[0].at_eof():
                    connection[1].transport.abort()
                    continue
                with contextlib.suppress(*BROKEN):
                    return await self._on(connection, head)
            return await self._on(await asyncio.open_connection(self.host, self.port), head)

    async def _on(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], head: bytes
    ) -> Reply:
        reader, writer = connection
        try:
            writer.write(head)
            reply = await _read(reader)
        except BaseException:
            writer.transport.abort()
            raise
        if reply.headers.get("connection") == "close":
            writer.transport.abort()
        else:
            self.idle.append(connection)
        return reply

    def forget(self) -> None:
        """Abort what is open: a load balancer does so with a server that is down."""
        for _, writer in self.idle:
            writer.transport.abort()
        self.idle.clear()
        for writer in self.streams:
            writer.transport.abort()


def request(
    method: str,
    path: str,
    *,
    bearer: str = "",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A request's bytes."""
    content = b"" if body is None else orjson.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}"]
    if bearer:
        lines.append(f"Authorization: Bearer {bearer}")
    if content:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def _read(reader: asyncio.StreamReader) -> Reply:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    size = int(headers.get("content-length", "0"))
    body = await reader.readexactly(size) if size else b""
    return Reply(int(first.split()[1]), headers, body)
