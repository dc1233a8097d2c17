"""The server's side of HTTP/1.1, as much as clients of Google use. Source: RFC 9112."""

from collections.abc import Iterator, Sequence

from devkit.simulator.streams import Header, Stream

_LONGEST_HEAD = 64 * 1024
_LONGEST_BODY = 1024 * 1024
_PHRASES = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found"}


class BadHttp(Exception):
    """Bytes that are no request, or one of a kind that is not understood here."""


class Http1:
    """Requests of one connection, as streams whose headers look as HTTP/2's do."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Stream]:
        """Take bytes in; give each request that is whole. Raises BadHttp."""
        self._bytes += data
        while True:
            end = self._bytes.find(b"\r\n\r\n")
            if end < 0:
                if len(self._bytes) > _LONGEST_HEAD:
                    raise BadHttp("endless head")
                return
            headers = _head(bytes(self._bytes[:end]))
            size = _length(headers)
            if len(self._bytes) < end + 4 + size:
                return
            body = bytes(self._bytes[end + 4 : end + 4 + size])
            del self._bytes[: end + 4 + size]
            stream = Stream(0, 0, 0, headers=headers, remote_ended=True)
            stream.keep(body)
            yield stream


def response(
    status: int, fields: Sequence[tuple[bytes, bytes]], body: bytes, *, keep: bool
) -> bytes:
    """Give a whole response as bytes."""
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, 'Status')}".encode()]
    lines += [name + b": " + value for name, value in fields]
    lines.append(b"content-length: %d" % len(body))
    if not keep:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _head(head: bytes) -> list[Header]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] not in {"HTTP/1.1", "HTTP/1.0"}:
        raise BadHttp("no request line")
    headers: list[Header] = [(":method", parts[0]), (":path", parts[1])]
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise BadHttp("no header field")
        lower = name.lower()
        headers.append((":authority" if lower == "host" else lower, value.strip()))
    return headers


def _length(headers: Sequence[Header]) -> int:
    fields = dict(headers)
    if "transfer-encoding" in fields:
        raise BadHttp("a body without a length")
    text = fields.get("content-length", "0")
    if not (text.isascii() and text.isdigit()) or int(text) > _LONGEST_BODY:
        raise BadHttp("no length")
    return int(text)
