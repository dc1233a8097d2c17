"""The header block of a push, for one connection to a push service."""

from collections.abc import Callable
from typing import Final

from app.http2.hpack import FieldTable, text
from app.webpush.pending import PendingMessage

_METHOD_POST_SCHEME_HTTPS: Final = b"\x83\x87"
_PATH_NEVER_INDEXED: Final = b"\x14"
_AUTHORIZATION_NEVER_INDEXED: Final = b"\x1f\x08"
_COMMON: Final = (
    (b"content-encoding", b"aes128gcm"),
    (b"content-type", b"application/octet-stream"),
    (b"urgency", b"high"),
)


class HeaderWriter:
    """All alike, but for the subscription, its topic, and how long it is worth keeping.

    A stop is as urgent as its ring: until it is there a call rings that is over (RFC 8030 section
    5.3). `authorization` gives what is to be sent at the moment.
    """

    def __init__(self, authority: str, authorization: Callable[[], bytes]) -> None:
        self._authority = authority.encode("ascii")
        self._authorization = authorization
        self._table = FieldTable()
        self._kept: tuple[bytes, bytes] | None = None
        self._signed = self._signed_field = b""

    def set_table_size(self, size: int) -> None:
        """Follow the server's SETTINGS_HEADER_TABLE_SIZE."""
        self._table.set_size(size)
        self._kept = None

    def block(self, push: PendingMessage) -> bytes:
        """The header block of one push."""
        message = push.message
        before, common = self._kept or self._common()
        signed = self._authorization()
        if signed != self._signed:
            self._signed = signed
            self._signed_field = _AUTHORIZATION_NEVER_INDEXED + text(signed)
        return b"".join(
            (
                before,
                _PATH_NEVER_INDEXED,
                text(message.path),
                common,
                _once(b"ttl", message.ttl),
                _once(b"topic", message.topic),
                _once(b"content-length", b"%d" % len(message.body)),
                self._signed_field,
            )
        )

    def _common(self) -> tuple[bytes, bytes]:
        """What comes before the path, and what all have after it."""
        table = self._table
        entries, resize = len(table), table.take_resize()
        before = resize + _METHOD_POST_SCHEME_HTTPS + table.field(b":authority", self._authority)
        common = b"".join(table.field(name, value) for name, value in _COMMON)
        if not resize and entries == len(table):  # no entry was made: good for the next one
            self._kept = before, common
        return before, common


def http1_request(
    authority: str, authorization: Callable[[], bytes], push: PendingMessage
) -> bytes:
    """A whole push for a service that speaks HTTP/1.1 (RFC 9112)."""
    message = push.message
    fields = (
        (b"host", authority.encode("ascii")),
        *_COMMON,
        (b"ttl", message.ttl),
        (b"topic", message.topic),
        (b"content-length", b"%d" % len(message.body)),
        (b"authorization", authorization()),
    )
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    return b"POST %b HTTP/1.1\r\n%b\r\n%b" % (message.path, head, message.body)


def _once(name: bytes, value: bytes) -> bytes:
    return b"\0" + text(name) + text(value)
