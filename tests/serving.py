"""Servers of tests, and what they have open at the end: nothing of it is found by another test.

A connection that asyncio has accepted is told of some turns of the loop later; where its server is
closed meanwhile its transport is left half made (`Server._attach` raises, and nobody hears of it).
A task that is cancelled before its first step never comes to its `finally`; one that is cancelled
while it reads closes nothing that it writes to. What was so left was found unclosed when it was
collected, in whatever test ran then. So a server is deaf before it is closed, and who has connected
is cut off here.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, object]]

TURNS = 5
"""Turns of the loop from a connection's acceptance until it is told of, and two more."""


@contextlib.asynccontextmanager
async def serving(
    handle: Handle, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve on a port of its own, which is given; `handle` is cancelled at the end of the block.

    What it raises is of no interest.
    """
    writers: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[object]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.add(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(TURNS):
            await asyncio.sleep(0)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await cut_off(writers)


async def cut_off(writers: Iterable[asyncio.StreamWriter]) -> None:
    """Close these without a word; returns when their sockets are closed."""
    some = list(writers)
    for writer in some:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in some), return_exceptions=True)


@contextlib.asynccontextmanager
async def joined(
    connecting: Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is made for the block, and cut off with it, however that ends."""
    reader, writer = await connecting
    try:
        yield reader, writer
    finally:
        await cut_off([writer])
