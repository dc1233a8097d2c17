"""Who offers another protocol than HTTP/1.1 is answered in HTTP/1.1, body and all."""

import asyncio

import pytest

from tests.http.test_connection import *  # noqa: F403  (port, doors)
from tests.http.test_connection import MOST_HEAD, Doors, answer_to, opened, told

OFFER = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
)
"""As Java's own client writes it, of each first request without TLS."""
HEAD = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n" + OFFER + b"\r\n"


async def test_a_body_is_read_although_h2c_was_offered(port: int) -> None:
    """In one piece, after its head, byte by byte; and what else the head says still counts."""
    whole = HEAD % b"/x?a=b" + b"hello"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for parts in ([whole + last], [whole[:-5], whole[-5:] + last], [*_bytes(whole), last]):
        answer = await answer_to(port, *parts)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert b"\r\n\r\n5 3HTTP/1.1 200 " in answer  # host, content-length, connection
    closing = whole.replace(b"Upgrade, HTTP", b"close, Upgrade, HTTP")
    assert (await answer_to(port, closing)).endswith(b"\r\n\r\n5 3")


async def test_a_body_in_chunks_and_several_requests_of_one_connection(port: int) -> None:
    chunked = (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + OFFER
        + b"\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )  # fmt: skip
    async with opened(port) as (reader, writer), asyncio.timeout(10):
        for request in (chunked, HEAD % b"/" + b"hello", chunked):
            writer.write(request)
            assert b"200" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(3) == b"5 3"


async def test_it_may_go_through_the_door(doors: Doors) -> None:
    async with opened(doors.port) as (reader, writer), asyncio.timeout(10):
        writer.write(HEAD % b"/whole" + b"hello")
        assert b"202" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(7) == b"whole 5"


@pytest.mark.parametrize("method", [b"CONNECT x:1", b"CONNECT /x"])
async def test_a_tunnel_is_no_offer(port: int, method: bytes) -> None:
    answer = await answer_to(port, method + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 ")


async def test_a_host_is_asked_of_it_as_of_every_request(port: int) -> None:
    told(await answer_to(port, (HEAD % b"/").replace(b"Host: x\r\n", b"") + b"hello"), 400)


async def test_a_head_that_came_in_one_piece_has_its_bound_too(port: int) -> None:
    """Up to 256 KiB are read at once: what was whole with them was taken whatever its size."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    fits = head + b"A: " + b"a" * (MOST_HEAD - 200) + b"\r\n\r\n"
    assert (await answer_to(port, fits)).startswith(b"HTTP/1.1 200")
    told(await answer_to(port, head + b"A: " + b"a" * MOST_HEAD + b"\r\n\r\n"), 431)
    body = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n"
    assert (await answer_to(port, body + b"b" * 60_000)).startswith(b"HTTP/1.1 200")


def _bytes(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]
