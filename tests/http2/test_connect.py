"""From a name to a connection, however many of its addresses are dead."""

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

import pytest

from app.http2.connect import Endpoint, in_turn

V4, V6 = socket.AF_INET, socket.AF_INET6


class Loop:
    """A running loop whose name server says what the test wants."""

    def __init__(self, *addresses: tuple[Any, ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._found = [(V4, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    async def getaddrinfo(self, *_: Any, **__: Any) -> list[Any]:
        return self._found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def silent(stack: ExitStack) -> tuple[str, int]:
    """An address that says nothing to a SYN: a listener whose queue is full."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address: tuple[str, int] = listener.getsockname()
    for _ in range(2):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(address)
    return address


def refusing() -> tuple[str, int]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address: tuple[str, int] = closed.getsockname()
        return address


@pytest.mark.parametrize("dead", ["silent", "refusing"])
async def test_fifteen_dead_addresses_of_sixteen_are_got_through(dead: str) -> None:
    with ExitStack() as stack:
        living = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        bad = [silent(stack) if dead == "silent" else refusing() for _ in range(15)]
        loop = Loop(*bad, living.getsockname())
        async with asyncio.timeout(5.0):
            sock = await Endpoint("https://apple.example").connect(loop, 1.0, lambda: 0.0)
        with sock:
            assert sock.getpeername() == living.getsockname()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    await asyncio.wait(left, timeout=1.0) if left else None
    assert all(task.done() for task in left)


async def test_when_none_answers_the_cause_is_told() -> None:
    loop = Loop(refusing(), refusing())
    with pytest.raises(ConnectionRefusedError):
        await Endpoint("https://apple.example").connect(loop, 1.0, lambda: 0.9)


def test_families_take_turns_from_a_random_one_of_each_on() -> None:
    six = [(V6, 1, 6, "", (f"::{n}", 443, 0, 0)) for n in range(3)]
    four = [(V4, 1, 6, "", (f"10.0.0.{n}", 443)) for n in range(2)]
    order = [one[4][0] for one in in_turn([*six, *four], lambda: 0.5)]
    assert order == ["::1", "10.0.0.1", "::2", "10.0.0.0", "::0"]
    assert [one[4][0] for one in in_turn(four, lambda: 0.0)] == ["10.0.0.0", "10.0.0.1"]
