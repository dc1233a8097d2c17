"""Direct hints from the queue's thread: what comes too thick, or is too much, for the loop's own.

Celery's message is worked on by threads at both ends, which take the interpreter from the loops
beside them; this one is a list of ids that a worker's loop reads.
"""

import time
from collections.abc import Sequence

import orjson
from redis import Redis
from redis.retry import Retry
from redis.sentinel import Sentinel

from app.infra.hints import AHEAD, KEPT_FOR, KEY, REST
from app.infra.redis_client import REDIS_AWAY, client_of
from app.infra.settings import Settings


class BlockingHints:
    """Of one thread, which may wait. Connects when it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redis: Redis | None = None
        self._not_before = 0.0

    def taken(self, ids: Sequence[str]) -> bool:
        """Tell these; whether a worker has taken the message. Otherwise it is nowhere any more.

        Never raises: where Redis is away nobody has taken it, and it is not asked for a while.
        """
        if time.monotonic() < self._not_before:
            return False
        message = orjson.dumps(ids).decode()
        try:
            redis = self._connected()
            with redis.pipeline(transaction=False) as commands:
                commands.lpush(KEY, message)
                commands.llen(KEY)
                commands.expire(KEY, KEPT_FOR)
                _, left, _ = commands.execute()
            if left:
                time.sleep(AHEAD)
                return not redis.lrem(KEY, 1, message)
        except REDIS_AWAY:
            self._not_before = time.monotonic() + REST
            return False
        return True

    def close(self) -> None:
        """Close its connection."""
        if self._redis is not None:
            self._redis.close()

    def _connected(self) -> Redis:
        if self._redis is None:
            self._redis = client_of(self._settings, Redis, Sentinel, Retry)
        return self._redis
