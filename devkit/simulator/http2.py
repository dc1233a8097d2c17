"""The server's side of one HTTP/2 connection, without I/O. Source: RFC 9113.

Correct by default; a `Habits` value makes it withhold what a correct server would send.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from devkit.simulator import frames
from devkit.simulator.field_rules import check_length, check_request, check_trailers
from devkit.simulator.frames import ErrorCode, Kind, Setting
from devkit.simulator.hpack import BlockDecoder
from devkit.simulator.http2_input import Frame, Input
from devkit.simulator.http2_output import Output
from devkit.simulator.streams import (
    ClosedStreams,
    ConnectionViolation,
    Header,
    Stream,
    StreamViolation,
)


@dataclass(frozen=True, slots=True)
class Habits:
    """What a connection does on its own; each can be turned off to play a fault."""

    refill_connection_window: bool = True
    refill_stream_windows: bool = True
    answer_pings: bool = True
    acknowledge_settings: bool = True


class Listener(Protocol):
    """Who is told what happens on the connection."""

    def on_headers(self, stream: Stream) -> None: ...
    def on_request(self, stream: Stream) -> None: ...
    def on_peer_reset(self, stream: Stream, code: int) -> None: ...
    def on_refused(self, *, limit_known: bool) -> None: ...
    def on_ping(self, *, ack: bool, data: bytes) -> None: ...
    def on_violation(self, violation: ConnectionViolation | StreamViolation) -> None: ...


class Http2:
    """Streams, windows and settings of one connection.

    Bytes go in by `receive`, what happened comes out through the listener, and answers are
    queued on `output`.
    """

    def __init__(self, listener: Listener, habits: Habits) -> None:
        self._listener = listener
        self.habits = habits
        self.output = Output()
        self._input = Input()
        self._decoder = BlockDecoder()
        self.streams: dict[int, Stream] = {}
        self._closed = ClosedStreams()
        self.last_stream_id = 0
        self.refuse_above: int | None = None
        self.settings: dict[Setting, int] = {Setting.INITIAL_WINDOW_SIZE: frames.DEFAULT_WINDOW}
        self._unacknowledged: list[dict[Setting, int]] = []
        self._acknowledged: dict[Setting, int] = dict(self.settings)
        self._receive_window = frames.DEFAULT_WINDOW
        self._unrefilled = 0
        self._peer_goaway = frames.LARGEST_STREAM
        self._handlers = {
            int(Kind.DATA): self._data,
            int(Kind.HEADERS): self._headers,
            int(Kind.RST_STREAM): self._rst_stream,
            int(Kind.SETTINGS): self._settings,
            int(Kind.PING): self._ping,
            int(Kind.GOAWAY): self._goaway,
            int(Kind.WINDOW_UPDATE): self._window_update,
        }

    def send_settings(self, values: Mapping[Setting, int]) -> None:
        """Announce settings; the windows follow when the peer has acknowledged them."""
        self.settings.update(values)
        self._unacknowledged.append(dict(values))
        self.output.settings(values)

    def receive(self, data: bytes) -> None:
        """Take in bytes; raises ConnectionViolation, after which the connection must end."""
        for received in self._input.feed(data):
            handler = self._handlers.get(received.kind)
            if handler is None:
                continue  # PRIORITY and unknown types ask nothing of a server.
            try:
                handler(received)
            except StreamViolation as violation:
                self.reset(violation.stream_id, violation.code)
                self._listener.on_violation(violation)
            if received.kind <= Kind.HEADERS and received.flags & frames.END_STREAM:
                self._closed.peer_ended(received.stream_id)

    def reset(self, stream_id: int, code: int) -> None:
        """Send RST_STREAM and forget the stream."""
        self.drop(stream_id)
        self.output.raw(frames.rst_stream(stream_id, code))

    def drop(self, stream_id: int) -> None:
        """Forget a stream without a word; what still comes on it is discarded."""
        stream = self.streams.pop(stream_id, None)
        if stream is not None:
            self.output.forget(stream)
        if stream is None or not stream.remote_ended:
            self._closed.give_up(stream_id)

    def finish(self, stream: Stream) -> None:
        """Forget a stream whose two sides have ended."""
        if stream.local_ended and not stream.waiting:
            if not stream.remote_ended:
                # RFC 9113, 8.1: a whole answer before the whole request.
                self.output.raw(frames.rst_stream(stream.number, ErrorCode.NO_ERROR))
                self._closed.give_up(stream.number)
            self.streams.pop(stream.number, None)

    def _headers(self, received: Frame) -> None:
        headers = self._decoder.decode(received.payload)
        ended = bool(received.flags & frames.END_STREAM)
        number = received.stream_id
        stream = self.streams.get(number)
        if stream is not None:
            self._trailers(stream, headers, ended=ended)
        elif number <= self.last_stream_id:
            self._closed.discard(number, "HEADERS")
        else:
            self.last_stream_id = number
            stream = self._open(number, headers)
            if stream is not None:
                self._listener.on_headers(stream)
                if ended:
                    self._end(stream)

    def _trailers(self, stream: Stream, headers: list[Header], *, ended: bool) -> None:
        if stream.remote_ended:
            raise StreamViolation(stream.number, ErrorCode.STREAM_CLOSED, "HEADERS after the end")
        if not ended:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "HEADERS inside a request")
        check_trailers(stream.number, headers)
        self._end(stream)

    def _open(self, stream_id: int, headers: list[Header]) -> Stream | None:
        if self.refuse_above is not None and stream_id > self.refuse_above:
            self._closed.give_up(stream_id)
            return None  # RFC 9113, 6.8: after GOAWAY such frames are ignored.
        limit = self.settings.get(Setting.MAX_CONCURRENT_STREAMS)
        if limit is not None and len(self.streams) >= limit:
            known = self._acknowledged.get(Setting.MAX_CONCURRENT_STREAMS, 2**31)
            self.reset(stream_id, ErrorCode.REFUSED_STREAM)
            self._listener.on_refused(limit_known=len(self.streams) >= known)
            return None
        largest = self.settings.get(Setting.MAX_HEADER_LIST_SIZE)
        length = check_request(stream_id, headers, largest)
        window = self._acknowledged[Setting.INITIAL_WINDOW_SIZE]
        stream = Stream(stream_id, self.output.initial_window, window, headers)
        stream.content_length = length
        self.streams[stream_id] = stream
        return stream

    def _data(self, received: Frame) -> None:
        self._receive_window -= received.flow
        if self._receive_window < 0:
            raise ConnectionViolation(ErrorCode.FLOW_CONTROL_ERROR, "connection window exceeded")
        self._refill_connection(received.flow)
        stream = self.streams.get(received.stream_id)
        if stream is None:
            if received.stream_id > self.last_stream_id:
                raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "DATA on an idle stream")
            self._closed.discard(received.stream_id, "DATA")
            return
        if stream.remote_ended:
            raise StreamViolation(stream.number, ErrorCode.STREAM_CLOSED, "DATA after the end")
        stream.receive_window -= received.flow
        if stream.receive_window < 0:
            raise StreamViolation(
                stream.number, ErrorCode.FLOW_CONTROL_ERROR, "stream window exceeded"
            )
        stream.keep(received.payload)
        check_length(stream, ended=False)
        if received.flags & frames.END_STREAM:
            self._end(stream)
        else:
            self._refill_stream(stream, received.flow)

    def _refill_connection(self, size: int) -> None:
        if not self.habits.refill_connection_window:
            return
        self._unrefilled += size
        if self._unrefilled >= frames.DEFAULT_WINDOW // 2:
            self.output.raw(frames.window_update(0, self._unrefilled))
            self._receive_window += self._unrefilled
            self._unrefilled = 0

    def _refill_stream(self, stream: Stream, size: int) -> None:
        if not self.habits.refill_stream_windows:
            return
        stream.unrefilled += size
        if stream.unrefilled * 2 >= self._acknowledged[Setting.INITIAL_WINDOW_SIZE]:
            self.output.raw(frames.window_update(stream.number, stream.unrefilled))
            stream.receive_window += stream.unrefilled
            stream.unrefilled = 0

    def _end(self, stream: Stream) -> None:
        stream.remote_ended = True
        check_length(stream, ended=True)
        self._listener.on_request(stream)

    def _rst_stream(self, received: Frame) -> None:
        stream = self.streams.pop(received.stream_id, None)
        if stream is not None:
            self.output.forget(stream)
            self._listener.on_peer_reset(stream, int.from_bytes(received.payload, "big"))
        elif received.stream_id > self.last_stream_id:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on an idle stream")
        self._closed.peer_reset(received.stream_id)

    def _settings(self, received: Frame) -> None:
        if received.flags & frames.ACK:
            self._settings_acknowledged()
            return
        pairs = frames.parse_settings(received.payload)
        for key, value in pairs:
            _check_setting(key, value)
        values = dict(pairs)
        if self.habits.acknowledge_settings:
            # First: until then the peer holds us to its old windows (RFC 9113, 6.5.3).
            self.output.raw(frames.SETTINGS_ACK)
        for stream in self.output.peer_settings(values, list(self.streams.values())):
            self.finish(stream)

    def _settings_acknowledged(self) -> None:
        if not self._unacknowledged:
            return
        values = self._unacknowledged.pop(0)
        before = self._acknowledged[Setting.INITIAL_WINDOW_SIZE]
        self._acknowledged.update(values)
        change = self._acknowledged[Setting.INITIAL_WINDOW_SIZE] - before
        for stream in self.streams.values():
            stream.receive_window += change
        if Setting.MAX_FRAME_SIZE in values:
            self._input.max_frame_size = values[Setting.MAX_FRAME_SIZE]
        if Setting.HEADER_TABLE_SIZE in values:
            self._decoder.limit_table(values[Setting.HEADER_TABLE_SIZE])

    def _ping(self, received: Frame) -> None:
        ack = bool(received.flags & frames.ACK)
        if not ack and self.habits.answer_pings:
            self.output.raw(frames.ping(received.payload, ack=True))
        self._listener.on_ping(ack=ack, data=received.payload)

    def _goaway(self, received: Frame) -> None:
        last = int.from_bytes(received.payload[:4], "big") & frames.LARGEST_STREAM
        if last > self._peer_goaway:
            raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "a GOAWAY that takes back another")
        self._peer_goaway = last

    def _window_update(self, received: Frame) -> None:
        (increment,) = struct.unpack(">I", received.payload)
        increment &= frames.LARGEST_WINDOW
        if received.stream_id == 0:
            if increment == 0:
                raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            ended = self.output.window_opened(None, increment)
        else:
            if received.stream_id % 2 == 0 or received.stream_id > self.last_stream_id:
                raise ConnectionViolation(
                    ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream"
                )
            stream = self.streams.get(received.stream_id)
            if stream is None:
                return
            if increment == 0:
                raise StreamViolation(stream.number, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            if stream.send_window + increment > frames.LARGEST_WINDOW:
                raise StreamViolation(
                    stream.number, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window overflows"
                )
            ended = self.output.window_opened(stream, increment)
        for stream in ended:
            self.finish(stream)


def _check_setting(key: int, value: int) -> None:
    """Refuse a value that RFC 9113, 6.5.2 forbids; unknown settings are ignored."""
    if key == Setting.ENABLE_PUSH and value not in (0, 1):
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
    if key == Setting.INITIAL_WINDOW_SIZE and value > frames.LARGEST_WINDOW:
        raise ConnectionViolation(ErrorCode.FLOW_CONTROL_ERROR, "initial window too large")
    if key == Setting.MAX_FRAME_SIZE and not frames.DEFAULT_FRAME_SIZE <= value < 2**24:
        raise ConnectionViolation(ErrorCode.PROTOCOL_ERROR, "max frame size out of range")
