"""The span of a request that acts on a call: from its first byte to its answer's last."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.infra import clock
from app.infra.traces import REQUEST, TracedRequest

TRACEPARENT: Final = b"traceparent"


async def traced(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have `app` answer one request. Of one that begins or meets no call there is no span.

    Named by the route's template, never by its path or query: they hold ids.
    """
    found = [value for name, value in scope["headers"] if name == TRACEPARENT]
    given = found[0].decode("latin-1") if len(found) == 1 else None
    request = TracedRequest(clock.unix(), given)
    # a server runs each request in a context of its own: nothing is to be reset
    REQUEST.set(request)
    status = 0

    async def sending(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    try:
        await app(scope, receive, sending)
    finally:
        request.over = True
        if request.span is not None:
            method, route = scope["method"], getattr(scope.get("route"), "path", "")
            request.span.rename(f"{method} {route}")
            said = {"http.request.method": method, "http.route": route}
            request.span.set(said | {"http.response.status_code": status})
            request.span.end(failed=not 0 < status < 500)
