"""Whether a connection still lives: PING when idle, and sooner when answers are owed.

A silent peer is found under steady traffic too: what counts is what was heard, not what was sent.
Source: RFC 9113 section 6.7.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from app.http2.deadlines import A_TURN, FROZEN
from app.http2.timing import Timing

_CLOCK_STEP: Final = 0.002


class Beating(Protocol):
    """What a heartbeat looks at; times are `loop.time()` seconds."""

    loop: asyncio.AbstractEventLoop
    slotless_since: float | None

    @property
    def last_heard(self) -> float: ...
    @property
    def pong_due(self) -> float | None: ...
    @property
    def stalled_since(self) -> float | None: ...
    @property
    def owes_answers(self) -> bool: ...
    def is_over(self) -> bool: ...
    def ping(self) -> None: ...
    def retire(self, cause: str) -> None: ...


class Heartbeat:
    """One timer that looks after one connection; `dead(asked)` is called when a PONG is overdue.

    `asked` is when the PING was sent, in `loop.time()` seconds.
    """

    def __init__(self, connection: Beating, timing: Timing, dead: Callable[[float], None]) -> None:
        self._connection = connection
        self._loop = connection.loop
        self._timing = timing
        self._dead = dead
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0
        self._read_first = False

    def start(self) -> None:
        """Begin, once the connection is in use."""
        slotless = self._connection.slotless_since is not None
        self._in(self._timing.ping_busy if slotless else self._timing.ping_idle)

    def stop(self) -> None:
        """The connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def expect_answers(self) -> None:
        """Something is awaited from now on: silence is worth a PING sooner."""
        if self._at > self._loop.time() + self._timing.ping_busy:
            self._in(self._timing.ping_busy)

    def _in(self, delay: float) -> None:
        self.stop()
        self._at = self._loop.time() + delay
        self._timer = self._loop.call_at(self._at, self._beat)

    def _beat(self) -> None:
        self._timer = None
        connection, timing = self._connection, self._timing
        if connection.is_over():
            return
        now = self._loop.time()
        if now > self._at + FROZEN:
            # Some loops call timers before they read: a sign of life may be here.
            self._read_first = not self._read_first
            if self._read_first:
                self._timer = self._loop.call_later(A_TURN, self._beat)
                return
        stalled = connection.stalled_since or connection.slotless_since
        if stalled is not None and now - stalled >= timing.stall - _CLOCK_STEP:
            connection.retire(
                "the server gives no window"
                if connection.stalled_since
                else "the server allows no streams"
            )
        asked = connection.pong_due
        if asked is not None:
            left = asked + timing.ping_timeout - now
            if left <= _CLOCK_STEP:
                self._dead(asked)
                left = timing.ping_busy
        else:
            quiet = timing.ping_busy if connection.owes_answers or stalled else timing.ping_idle
            left = connection.last_heard + quiet - now
            if left <= _CLOCK_STEP:
                connection.ping()
                left = min(timing.ping_timeout, quiet)
        if not connection.is_over():
            self._in(left)
