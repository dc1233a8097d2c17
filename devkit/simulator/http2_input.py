"""The receiving half: bytes into frames, strictly. Source: RFC 9113, sections 4 to 6."""

from collections.abc import Iterator
from dataclasses import dataclass

from devkit.simulator import frames
from devkit.simulator.frames import ErrorCode, Kind
from devkit.simulator.streams import ConnectionViolation


@dataclass(slots=True)
class Frame:
    """One received frame; HEADERS come whole, their CONTINUATIONs joined, padding removed.

    `flow` is the size that counts against the windows (DATA with its padding).
    """

    kind: int
    flags: int
    stream_id: int
    payload: bytes
    flow: int = 0


_SIZES = {
    Kind.PRIORITY: 5,
    Kind.RST_STREAM: 4,
    Kind.PING: 8,
    Kind.WINDOW_UPDATE: 4,
}
_ON_STREAM = {Kind.DATA, Kind.HEADERS, Kind.PRIORITY, Kind.RST_STREAM, Kind.CONTINUATION}
_ON_CONNECTION = {Kind.SETTINGS, Kind.PING, Kind.GOAWAY}
_LARGEST_HEADER_BLOCK = 64 * 1024
_MOST_CONTINUATIONS = 128
_PRIORITY_SIZE = 5
_GOAWAY_SIZE = 8


class Input:
    """Cuts received bytes into frames; raises ConnectionViolation for what HTTP/2 forbids."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._preface_seen = False
        self._settings_seen = False
        self._headers: Frame | None = None
        self._continuations = 0
        self.max_frame_size = frames.DEFAULT_FRAME_SIZE

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Give the frames that `data` completes."""
        buffer = self._buffer
        buffer += data
        if not self._preface_seen and not self._take_preface():
            return
        position = 0
        try:
            while len(buffer) - position >= frames.HEADER_SIZE:
                size, kind, flags, stream_id = frames.parse_header(buffer, position)
                if size > self.max_frame_size:
                    raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, f"frame of {size} bytes")
                end = position + frames.HEADER_SIZE + size
                if end > len(buffer):
                    break
                payload = bytes(buffer[position + frames.HEADER_SIZE : end])
                position = end
                complete = self._assemble(kind, flags, stream_id, payload)
                if complete is not None:
                    yield complete
        finally:
            del buffer[:position]

    def _take_preface(self) -> bool:
        wanted = frames.PREFACE
        seen = bytes(self._buffer[: len(wanted)])
        if not wanted.startswith(seen):
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 connection preface")
        if len(seen) < len(wanted):
            return False
        del self._buffer[: len(wanted)]
        self._preface_seen = True
        return True

    def _check_first(self, kind: int, flags: int) -> None:
        if not self._settings_seen and (kind != Kind.SETTINGS or flags & frames.ACK):
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        self._settings_seen = True

    def _assemble(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Frame | None:
        self._check_first(kind, flags)
        _check_place(kind, stream_id, len(payload))
        if self._headers is not None:
            return self._continue(kind, flags, stream_id, payload)
        if kind == Kind.CONTINUATION:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        flow = len(payload)
        if kind in (Kind.DATA, Kind.HEADERS):
            payload = _unpad(flags, payload)
        if kind == Kind.HEADERS:
            if flags & frames.PRIORITY_FLAG:
                _check_priority(stream_id, payload)
                payload = payload[_PRIORITY_SIZE:]
            received = Frame(kind, flags, stream_id, payload, flow)
            if flags & frames.END_HEADERS:
                return received
            self._headers = received
            self._continuations = 0
            return None
        if kind == Kind.PRIORITY:
            _check_priority(stream_id, payload)
        elif kind == Kind.SETTINGS and flags & frames.ACK and payload:
            raise ConnectionViolation(
                ErrorCode.FRAME_SIZE_ERROR, "a SETTINGS acknowledgement with a payload"
            )
        return Frame(kind, flags, stream_id, payload, flow)

    def _continue(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Frame | None:
        begun = self._headers
        assert begun is not None
        if kind != Kind.CONTINUATION or stream_id != begun.stream_id:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted")
        begun.payload += payload
        self._continuations += 1
        if len(begun.payload) > _LARGEST_HEADER_BLOCK or self._continuations > _MOST_CONTINUATIONS:
            raise ConnectionViolation(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")
        if not flags & frames.END_HEADERS:
            return None
        self._headers = None
        return begun


def _check_place(kind: int, stream_id: int, size: int) -> None:
    if kind in _ON_STREAM and stream_id % 2 == 0:
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, f"frame {kind} on stream {stream_id}")
    if kind in _ON_CONNECTION and stream_id != 0:
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, f"frame {kind} on stream {stream_id}")
    if kind == Kind.PUSH_PROMISE:
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")
    wanted = _SIZES.get(Kind(kind)) if kind <= Kind.CONTINUATION else None
    if wanted is not None and size != wanted:
        raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, f"frame {kind} of {size} bytes")
    if kind == Kind.SETTINGS and size % 6:
        raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, f"SETTINGS of {size} bytes")
    if kind == Kind.GOAWAY and size < _GOAWAY_SIZE:
        raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, f"GOAWAY of {size} bytes")


def _check_priority(stream_id: int, payload: bytes) -> None:
    """Refuse a stream that depends on itself (RFC 7540, 5.3.1; deprecated, and still nonsense)."""
    if len(payload) < _PRIORITY_SIZE:
        raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without its priority")
    if int.from_bytes(payload[:4], "big") & 0x7FFFFFFF == stream_id:
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")


def _unpad(flags: int, payload: bytes) -> bytes:
    if not flags & frames.PADDED:
        return payload
    if not payload:
        raise ConnectionViolation(ErrorCode.FRAME_SIZE_ERROR, "a padded frame of no bytes")
    if payload[0] >= len(payload):
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]
