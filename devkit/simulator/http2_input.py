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


class Input:
    """Cuts received bytes into frames; raises ConnectionViolation for what HTTP/2 forbids."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._preface_seen = False
        self._headers: Frame | None = None
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

    def _assemble(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Frame | None:
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
                payload = payload[5:]
            received = Frame(kind, flags, stream_id, payload, flow)
            if flags & frames.END_HEADERS:
                return received
            self._headers = received
            return None
        return Frame(kind, flags, stream_id, payload, flow)

    def _continue(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Frame | None:
        begun = self._headers
        assert begun is not None
        if kind != Kind.CONTINUATION or stream_id != begun.stream_id:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted")
        begun.payload += payload
        if len(begun.payload) > _LARGEST_HEADER_BLOCK:
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


def _unpad(flags: int, payload: bytes) -> bytes:
    if not flags & frames.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]
