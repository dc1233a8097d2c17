"""The sending half of an HTTP/2 server connection: frames out, within the peer's windows."""

from collections import deque
from collections.abc import Mapping, Sequence

from jh2._hazmat import Encoder

from devkit.simulator import frames
from devkit.simulator.frames import Kind, Setting
from devkit.simulator.streams import ConnectionViolation, Stream


class Output:
    """Queues frames as bytes; `take()` hands over what is ready to go.

    DATA waits for the peer's flow-control windows, which a client that never sends WINDOW_UPDATE
    will come to feel (RFC 9113, 5.2).
    """

    def __init__(self) -> None:
        self._ready: list[bytes] = []
        self._encoder = Encoder()
        self._blocked: deque[Stream] = deque()
        self.window = frames.DEFAULT_WINDOW
        self.initial_window = frames.DEFAULT_WINDOW
        self.max_frame_size = frames.DEFAULT_FRAME_SIZE

    def take(self) -> bytes:
        """Give all bytes that are ready, and forget them."""
        if not self._ready:
            return b""
        data = b"".join(self._ready)
        self._ready.clear()
        return data

    def raw(self, data: bytes) -> None:
        """Queue bytes as they are: a built frame, or nonsense."""
        self._ready.append(data)

    def settings(self, values: Mapping[Setting, int]) -> None:
        """Queue a SETTINGS frame."""
        self._ready.append(frames.settings(values))

    def headers(self, stream: Stream, fields: Sequence[tuple[bytes, bytes]], *, end: bool) -> None:
        """Queue a response's header block; only `:status` may enter the compression table."""
        block = bytes(self._encoder.encode([(n, v, n != b":status") for n, v in fields]))
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        first, rest = block[: self.max_frame_size], block[self.max_frame_size :]
        if not rest:
            self._ready.append(frames.frame(Kind.HEADERS, flags, stream.number, first))
        else:
            flags &= ~frames.END_HEADERS
            self._ready.append(frames.frame(Kind.HEADERS, flags, stream.number, first))
            self._continue(stream.number, rest)
        stream.local_ended = stream.local_ended or end

    def _continue(self, number: int, rest: bytes) -> None:
        while rest:
            piece, rest = rest[: self.max_frame_size], rest[self.max_frame_size :]
            flags = 0 if rest else frames.END_HEADERS
            self._ready.append(frames.frame(Kind.CONTINUATION, flags, number, piece))

    def data(self, stream: Stream, body: bytes, *, end: bool) -> None:
        """Queue body; what the windows hold back goes out when they open."""
        stream.waiting.append((body, end))
        if len(stream.waiting) == 1 and not self._pump(stream):
            self._blocked.append(stream)

    def _pump(self, stream: Stream) -> bool:
        """Send of a stream what the windows allow; tell whether nothing waits any more."""
        while stream.waiting:
            body, end = stream.waiting[0]
            room = min(self.window, stream.send_window, self.max_frame_size)
            if body and room <= 0:
                return False
            piece, rest = body[: max(room, 0)], body[max(room, 0) :]
            self.window -= len(piece)
            stream.send_window -= len(piece)
            last = end and not rest
            flags = frames.END_STREAM if last else 0
            self._ready.append(frames.frame(Kind.DATA, flags, stream.number, piece))
            if rest:
                stream.waiting[0] = (rest, end)
                continue
            stream.waiting.popleft()
            stream.local_ended = stream.local_ended or last
        return True

    def forget(self, stream: Stream) -> None:
        """Drop what still waits for a stream that is gone."""
        stream.waiting.clear()

    def window_opened(self, stream: Stream | None, increment: int) -> list[Stream]:
        """Take in a WINDOW_UPDATE (None: the connection's); give the streams that it ended."""
        if stream is None:
            self.window += increment
            if self.window > frames.LARGEST_WINDOW:
                raise ConnectionViolation(
                    frames.ErrorCode.FLOW_CONTROL_ERROR, "the connection window overflows"
                )
        else:
            stream.send_window += increment
        return self._pump_all()

    def peer_settings(self, values: Mapping[int, int], streams: Sequence[Stream]) -> list[Stream]:
        """Take in the peer's SETTINGS; give the streams that they let end (RFC 9113, 6.5.2)."""
        if Setting.HEADER_TABLE_SIZE in values:
            self._encoder.header_table_size = min(values[Setting.HEADER_TABLE_SIZE], 4096)
        if Setting.MAX_FRAME_SIZE in values:
            self.max_frame_size = values[Setting.MAX_FRAME_SIZE]
        if Setting.INITIAL_WINDOW_SIZE in values:
            change = values[Setting.INITIAL_WINDOW_SIZE] - self.initial_window
            self.initial_window = values[Setting.INITIAL_WINDOW_SIZE]
            for stream in streams:
                stream.send_window += change
                if stream.send_window > frames.LARGEST_WINDOW:
                    raise ConnectionViolation(
                        frames.ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS make a window overflow"
                    )
        return self._pump_all()

    def _pump_all(self) -> list[Stream]:
        ended = []
        for _ in range(len(self._blocked)):
            stream = self._blocked.popleft()
            if not self._pump(stream):
                self._blocked.append(stream)
            elif stream.local_ended:
                ended.append(stream)
        return ended
