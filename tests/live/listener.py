"""A client of the live stream: HTTP/1.1 and server-sent events read by hand, light enough for
thousands in one process."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


class RefusedToListen(Exception):
    """The answer was not 200."""


@dataclass
class Heard:
    id: int | None
    event: str
    data: dict[str, Any]
    at: float


@dataclass
class Listener:
    """One connection; keeps what it heard and the last id, as a browser would."""

    url: str
    token: str
    query: str = ""
    last_id: str | None = None
    heard: list[Heard] = field(default_factory=list)
    comments: int = 0
    status: int = 0
    head: str = ""
    ended: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    writer: asyncio.StreamWriter | None = None
    reader: asyncio.StreamReader | None = None

    async def connect(self, *, limit: int = 2**16) -> None:
        parts = urlsplit(self.url)
        self.reader, self.writer = await asyncio.open_connection(
            parts.hostname, parts.port, limit=limit
        )
        lines = [
            f"GET /v1/events{self.query} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"Authorization: Bearer {self.token}",
            "Accept: text/event-stream",
            "Origin: https://app.example",
        ]
        if self.last_id is not None:
            lines.append(f"Last-Event-ID: {self.last_id}")
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.ended = False
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.head = head.decode().lower()
        self.status = int(head.split()[1])
        if self.status != 200:
            body = await self.reader.read(2000)
            self.writer.close()
            await self.writer.wait_closed()
            raise RefusedToListen(f"{self.status} {body.decode()}")

    async def open(self, url: str | None = None) -> "Listener":
        """Connect, perhaps elsewhere, and listen in the background."""
        await self.close()
        self.url = url or self.url
        await self.connect()
        self._task = asyncio.create_task(self._listen())
        return self

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.writer is not None:
            self.writer.transport.abort()
            with contextlib.suppress(OSError):
                await self.writer.wait_closed()

    async def wait_for(self, wanted: Callable[[Heard], bool] | str, timeout: float = 60) -> Heard:
        """The first thing heard, ever, that is wanted."""
        end = time.monotonic() + timeout
        seen = 0
        while True:
            for one in self.heard[seen:]:
                if one.event == wanted if isinstance(wanted, str) else wanted(one):
                    return one
            seen = len(self.heard)
            self._news.clear()
            left = end - time.monotonic()
            if self.ended:
                raise TimeoutError(f"the stream ended; heard {self.kinds()}")
            try:
                await asyncio.wait_for(self._news.wait(), max(left, 0))
            except TimeoutError:
                raise TimeoutError(f"heard only {self.kinds()}") from None

    async def until_ended(self, timeout: float = 60) -> None:
        assert self._task is not None
        await asyncio.wait_for(asyncio.shield(self._task), timeout)

    def kinds(self) -> list[str]:
        return [one.event for one in self.heard]

    def numbers(self) -> list[int]:
        """Of events, without snapshots."""
        return [one.id for one in self.heard if one.id is not None and one.event != "snapshot"]

    async def _listen(self) -> None:
        try:
            await self._parse()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.ended = True
            self._news.set()

    async def _parse(self) -> None:
        assert self.reader is not None
        rest = b""
        while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
            rest += (await self.reader.readexactly(size + 2))[:-2]
            *whole, rest = rest.split(b"\n\n")
            for block in whole:
                self._take(block.decode())

    def _take(self, block: str) -> None:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            if name == "":
                self.comments += 1
            fields[name] = value.removeprefix(" ")
        if "id" in fields:
            self.last_id = fields["id"]
        if "data" in fields:
            number = int(fields["id"]) if "id" in fields else None
            data = json.loads(fields["data"])
            self.heard.append(Heard(number, fields["event"], data, time.monotonic()))
            self._news.set()


@contextlib.asynccontextmanager
async def listening(
    url: str, token: str, query: str = "", last_id: int | str | None = None
) -> AsyncIterator[Listener]:
    """A listener that has been let in."""
    listener = Listener(url, token, query, None if last_id is None else str(last_id))
    try:
        yield await listener.open()
    finally:
        await listener.close()
