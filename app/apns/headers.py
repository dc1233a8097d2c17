"""The header block of a push, written by hand, and the reading of an answer's.

A push's headers are nearly all the same, so the constant ones are kept as finished bytes. What
differs per push (`:path`, `apns-id`) or is secret (`authorization`) is never indexed, as Apple
asks in "Sending notification requests to APNs"; the rest goes into the dynamic table. The table
is only ever filled, never evicted from: an entry that no longer fits is sent as a literal.

Source: RFC 7541 (HPACK) sections 2.3, 5.1, 6.
"""

from typing import Final

from jh2._hazmat import Decoder

from app.apns.frames import COMPRESSION_ERROR, DEFAULT_TABLE_SIZE, WireError
from app.apns.request import PushRequest

_METHOD_POST_SCHEME_HTTPS: Final = b"\x83\x87"
_PATH_NEVER_INDEXED: Final = b"\x14"
_APNS_ID_NEVER_INDEXED: Final = b"\x10\x07apns-id"
_AUTHORIZATION_NEVER_INDEXED: Final = b"\x1f\x08"
_STATIC_NAMES: Final = {b":authority": 1}
_ONCE: Final = frozenset((b"apns-collapse-id",))  # another for each ring: not worth an entry
_EXPIRATION: Final = b"apns-expiration"
_FIRST_DYNAMIC: Final = 62
_KEPT_PREFIXES: Final = 256
_MAX_HEADER_LIST: Final = 65_536


def integer(value: int, prefix_bits: int, first: int = 0) -> bytes:
    """HPACK's integer with its prefix, `first` being the bits before it (section 5.1)."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes((first | value,))
    out = bytearray((first | most,))
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: bytes) -> bytes:
    """A string literal. Not Huffman-coded: the CPU costs more than the bytes."""
    return integer(len(value), 7) + value


def authorization_field(token: bytes) -> bytes:
    """The finished `authorization: bearer …` field for a provider token."""
    return _AUTHORIZATION_NEVER_INDEXED + text(b"bearer " + token)


class RequestEncoder:
    """Header blocks for one connection, in the order in which they are sent."""

    def __init__(self, authority: str) -> None:
        self._authority = authority.encode("ascii")
        self._table: dict[tuple[bytes, bytes], int] = {}
        self._size = 0
        self._max_size = DEFAULT_TABLE_SIZE
        self._resize = b""
        self._kept: dict[tuple[object, ...], tuple[bytes, bytes]] = {}

    def set_table_size(self, size: int) -> None:
        """Follow the server's SETTINGS_HEADER_TABLE_SIZE: empty the table, and say so next time.

        Shrinking to nothing first is always allowed and spares us evictions (section 4.2).
        """
        self._max_size = min(size, DEFAULT_TABLE_SIZE)
        self._resize = integer(0, 5, 0x20) + integer(self._max_size, 5, 0x20)
        self._table.clear()
        self._size = 0
        self._kept.clear()

    def block(self, request: PushRequest, authorization: bytes) -> bytes:
        """The header block of one push; `authorization` is a finished field or empty."""
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
                authorization,
            )
        )

    def _common(self, request: PushRequest) -> tuple[bytes, bytes]:
        """What comes before the path and what comes after, for pushes alike in all but target."""
        entries = len(self._table)
        resize, self._resize = self._resize, b""
        before = resize + _METHOD_POST_SCHEME_HTTPS + self._field(b":authority", self._authority)
        after = b"".join(
            self._field(name, value, once=name in _ONCE or (name == _EXPIRATION and value != b"0"))
            for name, value in request.common_headers()
        )
        if not resize and entries == len(self._table):
            # Every new table entry shifts the indexes, so only a block that made none is kept.
            if len(self._kept) >= _KEPT_PREFIXES:
                self._kept.clear()
            self._kept[request.common] = (before, after)
        else:
            self._kept.clear()
        return before, after

    def _field(self, name: bytes, value: bytes, *, once: bool = False) -> bytes:
        at = self._table.get((name, value))
        if at is not None:
            return integer(_FIRST_DYNAMIC + len(self._table) - 1 - at, 7, 0x80)
        size = 32 + len(name) + len(value)
        index = not once and self._size + size <= self._max_size
        static = _STATIC_NAMES.get(name, 0)
        if index:
            self._table[name, value] = len(self._table)
            self._size += size
            lead = integer(static, 6, 0x40)
        else:
            lead = integer(static, 4)
        return lead + (b"" if static else text(name)) + text(value)


class AnswerDecoder:
    """The server's header blocks, in the order in which they arrive."""

    def __init__(self) -> None:
        self._decoder = Decoder(_MAX_HEADER_LIST)

    def decode(self, block: bytes) -> list[tuple[bytes, bytes, bool]]:
        """Names and values. A block that cannot be decoded ends the connection (section 2.2)."""
        try:
            return self._decoder.decode(block, True)  # type: ignore[no-any-return]
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a truncated block is a Rust panic in jh2
            raise WireError(COMPRESSION_ERROR, f"header block not understood: {error}") from None
