"""A connection to Redis that is kept for what one task says, again and again, and waits for.

The client's pool is for what is said now and then: to take a connection from it, to look whether it
lives, to give it back, and a task for each write bounded by a time-out cost more than all that
Redis does for a hint, and several turns of the loop before the first byte leaves.
"""

import asyncio
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

WITHIN: Final = 2.0
"""Seconds for what is said to be answered, a new connection included."""

Command = tuple[str | bytes | int | float, ...]


def packed(*commands: Command) -> bytes:
    """These commands as they are said to Redis (RESP: arrays of bulk strings)."""
    said: list[bytes] = []
    for command in commands:
        said.append(b"*%d\r\n" % len(command))
        for word in command:
            raw = word if isinstance(word, bytes) else str(word).encode()
            said.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(said)


class RedisLine:
    """One connection, made when first used and again when it was lost. One task at a time."""

    def __init__(self, client: Redis) -> None:
        pool: Any = client.connection_pool
        self._connection = pool.make_connection()
        # the bound is `within`: with one of its own, each write is a task
        self._connection.socket_timeout = None

    async def say(self, *commands: Command, within: float = WITHIN) -> list[Any]:
        """The answers to these commands, which leave together, in no transaction.

        They are said once more if the connection had been lost while it rested: the server may do
        each of them twice. Raises RedisError or OSError.
        """
        async with asyncio.timeout(within):
            if not self._lives():
                return await self._say(commands)
            try:
                return await self._say(commands)
            except Lost:
                return await self._say(commands)

    def put(self, said: bytes) -> bool:
        """Have these commands (`packed`) leave with this turn of the loop; `answers` follows.

        False where there is no connection, or the client shows no stream of it: nothing is said.
        """
        writer = self._writer()
        if writer is None or not self._lives():
            return False
        writer.write(said)
        return True

    def _writer(self) -> Any:
        """The connection's stream, which is the client's own (docs/decisions/0036)."""
        return getattr(self._connection, "_writer", None)

    def _lives(self) -> bool:
        """Whether there is a connection that has not ended while it rested, as far as is known."""
        writer = self._writer()
        return self._connection.is_connected and not (writer is not None and writer.is_closing())

    async def answers(self, count: int, within: float = WITHIN) -> list[Any]:
        """The answers to so many commands that were put. Raises RedisError or OSError."""
        async with asyncio.timeout(within):
            return await self._read(count)

    async def _say(self, commands: tuple[Command, ...]) -> list[Any]:
        connection = self._connection
        if not self._lives():
            await connection.disconnect(nowait=True)  # of one that has ended while it rested
            await connection.connect()
        await connection.send_packed_command(packed(*commands), check_health=False)
        return await self._read(len(commands))

    async def _read(self, count: int) -> list[Any]:
        connection = self._connection
        try:
            return [await connection.read_response() for _ in range(count)]
        except RedisError:
            await connection.disconnect(nowait=True)  # the other answers are on their way
            raise

    async def close(self) -> None:
        """Close it; it is made again if anything more is said."""
        await self._connection.disconnect(nowait=True)
