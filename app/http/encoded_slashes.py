"""Ids with a slash in a path: `/v1/users/%40foo%2Fbar%3Amatrix.org`.

A server hands the path on decoded, where an encoded slash can no longer be told from one that
separates. So it is looked for in the raw path, and stands for itself as a character that no decoded
path can hold, until the route has been found: `segment(name)` in a route's path gives the id back.
"""

from typing import Final
from urllib.parse import unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

SLASH: Final = "\udc2f"
"""Half a surrogate pair: decoding UTF-8 never gives one."""


class EncodedSlashes:
    """ASGI middleware: tells encoded slashes in the paths of the API from those that separate."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        raw: bytes = scope.get("raw_path") or b""
        if scope["type"] == "http" and b"%2" in raw and scope["path"].startswith("/v1/"):
            scope = dict(scope) | {"path": decoded(raw)}
        await self._app(scope, receive, send)


def decoded(raw: bytes) -> str:
    """A raw path decoded segment by segment, with `SLASH` for each encoded slash."""
    segments = raw.decode("latin-1").partition("?")[0].split("/")
    return "/".join(unquote(segment).replace("/", SLASH) for segment in segments)


class _Id(Convertor[str]):
    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return value.replace(SLASH, "/")

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _Id())


def segment(name: str) -> str:
    """A parameter of a route's path that may hold slashes, encoded: `{name:id}`."""
    return f"{{{name}:id}}"
