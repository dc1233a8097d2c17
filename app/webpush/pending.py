"""A push that is owed its outcome, and what a push service's answer says."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from app.core.outcome import readable
from app.http2.head import retry_after
from app.http2.pool import Pool
from app.http2.sender import Pending
from app.webpush.answer_table import REASONS
from app.webpush.message import WebPushMessage

_MOST: Final = 128


class PendingMessage(Pending):
    """A push in the sender; `future` gets its outcome. `pool` has the connections it goes by."""

    __slots__ = ("message", "pool", "wall_clock")

    def __init__(
        self,
        message: WebPushMessage,
        deadline: float,
        loop: asyncio.AbstractEventLoop,
        wall_clock: Callable[[], float],
        start_by: float = math.inf,
    ) -> None:
        super().__init__(message.body, deadline, loop, start_by)
        self.message = message
        self.wall_clock = wall_clock
        self.pool: Pool | None = None

    def answered(self, now: float) -> None:
        taken = 200 <= self.code < 300
        reason = None if taken else reason_of(self.code, self.body)
        wish = retry_after(self.fields, self.wall_clock)
        self.end(self.outcome(now, code=self.code, reason=reason, retry_after=wish))


def reason_of(code: int, body: bytes) -> str | None:
    """What an answer is called here; one that no RFC tells of by the first line of its words."""
    known = REASONS.get(code)
    if known is not None:
        return known
    lines = body.decode("utf-8", "replace").strip().splitlines()
    return readable(lines[0][:_MOST]) if lines else None
