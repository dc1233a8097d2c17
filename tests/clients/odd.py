"""A server that says what none of ours does: what networks, proxies and error pages put in its place."""

import asyncio
import json
import re
from email.utils import formatdate
from time import time

SNAPSHOT = {"type": "snapshot", "seq": 1, "at": "2026-11-21T08:00:00Z", "calls": []}
PAGE = b"<html>\n<body>Log in to this network</body>\n</html>"
REASON = {200: "OK", 204: "No Content", 401: "Unauthorized", 503: "Service Unavailable"}


class OddServer:
    """`streams`: how many have been asked for; `asked`: each request's line, and its token."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.streams = 0
        self.later = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        found = re.search(r"^authorization: bearer ?(.*)\r$", head, re.MULTILINE | re.IGNORECASE)
        self.asked.append((head.partition(" HTTP/")[0], found[1] if found else ""))
        path = head.split(" ")[1].partition("?")[0]
        status, kind, body = 200, "application/json", b'{"cid": "default:ok"}'
        more = ""
        if path == "/v1/events":
            self.streams += 1
            status, kind, body = self._stream()
        elif path.endswith("html"):
            kind, body = "text/html", PAGE
        elif path.endswith("empty"):
            body = b""
        elif path.endswith("later"):
            self.later += 1
            if self.later == 1:
                status, more = 503, f"Retry-After: {formatdate(time() + 2.9, usegmt=True)}\r\n"
        length = (
            ""
            if path == "/v1/events" and kind != "text/html"
            else f"Content-Length: {len(body)}\r\n"
        )
        said = f"HTTP/1.1 {status} {REASON[status]}\r\nContent-Type: {kind}\r\n{more}{length}"
        writer.write(f"{said}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    def _stream(self) -> tuple[int, str, bytes]:
        """First a network's own page, then an expired token, then a ring, settled by this device."""
        if self.streams == 1:
            return 200, "text/html", PAGE
        if self.streams == 2:
            return 200, "text/event-stream", lines(SNAPSHOT) + lines(CLOSING)
        events = (SNAPSHOT, STRANGE, RING, SETTLED)
        return (
            200,
            "text/event-stream; charset=utf-8",
            b"retry: 100\n\n" + b"".join(map(lines, events)),
        )


def lines(body: dict) -> bytes:
    """A message as server-sent events have it."""
    number = f"id: {body['seq']}\n" if "seq" in body else ""
    return f"{number}event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()


OF_CALL = {"session_id": "s", "cid": "default:abc", "at": "2026-11-21T08:00:00Z"}
CLOSING = {"type": "closing", "reason": "token_expired"}
STRANGE = {
    "type": "ring.teleported",
    "seq": 2,
    **OF_CALL,
    "data": {"user_id": "bob", "how": {"x": [1]}},
}
RING = {
    "type": "ring.started", "seq": 3, **OF_CALL,
    "data": {"user_id": "bob", "ring": "u-1", "caller_id": "alice", "expires_at": "2199-01-01T00:00:00Z",
             "video": False, "of_tomorrow": "?"},
}  # fmt: skip
SETTLED = {
    "type": "ring.settled", "seq": 4, **OF_CALL,
    "data": {"user_id": "bob", "ring": "u-1", "device_id": "mine", "outcome": "teleported", "callkit_reason": 4},
}  # fmt: skip
