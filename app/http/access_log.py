"""An id for each request, and a log line when it is over.

The id is the client's own `X-Request-ID` if that is a plain word, or a new one. It is on each log
line that the request causes, in the answer's header, and in problem documents: what a user reports
can be found. The line tells the route's template, never the path or the query: they hold ids.
"""

import logging
import re
import time
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
OWN_ID: Final = "ringline.request_id"
STATUS: Final = "ringline.status"
"""Of a scope: the id of the request, and the status of an answer that went past `send`."""
QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every second by machines; told only when all is told, or when the answer is no good one."""


def request_id() -> str | None:
    """The id of the request that is being answered."""
    found: str | None = get_contextvars().get("request_id")
    return found


async def logged(app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, told: bool) -> None:
    """Have `app` answer one request; `told`: with a log line when it is over."""
    given = next((value for name, value in scope["headers"] if name == HEADER), b"")
    own = given if PLAIN.fullmatch(given) else uuid7_hex().encode()
    # a server runs each request in a context of its own: nothing is to be unbound
    bind_contextvars(request_id=own.decode())
    scope[OWN_ID] = own
    begun, status = time.perf_counter(), 0

    async def sending(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), (HEADER, own)]}
        await send(message)

    try:
        await app(scope, receive, sending)
    finally:
        status = status or scope.get(STATUS, 0)
        if status and scope["path"] not in QUIET:
            answered_with(status).inc()
        if told:
            _tell(scope, status, time.perf_counter() - begun)


@lru_cache(maxsize=64)
def answered_with(status: int) -> Any:
    """The counter of answers with this status."""
    return RESPONSES.labels(status)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", None)
    level = logging.DEBUG if route in QUIET and status < 400 else logging.INFO
    if ENABLED.isEnabledFor(level):
        said: dict[str, Any] = {
            "method": scope.get("method", "WEBSOCKET"),
            "route": route,
            "status": status or None,
            "ms": round(seconds * 1_000, 1),
        }
        if not write_soon(__name__, level, "request", said):
            log.log(
                level,
                "request",
                method=said["method"],
                route=route,
                status=said["status"],
                ms=said["ms"],
            )
