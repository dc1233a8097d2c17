"""HTTP/2 on one connection, for a client that only ever posts: frames in, frames out.

Knows settings, pings, windows and header blocks. What concerns streams is told to one listener,
what concerns the connection as a whole to another. Whatever the server sends, memory is bounded:
frames by 16 KB, header blocks by 64 KB, acknowledgements that it does not read by 1 MB.

Source: RFC 9113 sections 3.4, 4, 5.4, 6.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final, NoReturn, Protocol, cast

from app.http2 import frames as f
from app.http2.frames import HEAD, WireError
from app.http2.head import Block
from app.http2.hpack import FieldDecoder

_OUR_WINDOW: Final = 1 << 20
_MAX_BLOCK: Final = 65_536
_MAX_BLOCK_FRAMES: Final = 64
_LARGEST_HEAD: Final = f.DEFAULT_FRAME_SIZE << 8 | 0xFF
_MAX_UNREAD_OUTPUT: Final = 1 << 20
_ALL_OF_IT: Final = f.END_HEADERS | f.END_STREAM
_HELLO: Final = (
    f.PREFACE
    + f.settings((f.ENABLE_PUSH, 0), (f.MAX_HEADER_LIST_SIZE, _MAX_BLOCK))
    + f.window_update(0, _OUR_WINDOW - f.DEFAULT_WINDOW)
)


class StreamListener(Protocol):
    """Who is told what the server does on streams, and whether what was written may go."""

    def on_headers(self, stream: int, block: Block, end: bool) -> None:
        """A stream's header block, complete."""

    def on_data(self, stream: int, data: bytes, end: bool) -> None:
        """Part of a stream's body, without padding; the connection's window is seen to."""

    def on_reset(self, stream: int, code: int) -> None:
        """The server ended this stream."""

    def on_room(self, stream: int, increment: int) -> None:
        """More may be sent: on this stream, or on the connection for stream 0."""

    def on_flush(self) -> bool:
        """All that was written until now goes out, unless this says False."""


class WireListener(Protocol):
    """Who is told what becomes of the connection."""

    def on_open(self) -> None:
        """The transport is there."""

    def on_older(self, transport: asyncio.Transport) -> bool:
        """The server has not chosen HTTP/2; False: it is not to be spoken to in anything older."""

    def on_goaway(self, last_stream: int, code: int, debug: bytes) -> None:
        """The server takes no streams above this one."""

    def on_settings(self, table_size: int | None) -> None:
        """The server's settings have changed."""

    def on_end(self, cause: str) -> None:
        """The connection is of no more use; called once."""

    def on_closed(self) -> None:
        """The transport is gone."""


class Wire(asyncio.Protocol):
    """The connection part of HTTP/2; `streams` and `listener` are set before it is connected."""

    streams: StreamListener
    listener: WireListener

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.ended: str | None = None
        self.closed: asyncio.Future[None] = loop.create_future()
        self.max_streams = f.LARGEST_STREAM
        self.initial_window = f.DEFAULT_WINDOW
        self.max_frame = f.DEFAULT_FRAME_SIZE
        self.send_window = f.DEFAULT_WINDOW
        self.paused = False
        self.last_heard = 0.0
        self.pong_due: float | None = None
        self.stalled_since: float | None = None
        self._received = 0
        self._in = b""
        self._out: list[bytes] = []
        self._unread = 0
        self._flush_due = False
        self._decoder = FieldDecoder()
        self._block = b""
        self._block_stream = 0
        self._block_frames = 0
        self._block_ends_stream = False

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello, if the server speaks HTTP/2 at all (Apple: ALPN is required)."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but type
        self.last_heard = self.loop.time()
        self.listener.on_open()
        tls = self.transport.get_extra_info("ssl_object")
        if tls is None or tls.selected_alpn_protocol() != "h2":
            if tls is None or not self.listener.on_older(self.transport):
                self.end("the server did not choose h2 by ALPN", abort=True)
            return
        self.transport.write(_HELLO)

    def data_received(self, data: bytes) -> None:
        """Take whole frames from what has come, keep the rest."""
        if self.ended is not None:
            return
        self.last_heard = self.loop.time()
        if self._in:
            data = self._in + data
        at, size, unpack = 0, len(data), HEAD.unpack_from
        try:
            while size - at >= f.HEAD_SIZE and not self.is_over():
                head, flags, stream = unpack(data, at)
                stop = at + f.HEAD_SIZE + (head >> 8)
                if head > _LARGEST_HEAD:
                    _refuse_size()
                if stop > size:
                    break
                stream &= f.LARGEST_STREAM
                kind, payload = head & 0xFF, data[at + 9 : stop]
                plain = kind == f.HEADERS and flags == _ALL_OF_IT and not self._block_stream
                if plain and self.greeted.done():
                    self.streams.on_headers(stream, self._decoder.decode(payload), True)
                else:
                    self._take(kind, flags, stream, payload)
                at = stop
        except WireError as error:
            self.write(f.goaway(error.code))
            self.end(f"the server broke HTTP/2: {error} ({f.error_name(error.code)})")
            return
        self._in = b"" if self.is_over() else data[at:]

    def is_over(self) -> bool:
        """Whether this connection has ended, for whatever cause."""
        return self.ended is not None

    def eof_received(self) -> bool:
        """The server says no more; TLS cannot be half open, so the transport closes."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self.transport = None
        self.listener.on_closed()
        self.end(f"connection lost: {exc}" if exc else "the server closed the connection")
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        """The transport's buffer is above its high-water mark: open no more streams."""
        self.paused = True

    def resume_writing(self) -> None:
        """The buffer has drained."""
        self.paused = False
        self._unread = 0
        self.streams.on_room(0, 0)

    # Writing: one write to TLS for all that one turn of the loop has produced.

    def write(self, *chunks: bytes) -> None:
        """Send these bytes at the end of this turn of the loop."""
        self._out += chunks
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand everything to the transport now."""
        self._flush_due = False
        if not self._out:
            return
        if self.transport is None or self.transport.is_closing():
            self._out.clear()
            return
        if not self.streams.on_flush():
            self.end("what was written had waited too long", abort=True)
            return
        out = b"".join(self._out)
        self._out.clear()
        if self.paused:
            # No streams are opened now, so this is acknowledgements that the server provokes.
            self._unread += len(out)
            if self._unread > _MAX_UNREAD_OUTPUT:
                self.end("the server reads nothing", abort=True)
                return
        self.transport.write(out)

    def end(self, cause: str, *, abort: bool = False) -> None:
        """Conclude everything and close; `abort` for a peer from whom nothing is expected."""
        if self.ended is None:
            if not abort:
                self.flush()
            self._conclude(cause)
        if self.transport is not None:
            if abort:
                self.transport.abort()
            else:
                self.transport.close()

    def leave(self, cause: str) -> None:
        """Say goodbye, and end."""
        self.write(f.goaway(f.NO_ERROR))
        self.end(cause)

    def _conclude(self, cause: str) -> None:
        if self.ended is not None:
            return
        self.ended = cause
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError(cause))
            self.greeted.exception()  # whoever waits is told; nobody need
        self.listener.on_end(cause)
        self._out.clear()
        self._in = self._block = b""

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.pong_due = self.loop.time()
        self.write(f.frame(f.PING, 0, 0, b"ringline"))

    # Frames, one method a type.

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block_stream and kind != f.CONTINUATION:
            raise WireError(f.PROTOCOL_ERROR, "a header block was interrupted")
        if not self.greeted.done() and kind != f.SETTINGS:
            raise WireError(f.PROTOCOL_ERROR, "the first frame was not SETTINGS")
        handler = self._handlers.get(kind)
        if handler is not None:  # unknown types are ignored (section 4.1)
            handler(self, flags, stream, payload)

    def _take_data(self, flags: int, stream: int, payload: bytes) -> None:
        self._received += len(payload)  # padding counts (section 6.9.1)
        if self._received > _OUR_WINDOW:
            raise WireError(f.FLOW_CONTROL_ERROR, "more data than the window allows")
        if self._received >= _OUR_WINDOW // 2:
            self.write(f.window_update(0, self._received))
            self._received = 0
        self.streams.on_data(stream, f.unpadded(flags, payload), bool(flags & f.END_STREAM))

    def _take_headers(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & (f.PADDED | f.PRIORITISED):
            payload = f.unpadded(flags, payload)
            if flags & f.PRIORITISED:
                if len(payload) < 5:
                    raise WireError(f.FRAME_SIZE_ERROR, "a HEADERS frame too short")
                payload = payload[5:]
        end = bool(flags & f.END_STREAM)
        if flags & f.END_HEADERS:
            self.streams.on_headers(stream, self._decoder.decode(payload), end)
            return
        if stream == 0:
            raise WireError(f.PROTOCOL_ERROR, "HEADERS on stream 0")
        self._block, self._block_stream, self._block_frames = payload, stream, 1
        self._block_ends_stream = end

    def _take_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if stream != self._block_stream or not stream:
            raise WireError(f.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._block += payload
        self._block_frames += 1
        if len(self._block) > _MAX_BLOCK or self._block_frames > _MAX_BLOCK_FRAMES:
            raise WireError(f.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & f.END_HEADERS:
            block, self._block, self._block_stream = self._block, b"", 0
            self.streams.on_headers(stream, self._decoder.decode(block), self._block_ends_stream)

    def _take_rst_stream(self, _flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise WireError(f.FRAME_SIZE_ERROR, "a RST_STREAM of the wrong size")
        self.streams.on_reset(stream, f.U32.unpack(payload)[0])

    def _take_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise WireError(f.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & f.ACK:
            if payload:
                raise WireError(f.FRAME_SIZE_ERROR, "a SETTINGS acknowledgement with a payload")
            return
        if len(payload) % f.SETTING.size:
            raise WireError(f.FRAME_SIZE_ERROR, "a SETTINGS frame of the wrong size")
        table_size = None
        for key, value in f.SETTING.iter_unpack(payload):
            if key == f.HEADER_TABLE_SIZE:
                table_size = value
            else:
                self._set(key, value)
        self.write(f.frame(f.SETTINGS, f.ACK, 0))
        self.listener.on_settings(table_size)
        if not self.greeted.done():
            self.greeted.set_result(None)

    def _set(self, key: int, value: int) -> None:
        if key == f.MAX_CONCURRENT_STREAMS:
            self.max_streams = value
        elif key == f.INITIAL_WINDOW_SIZE:
            if value > f.LARGEST_WINDOW:
                raise WireError(f.FLOW_CONTROL_ERROR, "an initial window above 2^31-1")
            self.initial_window = value
        elif key == f.MAX_FRAME_SIZE:
            if not f.DEFAULT_FRAME_SIZE <= value <= f.LARGEST_FRAME_SIZE:
                raise WireError(f.PROTOCOL_ERROR, "a maximum frame size out of bounds")
            self.max_frame = value

    def _take_push_promise(self, _flags: int, _stream: int, _payload: bytes) -> None:
        raise WireError(f.PROTOCOL_ERROR, "a promise, though push is off")

    def _take_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) != 8:
            raise WireError(f.FRAME_SIZE_ERROR, "a PING of the wrong size")
        if flags & f.ACK:
            self.pong_due = None
        else:
            self.write(f.frame(f.PING, f.ACK, 0, payload))

    def _take_goaway(self, _flags: int, stream: int, payload: bytes) -> None:
        if stream or len(payload) < 8:
            raise WireError(f.FRAME_SIZE_ERROR, "a GOAWAY of the wrong size")
        last, code = f.GOAWAY_BODY.unpack_from(payload)
        self.listener.on_goaway(last & f.LARGEST_STREAM, code, payload[8:])

    def _take_window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise WireError(f.FRAME_SIZE_ERROR, "a WINDOW_UPDATE of the wrong size")
        increment = f.U32.unpack(payload)[0] & f.LARGEST_WINDOW
        if stream == 0:
            if not increment:
                raise WireError(f.PROTOCOL_ERROR, "a WINDOW_UPDATE of nothing")
            self.send_window += increment
            if self.send_window > f.LARGEST_WINDOW:
                raise WireError(f.FLOW_CONTROL_ERROR, "a window above 2^31-1")
            self.stalled_since = None
        self.streams.on_room(stream, increment)

    _handlers: ClassVar[dict[int, Callable[[Any, int, int, bytes], None]]] = {
        f.DATA: _take_data,
        f.HEADERS: _take_headers,
        f.RST_STREAM: _take_rst_stream,
        f.SETTINGS: _take_settings,
        f.PUSH_PROMISE: _take_push_promise,
        f.PING: _take_ping,
        f.GOAWAY: _take_goaway,
        f.WINDOW_UPDATE: _take_window_update,
        f.CONTINUATION: _take_continuation,
    }


def _refuse_size() -> NoReturn:
    raise WireError(f.FRAME_SIZE_ERROR, "a frame above the size limit")
