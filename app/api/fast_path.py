"""A plain request to ring, answered without the framework's round trip.

Routing, dependencies and layers of middleware cost more than all else that a ring does. So a
`POST /v1/calls` is looked at before them. One that is in order is answered here. One that is in any
way unusual, or whose body is not valid, goes the long way from its first byte on: what is wrong
with it is said in one place, and the two ways share all that follows the reading of the request.
"""

from functools import partial
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import Message, Receive, Scope, Send

from app.calls.ringer import Ringer
from app.calls.ringing import ring_request
from app.calls.schemas import RingIn
from app.core.frozen import frozen
from app.http.access_log import HEADER, OWN_ID, STATUS, logged
from app.http.auth import Gate
from app.http.connection import AT_ONCE
from app.http.security_headers import SecurityHeaders
from app.http.tracing import traced
from app.http.unread import CHUNKED, ODD, repeated_member
from app.infra.rate_limits import RateLimiter
from app.tenants import rate_limits

PATH = "/v1/calls"
HERE = APIRoute(PATH, lambda: None)
"""What log lines say of a request that went the short way."""
HEADERS = ((b"content-type", b"application/json"),)
TAKEN = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\n"


class FastPath(FastAPI):
    """The app, with a short way for plain requests to ring; what it answers has our headers."""

    security: SecurityHeaders
    access_log = True
    has_traces = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] in {"http", "websocket"}:
            with_span = self.has_traces and scope["type"] == "http"
            answer = partial(traced, self._answer) if with_span else self._answer
            await logged(answer, scope, receive, send, told=self.access_log)
        else:
            await super().__call__(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = _plain(scope)
        if plain is None:
            await super().__call__(scope, receive, self.security.around(send))
            return
        message = await receive()
        body = message.get("body", b"")
        request = None if message.get("more_body", True) else _valid(body)
        if request is None:
            again = _again(message, receive)
            await super().__call__(scope, again, self.security.around(send))
            return
        scope["route"] = HERE
        try:
            answer = await self._ring(plain, request)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is answered)
            await self._refuse(error, scope, receive, self.security.around(send))
            return
        if self._at_once(scope, answer):
            return
        headers = [*HEADERS, *self.security.pairs, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _at_once(self, scope: Scope, answer: bytes) -> bool:
        """Whether it could be written by the server itself, past all messages."""
        write = scope.get("extensions", {}).get(AT_ONCE)
        if write is None or self.security.closing:
            return False
        own = b"%b: %b\r\ncontent-length: %d\r\n" % (HEADER, scope[OWN_ID], len(answer))
        if not write(scope, TAKEN + self.security.lines + own, answer):
            return False
        scope[STATUS] = 202
        return True

    async def _ring(self, plain: "PlainRequest", request: RingIn) -> bytes:
        gate: Gate = self.state.gate
        ringer: Ringer = self.state.ringer
        caller = await gate.recognise(plain.authorization)
        order = ring_request(caller, request, plain.idempotency_key)
        limiter: RateLimiter = self.state.rate_limiter
        rate_limits.ring(limiter, caller, request.caller.id, request.callee_ids)
        known = partial(rate_limits.called, limiter, caller)
        return orjson.dumps(await ringer.submit(order, known))

    async def _refuse(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app's own handler of such an error does; without one it is raised."""
        for kind in type(error).__mro__:
            handler: Any = self.exception_handlers.get(kind)
            if handler is not None and kind is not Exception:
                response = await handler(Request(scope), error)
                await response(scope, receive, send)
                return

        async def fail(*_: Any) -> None:
            raise error

        # a fault of ours: answered and logged where those of every other request are
        await ServerErrorMiddleware(fail, handler=self.exception_handlers.get(Exception))(
            scope, receive, send
        )


@frozen
class PlainRequest:
    """What the headers of a plain request to ring say."""

    authorization: str
    idempotency_key: str | None


def _plain(scope: Scope) -> PlainRequest | None:
    if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
        return None
    headers = dict(scope["headers"])
    if len(headers) < len(scope["headers"]) or b"origin" in headers or scope["query_string"]:
        return None  # a header given twice; a web page's request, which CORS may have to see
    if not ODD.isdisjoint(headers) or headers.get(b"transfer-encoding", CHUNKED) != CHUNKED:
        return None  # what the long way refuses
    authorization = headers.get(b"authorization")
    if authorization is None or headers.get(b"content-type") != b"application/json":
        return None
    key = headers.get(b"idempotency-key")
    return PlainRequest(
        authorization.decode("latin-1"), None if key is None else key.decode("latin-1")
    )


def _valid(body: bytes) -> RingIn | None:
    try:
        request = RingIn.model_validate_json(body)
    except ValidationError:
        return None
    return request if repeated_member(body) is None else None


def _again(first: Message, receive: Receive) -> Receive:
    """`receive`, beginning with a message that has been taken from it."""
    waiting = [first]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
