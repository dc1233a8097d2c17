"""One HTTP/2 stream as the server sees it, and what can be wrong with a peer's bytes."""

from collections import deque
from dataclasses import dataclass, field

from devkit.simulator.frames import ErrorCode

Header = tuple[str, str]
MOST_BODY_KEPT = 64 * 1024
"""Bytes of a body that are kept; what lies beyond is only counted."""


class ConnectionViolation(Exception):
    """The peer broke HTTP/2 in a way that ends the connection (RFC 9113, 5.4.1)."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamViolation(Exception):
    """The peer broke HTTP/2 in a way that ends one stream (RFC 9113, 5.4.2)."""

    def __init__(self, stream_id: int, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.stream_id = stream_id
        self.code = code


@dataclass(slots=True, eq=False)
class Stream:
    """A stream that is open or half closed; it is dropped as soon as both sides have ended.

    `send_window` is what the peer still lets us send, `receive_window` what we still let it send.
    `waiting` is body that the peer's windows hold back. `dealt_with`: by a fault at its headers.
    `content_length` is what the request says of its body.
    """

    number: int
    send_window: int
    receive_window: int
    headers: list[Header] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    body_size: int = 0
    content_length: int | None = None
    unrefilled: int = 0
    remote_ended: bool = False
    local_ended: bool = False
    dealt_with: bool = False
    waiting: deque[tuple[bytes, bool]] = field(default_factory=deque)

    def keep(self, data: bytes) -> None:
        """Add to the body, up to the limit of what is kept."""
        self.body_size += len(data)
        if len(self.body) < MOST_BODY_KEPT:
            self.body += data[: MOST_BODY_KEPT - len(self.body)]


_REMEMBERED = 10_000


class ClosedStreams:
    """How streams ended that were not ended by both sides (RFC 9113, 5.1, "closed").

    What still comes on a stream that we gave up is discarded, until the peer has heard of it or
    ends the stream too; on one that the peer has reset or ended it may send nothing more.
    """

    def __init__(self) -> None:
        self._given_up: dict[int, None] = {}
        self._reset_by_peer: dict[int, None] = {}

    def give_up(self, stream_id: int) -> None:
        """We have ended a stream that the peer has not ended."""
        _remember(self._given_up, stream_id)

    def peer_ended(self, stream_id: int) -> None:
        """The peer has sent END_STREAM: nothing more may come."""
        self._given_up.pop(stream_id, None)

    def peer_reset(self, stream_id: int) -> None:
        """The peer has sent RST_STREAM."""
        self._given_up.pop(stream_id, None)
        _remember(self._reset_by_peer, stream_id)

    def discard(self, stream_id: int, what: str) -> None:
        """Take note of a frame on a closed stream; raises a violation if it may not come."""
        if stream_id in self._given_up:
            return
        if stream_id in self._reset_by_peer:
            raise StreamViolation(
                stream_id, ErrorCode.STREAM_CLOSED, f"{what} after the client's own RST_STREAM"
            )
        raise ConnectionViolation(ErrorCode.STREAM_CLOSED, f"{what} on a closed stream")


def _remember(streams: dict[int, None], stream_id: int) -> None:
    streams[stream_id] = None
    if len(streams) > _REMEMBERED:
        del streams[next(iter(streams))]
