"""Whose word about the visitor's address, scheme and host counts.

A proxy hands a visitor's address on in `X-Forwarded-For`, and anybody can send that header too. So
it counts only when the connection comes from an address in `RINGLINE_TRUSTED_PROXIES`, and of a
list only what trusted proxies have added: from the right, up to the first that is none of them.
"""

import ipaddress
import time
from collections.abc import Sequence
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.text import is_token

log = structlog.get_logger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FORWARDED: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
UNTRUSTED: Final = "ringline.untrusted_forwarder"
"""In a request's scope: the address of a peer whose forwarded headers were not believed."""
SAY_AGAIN: Final = 3600.0
MOST_SAID: Final = 256
MOST_HOPS: Final = 32


class TrustedProxies:
    """ASGI middleware: makes `client`, `scheme` and `host` those that the visitor used."""

    def __init__(self, app: ASGIApp, networks: Sequence[Network]) -> None:
        self._app = app
        self._networks = tuple(networks)
        self._said: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, corrected by what a trusted proxy says of it."""
        if scope["type"] in {"http", "websocket"}:
            self._correct(scope)
        await self._app(scope, receive, send)

    def _correct(self, scope: Scope) -> None:
        given = {name: value for name, value in scope["headers"] if name in FORWARDED}
        if not given:
            return
        peer = scope["client"][0] if scope.get("client") else ""
        if not self._trusted(peer):
            scope[UNTRUSTED] = peer
            self._say(peer)
            return
        visitor = self._visitor(_all_of(scope, b"x-forwarded-for"))
        if visitor is not None:
            scope["client"] = (visitor, 0)
        _set_scheme(scope, _last(given.get(b"x-forwarded-proto", b"")))
        _set_host(scope, _last(given.get(b"x-forwarded-host", b"")))

    def _trusted(self, address: str) -> bool:
        found = address_of(address)
        return found is not None and any(found in network for network in self._networks)

    def _visitor(self, hops: list[str]) -> str | None:
        visitor = None
        for hop in reversed(hops[-MOST_HOPS:]):
            found = address_of(hop)
            if found is None:
                break  # what stands left of it was not written by a proxy of ours
            visitor = str(found)
            if not self._trusted(visitor):
                break
        return visitor

    def _say(self, peer: str) -> None:
        now = time.monotonic()
        if now - self._said.get(peer, -SAY_AGAIN) < SAY_AGAIN:
            return
        if len(self._said) >= MOST_SAID:
            self._said.clear()
        self._said[peer] = now
        log.warning(
            "forwarded_headers_ignored",
            peer=peer,
            mend="if this is your proxy, add its address to RINGLINE_TRUSTED_PROXIES",
        )


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as proxies write it, with or without a port; None for anything else."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def _all_of(scope: Scope, name: bytes) -> list[str]:
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return [part for part in ",".join(values).split(",") if part.strip()]


def _last(value: bytes) -> str:
    return value.decode("latin-1").rpartition(",")[2].strip()


def _set_scheme(scope: Scope, scheme: str) -> None:
    secure = {"https": True, "wss": True, "http": False, "ws": False}.get(scheme.lower())
    if secure is not None:
        plain = "ws" if scope["type"] == "websocket" else "http"
        scope["scheme"] = plain + ("s" if secure else "")


def _set_host(scope: Scope, host: str) -> None:
    if host and is_token(host) and not set(host) & set("/\\?#@,"):
        kept: list[tuple[bytes, Any]] = [one for one in scope["headers"] if one[0] != b"host"]
        scope["headers"] = [*kept, (b"host", host.encode("ascii"))]
