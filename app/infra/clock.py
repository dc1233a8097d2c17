"""The one clock: what the database's says, carried on by a clock of this machine that nobody sets.

Whatever leaves the process as a time, or is compared with one from outside, goes by it: tokens,
signatures, payloads, provider tokens, expiries. The host's own clock may be an hour off, or be set
while we run; it is only believed until the database has answered for the first time.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.infra.boottime import boottime
from app.infra.observe import CLOCK_SKEW

DRIFT: Final = 1e-4
"""Seconds per second that two clocks may drift apart: five times what a bad quartz does."""

REFRESH: Final = 5.0
"""Seconds between two looks at the database's clock."""

NOTEWORTHY: Final = 2.0
"""Seconds of skew from which on operators are told."""

NOW = text("SELECT clock_timestamp()")


class Clock:
    """Wall time as the database has it. Any thread may ask."""

    def __init__(self) -> None:
        self._known: tuple[float, float, float] | None = None
        """Unix time at boottime 0, by how many seconds that may be wrong, boottime when learned."""

    def learn(self, now: datetime, asked: float) -> None:
        """Take the database's time from an answer that has just come.

        `asked`: `boottime()` before the question. The answer is from somewhere between then and
        now, so the quicker it came the better it is; a worse one is taken only where it contradicts
        what is known, as after a failover to a server with another clock.
        """
        here = boottime()
        error = max(0.0, here - asked) / 2
        offset = now.timestamp() - (here + asked) / 2
        if self._known is not None:
            known, known_error, learned = self._known
            known_error += DRIFT * (here - learned)
            if error > known_error and abs(offset - known) <= error + known_error:
                return
        self._known = (offset, error, here)
        CLOCK_SKEW.set(self.skew())

    def unix(self) -> float:
        """Unix seconds now."""
        known = self._known
        return time.time() if known is None else known[0] + boottime()

    def now(self) -> datetime:
        """The same as a datetime in UTC."""
        return datetime.fromtimestamp(self.unix(), UTC)

    def skew(self) -> float:
        """Seconds by which the host's clock is ahead of the database's; 0 while that is unknown."""
        return time.time() - self.unix()


_clock: Final = Clock()

unix = _clock.unix
now = _clock.now
skew = _clock.skew
learn = _clock.learn


def at(loop_time: float) -> datetime:
    """The wall time of a moment on the running loop's clock."""
    ago = asyncio.get_running_loop().time() - loop_time
    return datetime.fromtimestamp(unix() - ago, UTC)


async def ask(session: AsyncConnection) -> datetime:
    """The database's wall clock by a statement of its own, which this process's clock learns."""
    asked = boottime()
    value = (await session.execute(NOW)).scalar_one()
    assert isinstance(value, datetime)
    learn(value, asked)
    return value
