"""What one process of Ringline works with: made once at its start, handed to services."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.asyncio import Redis

from app.infra import db
from app.infra import redis_client as redis
from app.infra.connections import SHORT, Patience
from app.infra.db import Database
from app.infra.hints import Hints
from app.infra.news import News
from app.infra.queue import Queue
from app.infra.settings import Settings
from app.infra.traces import Traces
from app.infra.vault import Keyring, keyring

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Runtime:
    """The doors to the outside. Belongs to one event loop."""

    settings: Settings
    database: Database
    redis: Redis
    news: News
    hints: Hints
    queue: Queue
    keyring: Keyring
    traces: Traces | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str, make: Callable[[], T]) -> T:
        """What a package has one of in a process, made when it is first asked for."""
        if name not in self.kept:
            self.kept[name] = make()
        found: T = self.kept[name]
        return found

    async def close(self) -> None:
        """Close every door, whatever becomes of another; the queue first: it may hold hints."""
        async with AsyncExitStack() as doors:  # which ends them from the last to the first
            if self.traces is not None:
                doors.push_async_callback(self.traces.close)
            doors.push_async_callback(self.database.close)
            doors.push_async_callback(redis.disconnect, self.redis)
            doors.push_async_callback(self.hints.close)
            doors.push_async_callback(self.news.close)
            doors.callback(self.queue.close)


def open_runtime(
    settings: Settings, traces: Traces | None = None, patience: Patience = SHORT
) -> Runtime:
    """The doors of these settings; nothing is connected until it is used."""
    client = redis.connect(settings)
    return Runtime(
        settings=settings,
        database=db.connect(settings, patience),
        redis=client,
        news=News(client),
        hints=Hints(client, on=settings.direct_hints),
        queue=Queue(settings),
        keyring=keyring(settings),
        traces=traces,
    )
