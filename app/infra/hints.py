"""Direct hints: which rings have pushes to send, told to one idle worker past the queue.

Celery's message takes some milliseconds from here to a worker's loop: a thread, a message of a
kilobyte, another thread. This one goes beside it, from loop to loop, when little is going on. It
may be lost, come late, or reach nobody: Celery's follows in any case, and the rows say what is to
be done. Whoever comes second finds the rows claimed.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from redis.asyncio import Redis

from app.infra.hint_lanes import pause_after
from app.infra.news import REDIS_AWAY
from app.infra.outage import Outage
from app.infra.supervision import Health
from app.infra.tasks import Tasks

KEY: Final = "ringline:rings"
"""A list, of which each message is taken by one worker."""

MOST_RINGS: Final = 50
"""In one hint. A larger group rings for longer than Celery's message takes."""

MOST_KEPT: Final = 100
KEPT_FOR: Final = 10
"""Messages, and seconds, for which hints stay that no worker takes."""

LISTEN: Final = 1.0
"""Seconds for which a worker waits for a hint at a time: less than the client waits for Redis."""

AHEAD: Final = 0.003
"""Seconds by which Celery's message comes later than one of these: to make it takes a millisecond,
and the interpreter's lock, from the process that has just told."""

BUSY: Final = 0.02
REST: Final = 1.0


class Hints:
    """Tells and hears. Belongs to one event loop; does nothing unless `on`."""

    def __init__(self, redis: Redis, *, on: bool) -> None:
        self.on = on
        self._redis = redis
        self._not_before = 0.0
        self._telling: asyncio.Task[None] | None = None
        self._tasks = Tasks("hints")
        self._messages = Health("hints.message")
        self._outage = Outage("redis")

    def tell(self, rings: Sequence[UUID]) -> bool:
        """After a commit, on the loop's thread: these rings have something to send.

        Neither waits nor fails; returns whether a hint is on its way. Where they come thick and
        fast they are Celery's alone to carry: two messages for one ring cost more than a
        millisecond is worth then.
        """
        now = asyncio.get_running_loop().time()
        if not self.on or len(rings) > MOST_RINGS or now < self._not_before or self._telling:
            return False
        self._not_before = now + pause_after(len(rings))
        names = [str(ring) for ring in rings]
        self._telling = self._tasks.spawn("tell", self._tell(names), of_all=True)
        return True

    async def _tell(self, names: list[str]) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as commands:
                commands.lpush(KEY, orjson.dumps(names))
                commands.ltrim(KEY, 0, MOST_KEPT - 1)
                commands.expire(KEY, KEPT_FOR)
                await commands.execute()
            self._outage.over()
        except REDIS_AWAY as error:
            self._outage.seen(error)
            await asyncio.sleep(REST)
        finally:
            self._telling = None

    async def hear(self, take: Callable[[list[UUID]], object], idle: Callable[[], bool]) -> None:
        """Give `take` the rings of each hint, for ever; none is fetched while not `idle()`."""
        while True:
            if not idle():
                await asyncio.sleep(BUSY)
                continue
            try:
                found = await self._redis.brpop([KEY], timeout=LISTEN)
                self._outage.over()
            except REDIS_AWAY as error:
                self._outage.seen(error)
                await asyncio.sleep(REST)
                continue
            if found is not None:
                self._take(found[1], take)

    def _take(self, message: Any, take: Callable[[list[UUID]], object]) -> None:
        """What anybody may have put there: what cannot be read is told of, and passed over."""
        try:
            rings = [UUID(one) for one in orjson.loads(message)]
        except (ValueError, TypeError, AttributeError) as error:
            self._messages.failed(error)
            return
        take(rings)

    async def close(self) -> None:
        """Tell nothing more."""
        await self._tasks.stop()
