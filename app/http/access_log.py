"""An id for each request, and a log line when it is over.

The id is the client's own `X-Request-ID` if that is a plain word, or a new one. It is on each log
line that the request causes, in the answer's header, and in problem documents: what a user reports
can be found. The line tells the route's template, never the path or the query: they hold ids.
"""

import logging
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, get_contextvars

from app.infra.ids import uuid7_hex
from app.infra.observe import RESPONSES, write_soon

log = structlog.get_logger(__name__)
ENABLED = logging.getLogger(__name__)

HEADER: Final = b"x-request-id"
PLAIN: Final = re.compile(rb"[A-Za-z0-9_.:\-]{1,64}")
QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every second by machines; told only when all is told, or when the answer is no good one."""


def request_id() -> str | None:
    """The id of the request that is being answered."""
    found: str | None = get_contextvars().get("request_id")
    return found


def own_id(given: bytes) -> bytes:
    """The id of a request that gives this one, or none."""
    return given if PLAIN.fullmatch(given) else uuid7_hex().encode()


async def logged(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    told: bool,
    begun: float | None = None,
) -> None:
    """Have `app` answer one request; `told`: with a log line when it is over.

    `begun`: when it came, by `time.perf_counter`, if that was before.
    """
    own = own_id(next((value for name, value in scope["headers"] if name == HEADER), b""))
    # a server runs each request in a context of its own: nothing is to be unbound
    bind_contextvars(request_id=own.decode())
    begun, status = begun or time.perf_counter(), 0

    async def sending(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), (HEADER, own)]}
        await send(message)

    try:
        await app(scope, receive, sending)
    finally:
        if status and scope["path"] not in QUIET:
            answered_with(status).inc()
        if told:
            route = getattr(scope.get("route"), "path", None)
            seconds = time.perf_counter() - begun
            tell_request(scope.get("method", "WEBSOCKET"), route, status, seconds)


@lru_cache(maxsize=64)
def answered_with(status: int) -> Any:
    """The counter of answers with this status."""
    return RESPONSES.labels(status)


def tell_request(
    method: str,
    route: str | None,
    status: int,
    seconds: float,
    bound: Mapping[str, str] | None = None,
) -> None:
    """Leave a request's line; `bound`: what else it says, if not what this context says."""
    level = logging.DEBUG if route in QUIET and status < 400 else logging.INFO
    if ENABLED.isEnabledFor(level):
        said: dict[str, Any] = {
            "method": method,
            "route": route,
            "status": status or None,
            "ms": round(seconds * 1_000, 1),
        }
        if not write_soon(__name__, level, "request", said, bound):
            log.bind(**bound or {}).log(
                level,
                "request",
                method=said["method"],
                route=route,
                status=said["status"],
                ms=said["ms"],
            )
