"""Requests of HTTP/1.1 as they are sent."""

from collections.abc import Mapping
from functools import lru_cache

from app.core.frozen import frozen
from app.core.text import is_header
from app.infra.http1 import Origin
from app.infra.urls import HttpUrl, http_url

Headers = Mapping[str, str] | bytes
"""By name; or as they are sent, each line with its end, by who has seen that none holds another."""


@frozen
class Target:
    """Where a request goes, and how it begins: `first` is its line, `begin` that and its host's."""

    url: HttpUrl
    origin: Origin
    first: str
    host: str
    begin: bytes


@lru_cache(maxsize=4_096)
def target_of(method: str, url: str) -> Target:
    """Where a request to this address goes. Raises BadUrl."""
    read = http_url(url)
    first, host = f"{method} {read.target} HTTP/1.1", read.netloc
    return Target(read, read.origin, first, host, f"{first}\r\nHost: {host}\r\n".encode("ascii"))


def request_of(target: Target, headers: Headers, body: bytes) -> bytes:
    """A request as it is sent. Raises ValueError for a header that would be more than one."""
    if isinstance(headers, bytes):
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (target.begin, headers, len(body), body)
    lines = [target.first, f"Host: {headers.get('Host', target.host)}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name != "Host"]
    if not target.first.startswith("GET "):
        lines.append(f"Content-Length: {len(body)}")
    if not is_header("".join(lines)):
        raise ValueError("a header holds a control character, or is not ASCII")
    return "\r\n".join((*lines, "\r\n")).encode("ascii") + body
