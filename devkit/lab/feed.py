"""The page's feed: the whole state as server-sent events (HTML Standard, 9.2) at each change."""

import asyncio
import contextlib
from typing import Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.infra.tasks import beside
from devkit.lab.bench import Bench
from devkit.lab.lab import Lab

AT_MOST_EVERY: Final = 1 / 30
HEARTBEAT: Final = 2.0
SEND_WITHIN: Final = 10.0


class Feed(Response):
    """Sends the bench's state until the client leaves, the bench is put away, or Apple is gone."""

    media_type = "text/event-stream"

    def __init__(self, lab: Lab, bench: Bench) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._lab = lab
        self._bench = bench

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Be the ASGI application of this one response."""
        with self._lab.one_feed(), contextlib.suppress(TimeoutError, OSError):
            # what is suppressed: a reader that lags, or left
            async with (
                beside("lab.feed", self._send(send)) as sending,
                beside("lab.leave", _left(receive)) as leaving,
            ):
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)

    async def _send(self, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        version = -1
        while not self._bench.closed:
            version = self._bench.version
            state = orjson.dumps(self._bench.view())
            await _body(send, b"data: " + state + b"\n\n")
            await asyncio.sleep(AT_MOST_EVERY)
            while not await self._bench.after(version, HEARTBEAT):
                if not await self._lab.there():
                    break
                await _body(send, b": still here\n\n")
            else:
                continue
            break
        await _body(send, b"", more=False)


async def _body(send: Send, chunk: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_WITHIN):
        await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
