"""The header block of a push, written by hand.

A push's headers are nearly all the same, so the constant ones are kept as finished bytes. What
differs per push (`:path`, `apns-id`) or is secret (`authorization`) is never indexed, as Apple
asks in "Sending notification requests to APNs"; the rest goes into the dynamic table.
"""

from typing import Final

from app.apns.jwt import ProviderTokens
from app.apns.pending import PendingPush
from app.apns.request import PushRequest
from app.http2.hpack import FieldTable, integer, text

_METHOD_POST_SCHEME_HTTPS: Final = b"\x83\x87"
_PATH_NEVER_INDEXED: Final = b"\x14"
_APNS_ID_NEVER_INDEXED: Final = b"\x10\x07apns-id"
_AUTHORIZATION_NEVER_INDEXED: Final = b"\x1f\x08"
_ONCE: Final = frozenset((b"apns-collapse-id",))  # another for each ring: not worth an entry
_EXPIRATION: Final = b"apns-expiration"
_KEPT_PREFIXES: Final = 256


class HeaderWriter:
    """Header blocks for one connection, in the order in which they are sent.

    With the provider token of `tokens`, if there are any, that is right at the moment.
    """

    def __init__(self, authority: str, tokens: ProviderTokens | None = None) -> None:
        self._authority = authority.encode("ascii")
        self._tokens = tokens
        self._issued_at: int | None = None
        self._authorization = b""
        self._table = FieldTable()
        self._kept: dict[tuple[object, ...], tuple[bytes, bytes]] = {}

    def set_table_size(self, size: int) -> None:
        """Follow the server's SETTINGS_HEADER_TABLE_SIZE."""
        self._table.set_size(size)
        self._kept.clear()

    def block(self, push: PendingPush) -> bytes:
        """The header block of one push, which learns with which provider token it goes."""
        if self._tokens is not None:
            token, push.issued_at = self._tokens.current()
            if push.issued_at != self._issued_at:
                self._issued_at = push.issued_at
                self._authorization = _AUTHORIZATION_NEVER_INDEXED + text(b"bearer " + token)
        request = push.request
        kept = self._kept.get(request.common)
        before, after = self._common(request) if kept is None else kept
        path = request.path
        size = len(path)
        return b"".join(
            (
                before,
                _PATH_NEVER_INDEXED,
                bytes((size,)) if size < 127 else integer(size, 7),
                path,
                after,
                _APNS_ID_NEVER_INDEXED,
                request.id_field,
                self._authorization,
            )
        )

    def _common(self, request: PushRequest) -> tuple[bytes, bytes]:
        """What comes before the path and what comes after, for pushes alike in all but target."""
        table = self._table
        entries = len(table)
        resize = table.take_resize()
        before = resize + _METHOD_POST_SCHEME_HTTPS + table.field(b":authority", self._authority)
        after = b"".join(
            table.field(name, value, once=name in _ONCE or (name == _EXPIRATION and value != b"0"))
            for name, value in request.common_headers()
        )
        if not resize and entries == len(table):
            # Every new table entry shifts the indexes, so only a block that made none is kept.
            if len(self._kept) >= _KEPT_PREFIXES:
                self._kept.clear()
            self._kept[request.common] = (before, after)
        else:
            self._kept.clear()
        return before, after
