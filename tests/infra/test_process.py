"""Connections that are accepted notice when their peer is gone."""

import asyncio
import contextlib
import socket

import uvloop

from app.infra.process import (
    TAKEN_A_TURN,
    UNANSWERED_FOR,
    notice_the_vanished,
    taken_by_the_turn,
)


def test_accepted_connections_have_the_options() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        notice_the_vanished(listener)
        with (
            socket.create_connection(listener.getsockname()),
            listener.accept()[0] as accepted,
        ):
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                found = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert found == UNANSWERED_FOR * 1_000


def test_other_kinds_of_sockets_are_left_alone() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        notice_the_vanished(listener)


async def test_what_plain_asyncio_writes_to_an_accepted_connection_leaves_at_once() -> None:
    """uvloop sees to it by itself, asyncio does not where a listener was handed to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        notice_the_vanished(listener)
        accepted = asyncio.Queue[asyncio.StreamWriter]()
        server = await asyncio.start_server(lambda _, writer: accepted.put(writer), sock=listener)
        _, client = await asyncio.open_connection(*listener.getsockname())
        writer = await accepted.get()
        sock = writer.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for one in (writer, client):
            one.close()
            await one.wait_closed()
        server.close()


AT_ONCE = 10 * TAKEN_A_TURN


async def turns_until_all_are_taken() -> int:
    """Turns of the loop until so many connections that come at once are accepted."""
    loop, taken, turns = asyncio.get_running_loop(), list[asyncio.Protocol](), 0

    class One(asyncio.Protocol):
        def connection_made(self, _: asyncio.BaseTransport) -> None:
            taken.append(self)

    with socket.create_server(("127.0.0.1", 0), backlog=AT_ONCE) as listener:
        heard = taken_by_the_turn(listener)
        servers = [await loop.create_server(One, sock=one) for one in heard]
        with contextlib.ExitStack() as clients:
            for _ in range(AT_ONCE):
                client = clients.enter_context(socket.socket())
                client.connect(listener.getsockname())
            while len(taken) < AT_ONCE:
                turns += 1
                await asyncio.sleep(0)
        for server in servers:
            server.close()
    return turns


def test_more_than_one_connection_is_taken_in_a_turn_of_the_loop() -> None:
    """Of one listening socket libuv takes one each, which is few where a turn lasts long."""
    turns = uvloop.run(turns_until_all_are_taken())
    assert turns <= AT_ONCE / TAKEN_A_TURN + 5
