"""Header blocks from the client, as strict as RFC 7541 is.

The library decodes; what it lets pass is looked at here: a table size update that is late or
missing (sections 4.2, 6.3; RFC 9113, 4.3.1) and Huffman padding that is none (5.2).
"""

from jh2._hazmat import Decoder

from devkit.simulator.frames import ErrorCode
from devkit.simulator.streams import ConnectionViolation, Header

LARGEST_LIST = 64 * 1024
"""Bytes of a header list, counted as RFC 9113, 6.5.2 does, at which a connection is given up."""

_CODE_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b"
    "080606060505050606060606060607080f060c0a0d0607070707070707070707070707070707070707070707"
    "0807080d130d0e060f05060506050606060507070606060506070605050607070707070f0b0e0d1c14161414"
    "1616161716171717171718171818161718171717171516171617171816151416161717151716161815161717"
    "151516151716171714161616171616171a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a"
    "1c1b1b1b14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
)
"""Bits of each byte's Huffman code (RFC 7541, appendix B)."""


class BlockDecoder:
    """The header blocks of one connection, in the order in which they arrive."""

    def __init__(self) -> None:
        self._decoder = Decoder(LARGEST_LIST)
        self._owed: int | None = None

    def limit_table(self, size: int) -> None:
        """The client has acknowledged a SETTINGS_HEADER_TABLE_SIZE of ours."""
        if size < self._decoder.header_table_size:
            self._owed = size if self._owed is None else min(size, self._owed)
        self._decoder.max_allowed_table_size = size

    def decode(self, block: bytes) -> list[Header]:
        """Give names and values; raises ConnectionViolation for what RFC 7541 forbids."""
        try:
            fields = self._decoder.decode(block, True)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a truncated block is a Rust panic in jh2
            raise ConnectionViolation(ErrorCode.COMPRESSION_ERROR, str(error)) from error
        updates = _table_updates(block, fields)
        if self._owed is not None:
            if not updates or min(updates) > self._owed:
                raise _broken("no table size update after a smaller table was acknowledged")
            self._owed = None
        return [(str(name, "latin-1"), str(value, "latin-1")) for name, value, _ in fields]


def _table_updates(block: bytes, fields: list[tuple[bytes, bytes, bool]]) -> list[int]:
    """Walk a block that was decoded into `fields`; give the table sizes it begins with."""
    updates: list[int] = []
    at = seen = 0
    while at < len(block):
        first = block[at]
        if first >= 0x80:  # an indexed field
            _, at = _integer(block, at, 0x7F)
            seen += 1
        elif first & 0xE0 == 0x20:
            size, at = _integer(block, at, 0x1F)
            if seen:
                raise _broken("a table size update after a field")
            updates.append(size)
        else:
            index, at = _integer(block, at, 0x3F if first & 0x40 else 0x0F)
            name, value, _ = fields[seen]
            if not index:
                at = _string(block, at, name)
            at = _string(block, at, value)
            seen += 1
    if len(updates) > 2:
        raise _broken("more than two table size updates")
    return updates


def _integer(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    """Read an integer (section 5.1): its value, and where it ends."""
    value = block[at] & prefix
    at += 1
    if value < prefix:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _string(block: bytes, at: int, decoded: bytes) -> int:
    """Look at a string's padding (section 5.2); give where it ends."""
    huffman = block[at] & 0x80
    size, at = _integer(block, at, 0x7F)
    end = at + size
    if huffman and size:
        padding = 8 * size - sum(map(_CODE_LENGTHS.__getitem__, decoded))
        ones = (1 << max(padding, 0)) - 1
        if padding > 7 or block[end - 1] & ones != ones:
            raise _broken("Huffman padding that is none")
    return end


def _broken(what: str) -> ConnectionViolation:
    return ConnectionViolation(ErrorCode.COMPRESSION_ERROR, what)
