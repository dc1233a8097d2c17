"""A bound on the size of request bodies, kept while they are read."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.problems import problem_of
from app.infra.errors import TooLarge

MOST_DISCARDED = 64 * 1024 * 1024
PATIENCE = 10.0
"""How much of a body that is too large is read and thrown away, and for how many seconds.

An answer to somebody who is still sending is seldom read: the sender meets a closed connection, or
waits for ever on one that nobody reads. Beyond this the connection is closed all the same.
"""


class BodyLimit:
    """ASGI middleware: answers 413 to a body larger than its limit, keeping none of it."""

    def __init__(self, app: ASGIApp, limit_of: Callable[[str], int]) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(limit, scope, receive, send)
            return
        seen = 0
        more = True

        async def counted() -> Message:
            nonlocal seen, more
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                more = message.get("more_body", False)
                if seen > limit:
                    raise _too_large(limit)
            return message

        async def said(message: Message) -> None:
            # but not what the app makes of the error that cut its reading short
            if seen <= limit:
                await send(message)

        await self._app(scope, counted, said)
        if seen > limit:
            await _refuse(limit, scope, receive, send, more=more)


async def _refuse(
    limit: int, scope: Scope, receive: Receive, send: Send, *, more: bool = True
) -> None:
    read_out = not more or await _discard(receive)
    answer = problem_of(_too_large(limit))
    if not read_out:
        answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


async def _discard(receive: Receive) -> bool:
    """Read the rest of a body and keep nothing; False when there is too much of it."""
    discarded = 0
    try:
        async with asyncio.timeout(PATIENCE):
            while discarded < MOST_DISCARDED:
                message = await receive()
                discarded += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return True
    except TimeoutError:
        pass
    return False


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body_too_large", f"the body is larger than {limit} bytes", limit=limit)
