"""A backend that takes webhooks as fast as it can, and a client that posts to it and does no more.

python -m tests.benchmarks.endpoint: says its port, then answers `arrivals` with what has come.
python -m tests.benchmarks.endpoint URL POSTS AT_ONCE: posts by the product's own client, the body
from standard input, and says what it used: CPU seconds, and by how many connections.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httptools
import uvloop

from app.infra.safe_http import SafeHttp

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Posted(NamedTuple):
    """One POST that arrived whole."""

    path: str
    headers: dict[str, str]
    body: str


class _Serving(asyncio.Protocol):
    posts: list[Posted] = []  # noqa: RUF012  (of the process)
    connections = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)
        _Serving.connections += 1

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path, self._headers, self._body = url.decode(), {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self.posts.append(Posted(self._path, self._headers, self._body.decode()))
        self._transport.write(ANSWER)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Serving, "127.0.0.1", 0, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        posts, _Serving.posts[:] = list(_Serving.posts), []
        some = [[one.path, {k: one.headers.get(k) for k in SIGNED}, one.body] for one in posts]
        print(json.dumps({"posts": some, "connections": _Serving.connections}), flush=True)

    def listen() -> None:
        for _ in sys.stdin:
            loop.call_soon_threadsafe(tell)
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, daemon=True).start()
    await ended.wait()


class Endpoint:
    """A running backend."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.url = f"http://127.0.0.1:{process.stdout.readline().strip()}"

    def arrivals(self) -> tuple[list[Posted], int]:
        """What has arrived since this was last asked, and by how many connections in all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("arrivals\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        return [Posted(*one) for one in found["posts"]], found["connections"]

    def bare_post_us(self, body: str, posts: int, at_once: int, tree: str | None = None) -> float:
        """CPU microseconds of a POST by the product's client, signed by nobody, kept alive.

        `tree`: whose client it is; this one's where none is named.
        """
        self.arrivals()
        command = [sys.executable, "-m", __name__, f"{self.url}/bare", str(posts), str(at_once)]
        said = subprocess.run(
            command, input=body, capture_output=True, text=True, check=True, cwd=tree
        )
        arrived, _ = self.arrivals()
        assert [one.path for one in arrived] == ["/bare"] * posts, len(arrived)
        return float(said.stdout) / posts * 1e6


@contextmanager
def running_endpoint() -> Iterator[Endpoint]:
    """One for the length of the block."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", __name__]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    try:
        yield Endpoint(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "Ringline",
    "webhook-id": "evt_01900000000070008000000000000001_1",
    "webhook-timestamp": "1790000000",
    "webhook-signature": "v1," + "x" * 44,
}


async def _post(url: str, posts: int, at_once: int, body: bytes) -> float:
    client, left = SafeHttp(allow_private=True), iter(range(posts))
    now = datetime.now(UTC)

    async def some(of: Iterator[int]) -> None:
        for _ in of:
            assert (await client.post(url, HEADERS, body, now=now)).ok

    await some(iter(range(at_once)))
    begun = time.process_time()
    await asyncio.gather(*(some(left) for _ in range(at_once)))
    used = time.process_time() - begun
    await client.close()
    return used


if __name__ == "__main__":
    if len(sys.argv) == 1:
        uvloop.run(_serve())
    else:
        url, posts, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
        print(uvloop.run(_post(url, posts - at_once, at_once, sys.stdin.read().encode())))
