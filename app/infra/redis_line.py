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
            if not self._connection.is_connected:
                return await self._say(commands)
            try:
                return await self._say(commands)
            except Lost:
                return await self._say(commands)

    async def _say(self, commands: tuple[Command, ...]) -> list[Any]:
        connection = self._connection
        if not connection.is_connected:
            await connection.connect()
        try:
            packed = connection.pack_commands(commands)
            await connection.send_packed_command(packed, check_health=False)
            return [await connection.read_response() for _ in commands]
        except RedisError:
            await connection.disconnect(nowait=True)  # the other answers are on their way
            raise

    async def close(self) -> None:
        """Close it; it is made again if anything more is said."""
        await self._connection.disconnect(nowait=True)
