"""What every page of ours shares, the dashboard's and the lab's: headers, files, and whose page
sent a change."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import Request, Response

from app.infra.errors import Forbidden
from app.infra.urls import BadUrl, http_url

TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class Files:
    """Static files by name, read once. `version` changes with any of them and is in their address,
    so that each may be kept for ever and never be an old one."""

    by_name: dict[str, tuple[bytes, str]]
    version: str

    def answer(self, name: str) -> Response | None:
        """A file, to be kept for ever; None when there is none of this name."""
        if name not in self.by_name:
            return None
        data, kind = self.by_name[name]
        return Response(data, media_type=kind, headers=FOR_EVER)


def read_files(paths: Iterable[Path]) -> Files:
    """The style sheets, scripts and pictures among these; of two with one name the later counts."""
    found = {
        path.name: (path.read_bytes(), TYPES[path.suffix]) for path in paths if path.suffix in TYPES
    }
    data = b"".join(found[name][0] for name in sorted(found))
    return Files(found, hashlib.sha256(data).hexdigest()[:12])


def check_origin(request: Request, public_url: str) -> None:
    """Refuse (403) what a browser says it was sent by another site's page.

    Its own is the page of the public URL, whatever name a proxy calls this server by, and the one
    of the name that it was called by.
    """
    origin = request.headers.get("origin")
    foreign = origin is not None and not (
        _origin(origin) == _origin(public_url) or _is_of(origin, request.headers.get("host", ""))
    )
    if foreign or request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        raise Forbidden("other_site", "This came from a page of another site; nothing was done.")


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port (RFC 6454); None for what has none, such as `null`."""
    try:
        return http_url(url).origin
    except BadUrl:
        return None


def _is_of(origin: str, host: str) -> bool:
    """Whether an origin is that of a Host header, which says no scheme: a proxy may end TLS."""
    found = _origin(origin)
    return found is not None and bool(host) and found == _origin(f"{found[0]}://{host}")
