"""Direct hints: what there is to push, told to one worker past the queue.

Celery's message takes some milliseconds from here to a worker's loop: a thread, a message of a
kilobyte, another thread. This one goes from loop to loop, when little is going on; Celery's follows
where no worker took it. It may be lost with the worker that did: the rows say what is to be done,
and the sweep finds them within a second, as it does when Celery's is lost
(docs/decisions/0033-celerys-message-where-no-worker-took-the-hint.md).
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Lost

from app.infra.hint_lanes import LanePauses
from app.infra.outage import Outage
from app.infra.push_hints import PushHint, read_hint
from app.infra.redis_client import REDIS_AWAY
from app.infra.redis_line import WITHIN, Command, RedisLine, packed
from app.infra.supervision import Health
from app.infra.tasks import Tasks

KEY: Final = "ringline:rings"
"""A list, of which each message is taken by one worker."""

MOST_RINGS: Final = 50
"""In one message from the loop; more go by the queue's thread."""

KEPT_FOR: Final = 10
"""Seconds for which a message stays that no worker took and whose process died with it."""

COUNTED: Final[Sequence[Command]] = (("LLEN", KEY), ("EXPIRE", KEY, KEPT_FOR))
AFTER_IT: Final = packed(*COUNTED)
"""What is said with each message."""

LISTEN: Final = 1.0
"""Seconds for which a worker waits for a hint at a time: less than the client waits for Redis."""

AHEAD: Final = 0.003
"""Seconds that a worker has to take a message for which none was waiting."""

UNSAID: Final = 0.02
"""Seconds for Redis to say whether one was; then Celery's message goes all the same."""

LINES: Final = 4
"""Messages under way at most, each of another tenant and by a connection of its own: one is so for
as long as it takes to be taken, which beside a flood is long, and others need not wait for that."""

BUSY: Final = 0.02
REST: Final = 1.0


class Once:
    """Something that is done when first called, and never if it was forgotten before."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act: Callable[[], object] | None = act

    def __call__(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()

    def forget(self) -> None:
        """There is no need of it any more."""
        self._act = None


class Hints:
    """Tells and hears. Belongs to one event loop; does nothing unless `on`."""

    def __init__(self, redis: Redis, *, on: bool) -> None:
        self.on = on
        self._redis = redis
        self._lines: list[RedisLine] = []
        self._free: list[RedisLine] = []
        self._telling: set[UUID | None] = set()
        self._pauses = LanePauses()
        self._tasks = Tasks("hints")
        self._messages = Health("hints.message")
        self._outage = Outage("redis")

    def tell(
        self, hints: Sequence[PushHint], by_queue: Callable[[], object], whose: UUID | None = None
    ) -> None:
        """After a commit, on the loop's thread: this of a tenant's is to be pushed.

        Neither waits nor fails. `by_queue` tells it by Celery: it is called where no worker takes
        this message, or where theirs come thick and fast: these gather on its thread, which tells
        of many at once (`blocking_hints`).
        """
        loop = asyncio.get_running_loop()
        may = self.on and len(hints) <= MOST_RINGS and self._has_line(whose)
        if not (may and self._pauses.may_tell(whose, len(hints), loop.time())):
            by_queue()
            return
        message = orjson.dumps([str(hint) for hint in hints])
        line = self._line()
        put = line.put(packed(("LPUSH", KEY, message)) + AFTER_IT)
        otherwise = Once(by_queue)
        loop.call_later(UNSAID, otherwise)
        self._telling.add(whose)
        telling = self._tell(message, otherwise, line, put=put)
        task = self._tasks.spawn("tell", telling, of_all=True)
        task.add_done_callback(lambda _: self._told(whose, line))

    def _has_line(self, whose: UUID | None) -> bool:
        """Whether there is a connection for this tenant's next message."""
        return whose not in self._telling and len(self._telling) < LINES

    def _line(self) -> RedisLine:
        """That which was used last, or a new one where all are in use."""
        if self._free:
            return self._free.pop()
        self._lines.append(made := RedisLine(self._redis))
        return made

    def _told(self, whose: UUID | None, line: RedisLine) -> None:
        self._telling.discard(whose)
        self._free.append(line)

    async def _tell(self, message: bytes, otherwise: "Once", line: RedisLine, *, put: bool) -> None:
        try:
            taken = await self._push(message, line, put=put)
            if not taken:
                await asyncio.sleep(AHEAD)
                (removed,) = await line.say(("LREM", KEY, 1, message))
                taken = not removed
            self._outage.over()
        except REDIS_AWAY as error:
            self._outage.seen(error)
            otherwise()
            await asyncio.sleep(REST)
        else:
            if taken:
                otherwise.forget()
            else:
                otherwise()

    async def _push(self, message: bytes, line: RedisLine, *, put: bool) -> bool:
        """Whether a worker was waiting, and has it: by then nothing is left in the list.

        `put`: it has left already, unless its connection was lost while it rested. In no
        transaction, since who waits is served between its commands only after the whole.
        """
        answers: list[Any] = []
        if put:
            with contextlib.suppress(Lost):
                answers = await line.answers(1 + len(COUNTED))
        if not answers:
            answers = await line.say(("LPUSH", KEY, message), *COUNTED)
        return not answers[1]

    async def hear(
        self, take: Callable[[list[PushHint]], object], idle: Callable[[], bool]
    ) -> None:
        """Give `take` the hints of each message, for ever; none is fetched while not `idle()`."""
        line = RedisLine(self._redis)
        try:
            while True:
                if not idle():
                    await asyncio.sleep(BUSY)
                    continue
                try:
                    (found,) = await line.say(("BRPOP", KEY, LISTEN), within=LISTEN + WITHIN)
                    self._outage.over()
                except REDIS_AWAY as error:
                    self._outage.seen(error)
                    await asyncio.sleep(REST)
                    continue
                if found is not None:
                    self._take(found[1], take)
                    await asyncio.sleep(
                        0
                    )  # what it tells of is claimed before the next is asked for
        finally:
            await line.close()

    def _take(self, message: Any, take: Callable[[list[PushHint]], object]) -> None:
        """What anybody may have put there: what cannot be read is told of, and passed over."""
        try:
            hints = [read_hint(one) for one in orjson.loads(message)]
        except (ValueError, TypeError, AttributeError) as error:
            self._messages.failed(error)
            return
        take(hints)

    async def close(self) -> None:
        """Tell nothing more."""
        await self._tasks.stop()
        for line in self._lines:
            await line.close()
