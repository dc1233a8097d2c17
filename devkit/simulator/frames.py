"""HTTP/2 frames as bytes, both ways. Source: RFC 9113, sections 4 and 6.

The simulator frames HTTP/2 by hand, because it has to send what a correct library refuses to.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_SIZE = 9
DEFAULT_WINDOW = 65_535
LARGEST_WINDOW = 2**31 - 1
LARGEST_STREAM = 2**31 - 1
DEFAULT_FRAME_SIZE = 16_384
DEFAULT_TABLE_SIZE = 4_096
_HEADER = struct.Struct(">HBBBI")


class Kind(IntEnum):
    """Frame types."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20


class Setting(IntEnum):
    """SETTINGS parameters, named as in the control API in lower case."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Error codes of RST_STREAM and GOAWAY."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


def error_name(code: int) -> str:
    """Name an error code: `REFUSED_STREAM`, or `0x2a` for one that HTTP/2 does not know."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return hex(code)


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Build one frame."""
    size = len(payload)
    return _HEADER.pack(size >> 8, size & 0xFF, kind, flags, stream_id) + payload


def parse_header(data: bytes | bytearray, position: int) -> tuple[int, int, int, int]:
    """Read (payload size, type, flags, stream id) from the nine bytes at `position`."""
    high, low, kind, flags, stream_id = _HEADER.unpack_from(data, position)
    return high << 8 | low, kind, flags, stream_id & 0x7FFFFFFF


def settings(values: Mapping[Setting, int]) -> bytes:
    """Build a SETTINGS frame."""
    payload = b"".join(struct.pack(">HI", key, value) for key, value in values.items())
    return frame(Kind.SETTINGS, 0, 0, payload)


def parse_settings(payload: bytes) -> list[tuple[int, int]]:
    """Read a SETTINGS payload, whose size must be a multiple of six: pairs in their order."""
    return list(struct.iter_unpack(">HI", payload))


SETTINGS_ACK = frame(Kind.SETTINGS, ACK, 0)


def rst_stream(stream_id: int, code: int) -> bytes:
    """Build a RST_STREAM frame."""
    return frame(Kind.RST_STREAM, 0, stream_id, struct.pack(">I", code))


def ping(data: bytes, *, ack: bool = False) -> bytes:
    """Build a PING frame from eight bytes."""
    return frame(Kind.PING, ACK if ack else 0, 0, data)


def goaway(last_stream_id: int, code: int, debug: bytes = b"") -> bytes:
    """Build a GOAWAY frame."""
    return frame(Kind.GOAWAY, 0, 0, struct.pack(">II", last_stream_id, code) + debug)


def window_update(stream_id: int, increment: int) -> bytes:
    """Build a WINDOW_UPDATE frame."""
    return frame(Kind.WINDOW_UPDATE, 0, stream_id, struct.pack(">I", increment))
