"""The client of Redis (or Valkey), by which all in a process talk to it.

Nothing that Ringline must not lose is kept there: rows are the truth, Redis carries hints.
"""

import contextlib
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError

from app.infra.settings import Settings

REDIS_AWAY = (RedisError, OSError)


def connect(settings: Settings) -> Redis:
    """A client of this process's loop."""
    client: Redis = client_of(settings, Redis, Sentinel, Retry)
    return client


def client_of(settings: Settings, redis: Any, sentinel: Any, retry: Any) -> Any:
    """A client of these classes of redis-py's, which has each twice: for loops and for threads.

    Short time-outs: whoever waits on Redis waits for a hint.
    """
    url = settings.redis
    options: dict[str, Any] = {
        **url.client,
        "socket_timeout": 2,
        "socket_connect_timeout": 2,
        "retry": retry(NoBackoff(), 0),
        "health_check_interval": 15,
    }
    if url.service is None:
        return redis(**options)
    sentinels = sentinel(url.sentinels, sentinel_kwargs=url.sentinel_client)
    return sentinels.master_for(url.service, **options)


class Cluster(RedisError):
    """A node of a cluster: of Celery's messages each is about keys of several nodes."""

    def __init__(self) -> None:
        super().__init__("a cluster, which Celery cannot use")


async def look(client: Redis) -> None:
    """Raise what keeps it from serving: it answers, it takes a write, and it is one server.

    One that is full, or a replica, answers a ping; a node of a cluster takes some writes.
    """
    await client.set("ringline:look", b"1", px=1_000)
    with contextlib.suppress(NoPermissionError):  # a user who may not ask
        if (await client.info("cluster")).get("cluster_enabled"):
            raise Cluster


async def disconnect(client: Redis) -> None:
    """Close a client, and those of the sentinels that it asks."""
    await client.aclose()
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        await pool.sentinel_manager.aclose()
