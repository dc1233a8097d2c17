"""WebSockets that do not come about: their handshake is refused as any other request is."""

from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from app.http.problems import problem
from app.http.refusals import AGAIN, refusal

VERSION: Final = "13"
NO_HANDSHAKE: Final = (
    "this is no handshake of a WebSocket: a GET without a body, with one Sec-WebSocket-Key of 16 "
    "bytes in base64, and no line of more than 8 KiB (RFC 6455, 4.2.1)"
)
NO_TEXT: Final = "text_not_utf8"
STOPPING: Final = "this process stops: try again"
NOWHERE: Final = "there is no WebSocket at this path: live events are at `/v1/ws`"


class Handshake(WebSocketsSansIOProtocol):
    """uvicorn's own, whose refusals are problem documents, and which leaves none unanswered."""

    _stops = False

    def data_received(self, data: bytes) -> None:
        """The head of the handshake, whole, and then frames."""
        super().data_received(data)
        if not self.handshake_initiated:  # its parser has given up, and nobody has been told
            self._refuse(400, why=NO_HANDSHAKE)

    def handle_connect(self, event: Any) -> None:
        """A handshake that is none is refused; any other goes to the app."""
        if self.conn.accept(event).status_code == 101:
            super().handle_connect(event)
            return
        self.handshake_initiated = True
        if event.headers.get_all("Sec-WebSocket-Version") == [VERSION]:
            self._refuse(400, why=NO_HANDSHAKE)
        else:
            self._refuse(426, b"upgrade: websocket\r\nsec-websocket-version: 13\r\n")

    def send_receive_event_to_app(self) -> None:
        """A whole message; what says that it is text and is not UTF-8 ends the WebSocket with 1007.

        RFC 6455, 8.1. uvicorn closes so too, and logs a client's fault with a traceback.
        """
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(CloseCode.INVALID_DATA, NO_TEXT)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def shutdown(self) -> None:
        """The process stops."""
        self._stops = True
        super().shutdown()

    def send_500_response(self) -> None:
        """Nobody answers: the app has failed, or the process stops."""
        if self.initial_response or self.handshake_complete:
            return
        if self._stops:
            self._refuse(503, AGAIN, STOPPING)
        else:
            self._refuse(500)

    def _refuse(self, status: int, headers: bytes = b"", why: str | None = None) -> None:
        self.handshake_complete = self.close_sent = True
        if not self.transport.is_closing():
            self.transport.write(refusal(status, headers, why))
            self.transport.close()


class NoSuchSocket:
    """ASGI middleware: tells of a path at which there is no WebSocket, which was an empty 403."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on; what closes a WebSocket before it was accepted found no route."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        accepted = False

        async def told(message: Message) -> None:
            nonlocal accepted
            if message["type"] == "websocket.close" and not accepted:
                await problem(404, "not_found", NOWHERE)(scope, receive, send)
                return
            accepted = accepted or message["type"] == "websocket.accept"
            await send(message)

        await self._app(scope, receive, told)
