"""What is refused before it is a request of anybody's: told as every refusal, past the app."""

import re
from typing import Final

from app.http.problems import PROBLEM, problem

MOST_HEAD: Final = 32 * 1024
"""Bytes of a request's line and headers, its trailers too. nginx and Apache take 8 KiB a line."""
MOST_HEADERS: Final = 100
HEAD_WITHIN: Final = 10.0
BODY_WITHIN: Final = 30.0
"""Seconds for the head, from the connection or the first byte on, and for the body after it."""
REFUSALS: Final = {
    400: (b"Bad Request", "this is no request of HTTP/1.1: its method, a header or its target"),
    408: (b"Request Timeout", f"a head has {HEAD_WITHIN:g} s to arrive, a body {BODY_WITHIN:g} s"),
    414: (b"URI Too Long", f"a request's target may have {MOST_HEAD:,} bytes"),
    426: (b"Upgrade Required", "a WebSocket here is of version 13 (RFC 6455)"),
    431: (
        b"Request Header Fields Too Large",
        f"a request may have {MOST_HEADERS} headers, and a head of {MOST_HEAD:,} bytes",
    ),
    500: (b"Internal Server Error", "Ringline failed; the log of the server says why."),
    503: (b"Service Unavailable", "this process has all the connections that it may: try again"),
}
"""The reason of a status, and why, where nothing else is said."""
AGAIN: Final = b"retry-after: 1\r\n"
BUSY: Final = "more is asked of this process than it can do: try again"
NO_HOST: Final = "Host: a request of HTTP/1.1 has one, and a name or an address in it"
_HOST: Final = re.compile(rb"[\w\-.~%!$&'()*+,;=:\[\]]*", re.ASCII)


def is_host(value: bytes) -> bool:
    """Whether this may stand in a Host header (RFC 9110, 7.2; RFC 3986, 3.2.2)."""
    return _HOST.fullmatch(value) is not None


def refusal(
    status: int, headers: bytes = b"", why: str | None = None, code: str | None = None
) -> bytes:
    """A whole answer that refuses, and closes the connection; `headers` are lines of their own."""
    reason, usual = REFUSALS[status]
    body = bytes(problem(status, code or f"http_{status}", why or usual).body)
    line = b"HTTP/1.1 %d %b\r\n%b" % (status, reason, headers)
    about = b"content-type: %b\r\ncontent-length: %d\r\n" % (PROBLEM.encode(), len(body))
    return line + about + b"connection: close\r\n\r\n" + body
