"""A plain request to ring, answered without the framework's round trip.

Routing, dependencies and layers of middleware cost more than all else that a ring does. So a
`POST /v1/calls` is looked at before them. One that is in order is answered here. One that is in any
way unusual, or whose body is not valid, goes the long way from its first byte on: what is wrong
with it is said in one place, and the two ways share all that follows the reading of the request.
"""

import time
from collections.abc import Awaitable, Sequence
from contextvars import copy_context
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from app.calls.ring_request import RingRequest, ring_request
from app.calls.ringer import Ringer
from app.calls.schemas import RingIn
from app.core.frozen import frozen
from app.http.access_log import HEADER, QUIET, answered_with, logged, own_id, tell_request
from app.http.auth import Gate, whose_lines
from app.http.problems import problem_of
from app.http.security_headers import SecurityHeaders
from app.http.tracing import traced
from app.http.unread import CHUNKED, ODD, repeated_member
from app.http.whole import Door, Whole
from app.infra.errors import AppError
from app.infra.rate_limits import RateLimiter
from app.tenants import rate_limits
from app.tenants.caller import Caller

PATH = "/v1/calls"
ASIDE = frozenset(path.encode() for path in QUIET)
"""Who looks after this process is always answered."""
HERE = APIRoute(PATH, lambda: None)
"""What log lines say of a request that went the short way."""
HEADERS = ((b"content-type", b"application/json"),)
TAKEN = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\n"
LINE = b"%b: %b\r\n"


class FastPath(FastAPI):
    """The app, with a short way for plain requests to ring; what it answers has our headers."""

    security: SecurityHeaders
    access_log = True
    has_traces = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.door = Door(PATH.encode(), self._take, self._turns_away, ASIDE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] in {"http", "websocket"}:
            with_span = self.has_traces and scope["type"] == "http"
            answer = partial(traced, self._answer) if with_span else self._answer
            await logged(answer, scope, receive, send, told=self.access_log)
        else:
            await super().__call__(scope, receive, send)

    def _turns_away(self) -> bool:
        """Whether who comes now is told to come again, which is an answer as any other."""
        turned_away: bool = self.state.runtime.database.turns_away()
        if turned_away:
            answered_with(HTTPStatus.SERVICE_UNAVAILABLE.value).inc()
        return turned_away

    def _take(self, whole: Whole) -> bool:
        """Answer a plain request to ring of an API key that was read within the second.

        False for any other, and where its span or its connection's end have to be seen to.
        """
        plain = None if self.has_traces or self.security.closing else _plain(whole.headers)
        if plain is None:
            return False
        caller = self.state.gate.known(plain.authorization)
        request = None if caller is None else _valid(whole.body)
        if caller is None or request is None or request.wanted:
            return False
        WholeRing(self, whole, plain, caller).begin(request)
        return True

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = _plain(scope["headers"]) if _is_ring(scope) else None
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
        await self.tell(self._ring(plain, request), scope, receive, send)

    async def tell(
        self, work: Awaitable[dict[str, Any]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request to ring with the call that `work` returns, or with what it raises."""
        scope["route"] = HERE
        try:
            answer = orjson.dumps(await work)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is answered)
            await self._refuse(error, scope, receive, self.security.around(send))
            return
        headers = [*HEADERS, *self.security.pairs, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _ring(self, plain: "PlainRequest", request: RingIn) -> dict[str, Any]:
        gate: Gate = self.state.gate
        ringer: Ringer = self.state.ringer
        caller = await gate.recognise(plain.authorization)
        order = self.order(plain, request, caller)
        return await ringer.submit(order, partial(rate_limits.called, self.limiter, caller))

    @property
    def limiter(self) -> RateLimiter:
        """The counts of this process."""
        found: RateLimiter = self.state.rate_limiter
        return found

    def order(self, plain: "PlainRequest", request: RingIn, caller: Caller) -> RingRequest:
        """What is asked for, counted. Raises Forbidden (403), Invalid (422) or TooMany (429)."""
        order = ring_request(caller, request, plain.idempotency_key)
        rate_limits.ring(self.limiter, caller, request.caller.id, request.callee_ids)
        return order

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


class WholeRing:
    """A request to ring that came whole, from its order to its answer, without a task of its own.

    What is not simply taken goes on by messages.
    """

    __slots__ = ("_app", "_begun", "_caller", "_order", "_plain", "_whole")

    def __init__(self, app: FastPath, whole: Whole, plain: "PlainRequest", caller: Caller) -> None:
        self._app = app
        self._whole = whole
        self._plain = plain
        self._caller = caller
        self._order: RingRequest | None = None
        self._begun = time.perf_counter()

    def begin(self, request: RingIn) -> None:
        """Order it, or refuse it at once: who asks too often costs little. Raises nothing."""
        try:
            order = self._app.order(self._plain, request, self._caller)
            self._app.state.ringer.begin(order, self._heard)
            self._order = order
        except AppError as error:
            if not self._refused(error):
                self._heard(error)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is answered)
            self._heard(error)

    def _heard(self, answer: dict[str, Any] | Exception) -> None:
        if not isinstance(answer, Exception) and self._written(orjson.dumps(answer)):
            return
        self._whole.go_on(partial(self._by_messages, answer))

    def _written(self, body: bytes) -> bool:
        own = own_id(self._plain.request_id)
        length = b"content-length: %d\r\n" % len(body)
        return self._answered(202, TAKEN + self._app.security.lines + length, body, own)

    def _refused(self, error: AppError) -> bool:
        own = own_id(self._plain.request_id)
        problem = copy_context().run(_problem_told, error, own.decode())
        security = self._app.security.pairs
        given = {name for name, _ in problem.raw_headers}
        pairs = [*problem.raw_headers, *(one for one in security if one[0] not in given)]
        head = _status_line(problem.status_code) + b"".join(LINE % pair for pair in pairs)
        return self._answered(problem.status_code, head, bytes(problem.body), own)

    def _answered(self, status: int, head: bytes, body: bytes, own: bytes) -> bool:
        """Whether this answer of the request `own` is written; if not, it goes by messages."""
        if self._app.security.closing:
            return False
        if not self._whole.answer(head + LINE % (HEADER, own), body):
            return False
        answered_with(status).inc()
        if self._app.access_log:
            whose = {"request_id": own.decode(), **whose_lines(self._caller)}
            tell_request("POST", PATH, status, time.perf_counter() - self._begun, whose)
        return True

    async def _by_messages(
        self, answer: dict[str, Any] | Exception, scope: Scope, receive: Receive, send: Send
    ) -> None:
        bind_contextvars(**whose_lines(self._caller))
        tell = partial(self._app.tell, self._end(answer))
        await logged(tell, scope, receive, send, told=self._app.access_log, begun=self._begun)

    async def _end(self, answer: dict[str, Any] | Exception) -> dict[str, Any]:
        if not isinstance(answer, Exception):
            return answer
        if self._order is None:
            raise answer
        ringer: Ringer = self._app.state.ringer
        return await ringer.end(self._order, answer)


@frozen
class PlainRequest:
    """What the headers of a plain request to ring say."""

    authorization: str
    idempotency_key: str | None
    request_id: bytes


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


def _problem_told(error: AppError, own: str) -> Response:
    bind_contextvars(request_id=own)
    return problem_of(error)


def _is_ring(scope: Scope) -> bool:
    plain = scope["type"] == "http" and scope["path"] == PATH and not scope["query_string"]
    return plain and scope["method"] == "POST"


def _plain(given: Sequence[tuple[bytes, bytes]]) -> PlainRequest | None:
    headers = dict(given)
    if len(headers) < len(given) or b"origin" in headers:
        return None  # a header given twice; a web page's request, which CORS may have to see
    if not ODD.isdisjoint(headers) or headers.get(b"transfer-encoding", CHUNKED) != CHUNKED:
        return None  # what the long way refuses
    authorization = headers.get(b"authorization")
    if authorization is None or headers.get(b"content-type") != b"application/json":
        return None
    key = headers.get(b"idempotency-key")
    return PlainRequest(
        authorization.decode("latin-1"),
        None if key is None else key.decode("latin-1"),
        headers.get(HEADER, b""),
    )


def _valid(body: bytes) -> RingIn | None:
    try:
        request = RingIn.model_validate_json(body)
    except ValidationError:
        return None
    return request if _says_each_once(body, request) or repeated_member(body) is None else None


def _says_each_once(body: bytes, request: RingIn) -> bool:
    """Whether there is no more than a colon for each name that was found, so none stands twice.

    False where there may be: a text has a colon, or there are objects within.
    """
    if request.custom or not all(isinstance(one, str) for one in request.callees):
        return False
    caller = request.caller
    found = len(request.model_fields_set) + len(caller.model_fields_set)
    return caller.handle is None and body.count(b":") == found


def _again(first: Message, receive: Receive) -> Receive:
    """`receive`, beginning with a message that has been taken from it."""
    waiting = [first]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
