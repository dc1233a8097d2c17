"""The only door to Redis (or Valkey): client, channels, keys.

Nothing that Ringline must not lose is kept here: rows are the truth, Redis carries hints.
"""

from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.settings import Settings


def connect(settings: Settings) -> Redis:
    """A client of this process's loop. Short time-outs: whoever waits on Redis waits for a hint."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=15,
    )


def user_channel(tenant_id: UUID, user_id: str) -> str:
    """The channel that wakes the live streams of one user."""
    return f"ringline:user:{tenant_id}:{user_id}"
