"""Connections that are accepted notice when their peer is gone."""

import asyncio
import socket

from app.infra.process import UNANSWERED_FOR, notice_the_vanished


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
