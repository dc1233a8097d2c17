"""Keeps other web pages out of the control API, which asks nobody who they are.

A browser lets any page send requests to the loopback. So a request must name the loopback itself
(a page that had its own name point here cannot), a write must not come from another origin, and its
body must be JSON by its own word, which a page may not send elsewhere without asking.
Sources: RFC 9110, 7.2 (Host); the Fetch standard on Origin and on CORS-safelisted content types.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_READING = frozenset(("GET", "HEAD", "OPTIONS"))


class OwnPagesOnly:
    """ASGI middleware: answers 403 or 415 where another page may be asking."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refused = _refusal(scope["method"], Headers(scope=scope))
            if refused is not None:
                status, why = refused
                await JSONResponse({"detail": why}, status)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(method: str, headers: Headers) -> tuple[int, str] | None:
    """Give the status and sentence for a request that is not to be served."""
    host = headers.get("host", "")
    if not _is_loopback(host):
        return 403, "the simulator's control is reached as 127.0.0.1 or localhost only"
    if method in _READING:
        return None
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return 403, "the simulator takes no orders from other web pages"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return 403, "the simulator takes no orders from other web pages"
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if (has_body or kind) and kind != "application/json":
        return 415, "a body must be JSON, and say so: content-type: application/json"
    return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
