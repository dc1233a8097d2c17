"""A live stream over a WebSocket: the same messages, after a first one that says who is calling.

The client sends `{"type": "authenticate", "token": ..., "last_event_id": ..., "device_id": ...}`
within 5 seconds; the token is never in the URL. Sent again with a fresh token, it keeps the stream
open beyond the first one's expiry. `{"type": "ping"}` is answered by `{"type": "pong", "at": ...}`,
which has the server's time: a socket has no `Date` from which to learn it. Text and
binary frames are read alike; whatever else a client says is ignored. The close codes are listed
in `docs/guides/events-and-webhooks.md`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import structlog
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.api.stream_fields import Hello, stream_of
from app.core.event import rfc3339
from app.http.auth import Gate
from app.http.problems import field_errors
from app.infra import clock
from app.infra.db import dump_json
from app.infra.errors import AppError, Invalid, Unauthorized, Unavailable
from app.infra.outage import unavailable
from app.infra.rate_limits import RateLimiter
from app.infra.tasks import beside
from app.live.follow import Batch, follow
from app.live.streams import Ending, Stream, Streams
from app.tenants import rate_limits
from app.tenants.caller import Caller, require_scope

log = structlog.get_logger(__name__)

LONGEST_MESSAGE = 16_384

LONGEST_REASON = 123
"""Bytes of a close frame's reason (RFC 6455, 5.5)."""

BAD_MESSAGE = 4400
NOT_RECOGNISED = 4401
TOO_LATE = 4408
UNREAD = 4422
TOO_MANY = 4429
CODES = {
    Ending.SHUTDOWN: 1012,
    Ending.TOKEN_EXPIRED: NOT_RECOGNISED,
    Ending.UNAUTHORIZED: NOT_RECOGNISED,
    Ending.SLOW_READER: TOO_MANY,
    Ending.USER_ERASED: 4410,
    Ending.REVOKED: NOT_RECOGNISED,
    Ending.UNAVAILABLE: 4503,
    Ending.CLIENT_LEFT: 1000,
}
"""Close codes: 4000 and above are an application's own (RFC 6455, 7.4.2)."""


class Refused(Exception):
    """The client's message will not do; closes the socket with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve(socket: WebSocket, streams: Streams, gate: Gate, limiter: RateLimiter) -> None:
    """Serve one WebSocket from its first message to its end."""
    await socket.accept()
    try:
        _refuse_query(socket)
        try:
            async with asyncio.timeout(streams.limits.hello_within):
                hello = await _hello(socket)
        except TimeoutError as error:
            raise Refused(TOO_LATE, "authenticate_first") from error
        stream, after = await _opened(streams, gate, limiter, hello)
    except Refused as error:
        await _close(socket, error.code, error.reason)
    except WebSocketDisconnect:
        return
    else:
        await _Conversation(socket, streams, gate, stream, hello).run(after)


def _refuse_query(socket: WebSocket) -> None:
    """No filter is read there, and no token belongs there."""
    if socket.scope["query_string"]:
        raise Refused(UNREAD, "unknown_parameter")


async def _hello(socket: WebSocket) -> Hello:
    message = await _read(socket)
    if len(message) > LONGEST_MESSAGE:
        raise Refused(BAD_MESSAGE, "message_too_long")
    try:
        return Hello.model_validate(orjson.loads(message))
    except ValidationError as error:
        raise _unfit(error) from error
    except ValueError as error:
        raise Refused(BAD_MESSAGE, "expected_authenticate") from error


def _unfit(error: ValidationError) -> Refused:
    """Of a first message that says who calls, and beside that what will not do: which field."""
    fault = field_errors(error.errors())[0]
    if fault["field"] in {"", "type", "token"}:
        return Refused(BAD_MESSAGE, "expected_authenticate")
    told = f"{fault['code']}: {fault['field']}".encode()[:LONGEST_REASON]
    return Refused(UNREAD, told.decode(errors="ignore"))


async def _read(socket: WebSocket) -> bytes:
    """The next message, in whichever kind of frame it came. Raises WebSocketDisconnect."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1005)
    text = message.get("text")
    found: bytes = message.get("bytes") or b""
    return found if text is None else text.encode("utf-8", "replace")


async def _opened(
    streams: Streams, gate: Gate, limiter: RateLimiter, hello: Hello
) -> tuple[Stream, int | None]:
    try:
        caller = await _recognise(gate, hello)
        stream = stream_of(caller, hello.user_id, hello.device_id)
        rate_limits.open_stream(limiter, caller, stream.user_id)
        streams.open(stream)
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        code = NOT_RECOGNISED if isinstance(told, Unauthorized) else 4000 + told.status
        raise Refused(code, told.code) from error
    return stream, hello.last_event_id


async def _recognise(gate: Gate, hello: Hello) -> Caller:
    caller = await gate.recognise(f"Bearer {hello.token}")
    if caller.kind not in {"server", "user"}:
        raise Unauthorized("not_allowed", "this needs an API key or a user token")
    require_scope(caller, "calls")
    return caller


class _Conversation:
    """One authenticated socket: what is sent, and what the client says meanwhile."""

    def __init__(
        self, socket: WebSocket, streams: Streams, gate: Gate, stream: Stream, hello: Hello
    ) -> None:
        self._socket = socket
        self._streams = streams
        self._gate = gate
        self._stream = stream
        self._hello = hello

    async def run(self, after: int | None) -> None:
        """Until either side ends it."""
        batches = follow(
            self._streams, self._stream, after, lambda: _recognise(self._gate, self._hello)
        )
        try:
            async with beside("socket.listen", self._listen()), contextlib.aclosing(batches):
                await self._send_all(batches)
        except TimeoutError:
            self._stream.end(Ending.SLOW_READER)
            log.info("stream_cut", user=self._stream.user_id, reason=Ending.SLOW_READER.value)
        except WebSocketDisconnect:
            self._stream.end(Ending.CLIENT_LEFT)
        finally:
            self._streams.leave(self._stream)
        why = self._stream.ending or Ending.CLIENT_LEFT
        if why is not Ending.CLIENT_LEFT:
            await _close(self._socket, CODES[why], why.value)

    async def _send_all(self, batches: AsyncGenerator[Batch, None]) -> None:
        async for batch in batches:
            if self._stream.ending is Ending.CLIENT_LEFT:
                return
            for one in batch:
                await self._send(one.as_text())

    async def _send(self, text: str) -> None:
        async with asyncio.timeout(self._streams.limits.send_within):
            await self._socket.send_text(text)

    async def _listen(self) -> None:
        """A fresh token, a ping, or the client's leaving; what is none of these is ignored."""
        try:
            while True:
                message = _kind_of(await _read(self._socket))
                if message.get("type") == "ping":
                    await self._send(dump_json({"type": "pong", "at": rfc3339(clock.now())}))
                elif message.get("type") == "authenticate":
                    await self._renew(Hello.model_validate(message))
        except (WebSocketDisconnect, TimeoutError, RuntimeError):
            self._stream.end(Ending.CLIENT_LEFT)
        except Exception as error:
            why = _why(error)
            if why is None:
                raise
            self._stream.end(why)

    async def _renew(self, hello: Hello) -> None:
        caller = await _recognise(self._gate, hello)
        user = caller.acting_for(hello.user_id or self._stream.user_id)
        if (caller.tenant_id, user) != self._stream.key:
            raise Invalid("wrong_user", "a stream stays with its user")
        self._hello = hello
        self._stream.expires, self._stream.issued = caller.expires, caller.issued
        self._stream.of_user = caller.kind == "user"


def _why(error: Exception) -> Ending | None:
    """Why a stream ends whose fresh token this came of; None: by a fault of ours."""
    told = _told(error)
    if isinstance(told, Unavailable):
        return Ending.UNAVAILABLE  # the token may well be good: it could not be looked at
    return Ending.UNAUTHORIZED if told or isinstance(error, ValidationError) else None


def _told(error: Exception) -> AppError | None:
    """What a client is told of an error; None of a fault of ours."""
    return error if isinstance(error, AppError) else unavailable(error)


def _kind_of(message: bytes) -> dict[str, Any]:
    """A message as an object; that of a client which speaks otherwise is none. Plain `ping` is."""
    if message == b"ping":
        return {"type": "ping"}
    if len(message) > LONGEST_MESSAGE:
        return {}
    try:
        found = orjson.loads(message)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(1.0):
            await socket.close(code, reason)
