"""What tests serve and what they connect to has ended with them: see `tests.serving`."""

import asyncio
import contextlib
import gc
import socket
import sys

import pytest

from tests.serving import joined, serving
from tests.webhooks.receiver import receiving


async def passing_on(client: socket.socket, turns: int) -> None:
    """A proxy, which is connected to in its last moment and ends so many turns later."""
    with socket.create_server(("127.0.0.1", 0)) as behind:
        host, port = behind.getsockname()

        async def handle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            async with joined(asyncio.open_connection(host, port)) as (_, far):
                far.write(await reader.read(1))

        async with serving(handle) as at:
            await connect(client, at, turns)


async def keeping(client: socket.socket, turns: int) -> None:
    """The same of what webhooks are received by."""
    async with receiving() as receiver:
        await connect(client, receiver.port, turns)


async def connect(client: socket.socket, port: int, turns: int) -> None:
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        client.connect(("127.0.0.1", port))
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.mark.parametrize("serve", [passing_on, keeping])
def test_who_connects_in_the_last_moment_leaves_nothing(
    serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda said: left.append(str(said.exc_value)))
    for turns in range(12):
        with socket.socket() as client:
            asyncio.run(serve(client, turns))
        gc.collect()
    assert left == []
