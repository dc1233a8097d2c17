"""A tenant's backend: an HTTP server that keeps what webhooks bring, and fails when told to."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

from tests.serving import serving


@dataclass
class Post:
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    at: float

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def verified(self, *secrets: str) -> dict[str, Any]:
        """What the public library says it is; raises when a secret does not fit."""
        for secret in secrets:
            Webhook(secret).verify(self.body, self.headers)
        return self.data


@dataclass
class Receiver:
    port: int = 0
    posts: list[Post] = field(default_factory=list)
    status: int = 200
    headers: str = ""
    body: bytes = b"thanks"
    answer: Callable[[Post], int] | None = None
    delay: float = 0
    endless: bool = False
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def taken(self) -> list[Post]:
        return [post for post in self.posts if 200 <= post.status < 300]

    async def wait_for(self, count: int, timeout: float = 60) -> list[Post]:
        """When so many have been taken."""
        end = time.monotonic() + timeout
        while len(self.taken) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self.taken)} of {count} came")
            await asyncio.sleep(0.01)
        return self.taken

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                post = Post(first.split()[1], headers, body, self.status, time.monotonic())
                if self.answer is not None:
                    post.status = self.answer(post)
                self.posts.append(post)
                await asyncio.sleep(self.delay)
                if self.endless:
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while True:
                        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                        await writer.drain()
                writer.write(
                    f"HTTP/1.1 {post.status} Status\r\n{self.headers}"
                    f"Content-Length: {len(self.body)}\r\n\r\n".encode()
                    + self.body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def receiving(host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()
    async with serving(receiver.serve, host) as receiver.port:
        yield receiver
