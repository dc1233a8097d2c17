"""Live news: which users have some, told to every process over Redis (or Valkey)."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

import orjson
from redis.asyncio import Redis

from app.infra.outage import Outage
from app.infra.redis_client import REDIS_AWAY
from app.infra.supervision import Health
from app.infra.tasks import Tasks

NEWS = "ringline:news"
"""The channel on which processes tell each other which users have news."""

MOST_WAITING = 50_000
"""Users of whom word waits for Redis at most; the rest is found by comparing numbers."""

MOST_TOLD = 2_000
REST = 1.0

Item = tuple[UUID, str, int]
"""(tenant, user, number of the user's latest event)."""

T = TypeVar("T")
Listener = Callable[[Iterable[Item]], None]


class News:
    """Tells the live streams of every process which users have news.

    `tell` neither waits nor fails: streams of this process are woken directly, those of others by
    one message for all that has gathered. One channel for all users: opening a stream then costs
    Redis nothing, and thousands of them come back at once without it noticing.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: dict[tuple[UUID, str], int] = {}
        self._listeners: list[Listener] = []
        self._publishing: asyncio.Task[None] | None = None
        self._tasks = Tasks("news")
        self._messages = Health("news.message")
        self._outage = Outage("redis")

    def listen(self, listener: Listener) -> None:
        """Call `listener` with whatever is told here or heard from others."""
        self._listeners.append(listener)

    def tell(self, items: Iterable[Item]) -> None:
        """After a commit, on the loop's thread: these users have news up to these numbers."""
        told = list(items)
        if not told:
            return
        self._wake(told)
        for tenant, user, seq in told:
            if len(self._waiting) < MOST_WAITING:
                self._waiting[tenant, user] = seq
        if self._publishing is None:
            self._publishing = self._tasks.spawn("publish", self._publish(), of_all=True)

    async def _publish(self) -> None:
        try:
            while self._waiting:
                names = list(self._waiting)[:MOST_TOLD]
                batch = [
                    (tenant.hex, user, self._waiting.pop((tenant, user))) for tenant, user in names
                ]
                await self._redis.publish(NEWS, orjson.dumps(batch))
                self._outage.over()
        except REDIS_AWAY as error:
            self._outage.seen(error)
            await asyncio.sleep(REST)  # what gathers meanwhile goes with it
            self._waiting.clear()
        finally:
            self._publishing = None

    async def hear(self) -> None:
        """Wake local streams for what other processes tell: one connection, for ever."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(NEWS)
                    self._outage.over()
                    while True:
                        message = await channel.get_message(timeout=10.0)
                        if message is not None:
                            self._wake_by(message["data"])
            except REDIS_AWAY as error:
                self._outage.seen(error)
            await asyncio.sleep(REST)

    def _wake_by(self, message: Any) -> None:
        """What anybody may have published here: what cannot be read is told of, and passed over."""
        try:
            items = _items(message)
        except (ValueError, TypeError, AttributeError) as error:
            self._messages.failed(error)
            return
        self._wake(items)

    async def close(self) -> None:
        """Publish nothing more."""
        await self._tasks.stop()

    def _wake(self, items: list[Item]) -> None:
        for listener in self._listeners:
            try:
                listener(items)
            except Exception as error:  # noqa: BLE001  (a hint must not fail whoever has committed)
                self._messages.failed(error)


def _items(message: Any) -> list[Item]:
    return [
        (UUID(hex=tenant), _a(str, user), _a(int, seq))
        for tenant, user, seq in orjson.loads(message)
    ]


def _a(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"expected {kind.__name__}")
    return value
