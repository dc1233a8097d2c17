"""PINGs to a client, and waiting for their acknowledgement (RFC 9113, 6.7)."""

import asyncio
import os
import time
from collections.abc import Callable


class Pings:
    """The PINGs of one connection that are under way, by their eight bytes."""

    def __init__(self) -> None:
        self._waiters: dict[bytes, asyncio.Future[None]] = {}

    async def exchange(self, send: Callable[[bytes], None], timeout: float) -> float | None:
        """Send one and wait; give the seconds it took, None if it was not answered in time."""
        data = os.urandom(8)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[data] = waiter
        began = time.perf_counter()
        try:
            send(data)
            await asyncio.wait((waiter,), timeout=timeout)
            answered = waiter.done() and not waiter.cancelled()
            return time.perf_counter() - began if answered else None
        finally:
            self._waiters.pop(data, None)

    def acknowledged(self, data: bytes) -> None:
        """Note an acknowledgement."""
        waiter = self._waiters.pop(data, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def abandon(self) -> None:
        """End all waiting: the connection is gone."""
        for waiter in self._waiters.values():
            waiter.cancel()
