"""A live stream as server-sent events (HTML Standard, 9.2), written by ourselves.

Starlette's StreamingResponse neither bounds how long a reader may keep us waiting, nor ends a
generator in good order when the client leaves.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.infra.tasks import beside
from app.live.follow import Batch
from app.live.streams import Ending, Stream, Streams

log = structlog.get_logger(__name__)

KEEP_ALIVE = b": still here\n\n"


class EventStream(Response):
    """Sends batches as they come; ends when they end, or when the client leaves or lags behind."""

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: Streams,
        stream: Stream,
        batches: AsyncGenerator[Batch, None],
        status_code: int = 200,  # FastAPI reads it off here for the API reference
    ) -> None:
        super().__init__(
            status_code=status_code,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        del self.headers["content-length"]
        self._streams = streams
        self._stream = stream
        self._batches = batches

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Be the ASGI application of this one response."""
        try:
            async with (
                beside("sse.leave", self._leave(receive)),
                contextlib.aclosing(self._batches),
            ):
                await self._send(send)
        except TimeoutError:
            self._stream.end(Ending.SLOW_READER)
            log.info("stream_cut", user=self._stream.user_id, reason=Ending.SLOW_READER.value)
        finally:
            self._streams.leave(self._stream)

    async def _send(self, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        # clients that all lost their server do not all come back at the same moment
        await self._body(send, f"retry: {random.randint(500, 2_500)}\n\n".encode())  # noqa: S311
        async for batch in self._batches:
            if self._stream.ending is Ending.CLIENT_LEFT:
                return
            await self._body(send, b"".join(one.as_sse() for one in batch) or KEEP_ALIVE)
        await self._body(send, b"", more=False)

    async def _leave(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.end(Ending.CLIENT_LEFT)

    async def _body(self, send: Send, chunk: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self._streams.limits.send_within):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
