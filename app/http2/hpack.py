"""HPACK: the pieces of header blocks for a client that writes its own, and the reading of others.

The dynamic table is only ever filled, never evicted from: an entry that no longer fits is sent as a
literal. Source: RFC 7541 sections 2.3, 4.2, 5.1, 6.
"""

from collections.abc import Callable
from typing import Any, Final

from jh2.hpack import Decoder as PublicDecoder

from app.http2.frames import COMPRESSION_ERROR, DEFAULT_TABLE_SIZE, WireError
from app.http2.head import Block


class SlowDecoder:
    """jh2's public decoder, in the shape of the private one."""

    def __init__(self, max_header_list_size: int) -> None:
        self._decoder = PublicDecoder(max_header_list_size)

    def decode(self, block: bytes, raw: bool) -> Block:
        """Names, values, and whether they may be indexed."""
        return [(name, value, True) for name, value in self._decoder.decode(block, raw)]


try:  # private, and twenty times as fast: docs/decisions/0016 says what if it moves
    from jh2._hazmat import Decoder
except ImportError:
    Decoder = SlowDecoder

_STATIC_NAMES: Final = {b":authority": 1}
_FIRST_DYNAMIC: Final = 62
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


class FieldTable:
    """The table of what one connection has sent, and fields written by it, in the order sent."""

    def __init__(self) -> None:
        self._entries: dict[tuple[bytes, bytes], int] = {}
        self._size = 0
        self._max_size = DEFAULT_TABLE_SIZE
        self._resize = b""

    def __len__(self) -> int:
        return len(self._entries)

    def set_size(self, size: int) -> None:
        """Follow the server's SETTINGS_HEADER_TABLE_SIZE: empty the table, and say so next time.

        Shrinking to nothing first is always allowed and spares us evictions (section 4.2).
        """
        self._max_size = min(size, DEFAULT_TABLE_SIZE)
        self._resize = integer(0, 5, 0x20) + integer(self._max_size, 5, 0x20)
        self._entries.clear()
        self._size = 0

    def take_resize(self) -> bytes:
        """What the next block must begin with: a change of the table's size, or nothing."""
        resize, self._resize = self._resize, b""
        return resize

    def field(self, name: bytes, value: bytes, *, once: bool = False) -> bytes:
        """A field as an index, or a literal that becomes one unless it is for `once`."""
        at = self._entries.get((name, value))
        if at is not None:
            return integer(_FIRST_DYNAMIC + len(self._entries) - 1 - at, 7, 0x80)
        size = 32 + len(name) + len(value)
        static = _STATIC_NAMES.get(name, 0)
        if not once and self._size + size <= self._max_size:
            self._entries[name, value] = len(self._entries)
            self._size += size
            lead = integer(static, 6, 0x40)
        else:
            lead = integer(static, 4)
        return lead + (b"" if static else text(name)) + text(value)


class FieldDecoder:
    """The server's header blocks, in the order in which they arrive; `maker` makes a decoder."""

    def __init__(self, maker: Callable[[int], Any] = Decoder) -> None:
        self._decoder = maker(_MAX_HEADER_LIST)

    def decode(self, block: bytes) -> Block:
        """Names and values. A block that cannot be decoded ends the connection (section 2.2)."""
        try:
            return self._decoder.decode(block, True)  # type: ignore[no-any-return]
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a truncated block is a Rust panic in jh2
            raise WireError(COMPRESSION_ERROR, f"header block not understood: {error}") from None
