"""HEAD: what GET would answer, without the body (RFC 9110, 9.3.2).

FastAPI's routes answer it with 405, and monitors ask health pages by it.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENDLESS: Final = ("/v1/events", "/lab/")
"""Streams: a GET of them does not end."""


class HeadAsGet:
    """ASGI middleware: asks the application by GET, and keeps the body back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as GET if it is HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(ENDLESS):
            await self._app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)
