"""A kept connection to Redis, at a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ResponseError

from app.infra import redis_client
from app.infra.redis_line import RedisLine, packed
from app.infra.settings import Settings


@pytest.fixture
async def client(redis: str) -> AsyncIterator[Redis]:
    client = redis_client.connect(Settings(redis_url=redis))
    yield client
    await redis_client.disconnect(client)


@pytest.fixture
async def line(client: Redis) -> AsyncIterator[RedisLine]:
    line = RedisLine(client)
    yield line
    await line.close()


async def test_what_is_said_together_is_answered_in_its_order(line: RedisLine) -> None:
    assert await line.say(("LPUSH", "list", b"a", "b"), ("LLEN", "list")) == [2, 2]
    assert await line.say(("RPOP", "list")) == [b"a"]


async def test_one_connection_serves_all_and_a_lost_one_is_made_again(
    client: Redis, line: RedisLine
) -> None:
    ((first,), (same,)) = [await line.say(("CLIENT", "ID")) for _ in range(2)]
    assert first == same
    await client.client_kill_filter(_id=str(first))
    (other,) = await line.say(("CLIENT", "ID"))
    assert other != first


async def test_after_an_error_no_answer_is_taken_for_anothers(line: RedisLine) -> None:
    with pytest.raises(ResponseError):
        await line.say(("LPUSH", "list", "a"), ("GET", "list"), ("LLEN", "list"))
    assert await line.say(("STRLEN", "text")) == [0]


async def test_a_server_that_says_nothing_is_waited_for_no_longer_than_one_says(
    client: Redis, line: RedisLine
) -> None:
    with pytest.raises(TimeoutError):
        await line.say(("BRPOP", "list", 0), within=0.2)
    await client.lpush("list", "a")
    await asyncio.sleep(0)
    assert await line.say(("RPOP", "list")) == [b"a"]  # nobody waits any more, nor took it


async def test_what_is_put_leaves_at_once_and_is_answered_in_its_order(line: RedisLine) -> None:
    put = packed(("LPUSH", "list", b"a\r\n", "\u00fc"), ("LLEN", "list"), ("EXPIRE", "list", 10))
    assert not line.put(put)  # there is no connection yet
    assert await line.say(("STRLEN", "text")) == [0]
    assert line.put(put)
    assert await line.answers(3) == [2, 2, 1]
    assert await line.say(("RPOP", "list"), ("RPOP", "list")) == [b"a\r\n", "\u00fc".encode()]


async def test_what_is_put_on_a_lost_connection_is_not_answered_and_may_be_said_again(
    client: Redis, line: RedisLine
) -> None:
    (first,) = await line.say(("CLIENT", "ID"))
    await client.client_kill_filter(_id=str(first))
    if line.put(packed(("LPUSH", "list", "a"))):
        with pytest.raises(Lost):
            await line.answers(1)
    assert await line.say(("LPUSH", "list", "b"), ("RPOP", "list")) == [1, b"b"]


class ShowsNoStream:
    """A connection of a client that keeps its stream elsewhere than redis-py 8 does."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        if name == "_writer":
            raise AttributeError(name)
        return getattr(self._real, name)


async def test_where_the_client_shows_no_stream_all_is_said_by_its_commands(
    client: Redis, line: RedisLine
) -> None:
    line._connection = ShowsNoStream(line._connection)
    ((first,), (same,)) = [await line.say(("CLIENT", "ID")) for _ in range(2)]
    assert first == same
    assert not line.put(packed(("LPUSH", "list", "a")))
    await client.client_kill_filter(_id=str(first))
    assert await line.say(("LLEN", "list")) == [0]
