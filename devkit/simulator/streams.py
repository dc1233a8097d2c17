"""One HTTP/2 stream as the server sees it, and what can be wrong with a peer's bytes."""

from collections import deque
from dataclasses import dataclass, field

from devkit.simulator.frames import ErrorCode

Header = tuple[str, str]
MOST_BODY_KEPT = 64 * 1024
"""Bytes of a body that are kept; what lies beyond is only counted."""


class ConnectionViolation(Exception):
    """The peer broke HTTP/2 in a way that ends the connection (RFC 9113, 5.4.1)."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamViolation(Exception):
    """The peer broke HTTP/2 in a way that ends one stream (RFC 9113, 5.4.2)."""

    def __init__(self, stream_id: int, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.stream_id = stream_id
        self.code = code


@dataclass(slots=True, eq=False)
class Stream:
    """A stream that is open or half closed; it is dropped as soon as both sides have ended.

    `send_window` is what the peer still lets us send, `receive_window` what we still let it send.
    `waiting` is body that the peer's windows hold back. `dealt_with`: by a fault at its headers.
    """

    number: int
    send_window: int
    receive_window: int
    headers: list[Header] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    body_size: int = 0
    unrefilled: int = 0
    remote_ended: bool = False
    local_ended: bool = False
    dealt_with: bool = False
    waiting: deque[tuple[bytes, bool]] = field(default_factory=deque)

    def keep(self, data: bytes) -> None:
        """Add to the body, up to the limit of what is kept."""
        self.body_size += len(data)
        if len(self.body) < MOST_BODY_KEPT:
            self.body += data[: MOST_BODY_KEPT - len(self.body)]


_CONNECTION_HEADERS = {
    "connection",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
}
_PSEUDO_HEADERS = {":method", ":scheme", ":path", ":authority"}


def check_request_headers(stream_id: int, headers: list[Header]) -> None:
    """Refuse a malformed request (RFC 9113, 8.2 and 8.3) with StreamViolation.

    Field names must be lower case, pseudo-header fields known, single and first, and fields that
    belong to HTTP/1.1 connections absent.
    """
    seen_regular = False
    pseudo: set[str] = set()
    for name, value in headers:
        if name.startswith(":"):
            if seen_regular or name in pseudo or name not in _PSEUDO_HEADERS:
                raise _malformed(stream_id, f"pseudo-header field {name}")
            pseudo.add(name)
            continue
        seen_regular = True
        if name != name.lower() or name in _CONNECTION_HEADERS:
            raise _malformed(stream_id, f"field {name}")
        if name == "te" and value != "trailers":
            raise _malformed(stream_id, "te")
    if not {":method", ":scheme", ":path"} <= pseudo:
        raise _malformed(stream_id, "a pseudo-header field is missing")


def _malformed(stream_id: int, what: str) -> StreamViolation:
    return StreamViolation(stream_id, ErrorCode.PROTOCOL_ERROR, f"malformed request: {what}")
