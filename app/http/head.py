"""HEAD: what GET would answer, without the body (RFC 9110, 9.3.2).

FastAPI's routes answer it with 405, and monitors ask health pages by it.
"""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_STREAM: Final = "/v1/events"
_LAB: Final = "/lab/"


def is_endless(path: str) -> bool:
    """Whether a GET of this does not end: it is a stream, or may be one of the lab's."""
    return path == _STREAM or path.startswith(_LAB)


class HeadAsGet:
    """ASGI middleware: asks the application by GET, and keeps the body back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as GET if it is HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        if is_endless(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)
