"""A TCP proxy before an API, whose cable can be pulled: connections break, or bytes vanish."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.serving import joined, serving


class Cable:
    """Where clients connect. `url` is its address; `target` the address of an API, or None."""

    def __init__(self, target: str) -> None:
        self.target: str | None = target
        self.url = ""
        self.connections = 0
        self.swallow = 0
        """So many answers are lost: the server has done what was asked, and the client is not told."""
        self._mute = False
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `mend`."""
        self.target = None
        for writer in self._writers:
            writer.transport.abort()

    def mute(self) -> None:
        """Let bytes vanish on what is open; nothing is closed, new connections work."""
        self._mute = True

    def mend(self, target: str) -> None:
        self.target = target

    @contextlib.asynccontextmanager
    async def laid(self) -> AsyncIterator["Cable"]:
        async with serving(self._connected) as port:
            self.url = f"http://127.0.0.1:{port}"
            yield self

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._mute = False
        try:
            if self.target is not None:
                self.connections += 1
                await self._join(self.target, reader, writer)
        finally:
            writer.transport.abort()

    async def _join(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there = urlsplit(target)
        connecting = asyncio.open_connection(there.hostname, there.port)
        with contextlib.suppress(OSError):
            async with joined(connecting) as (far_reader, far):
                self._writers |= {writer, far}
                try:
                    both = (self._carry(reader, far), self._carry(far_reader, writer, answers=True))
                    await asyncio.gather(*both)
                finally:
                    self._writers -= {writer, far}

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(2**16):
                if answers and self._mute:
                    return
                if answers and self.swallow:
                    self.swallow -= 1
                    break
                writer.write(data)
        writer.transport.abort()
