"""Connections that are kept: used again, bounded, and given up where an answer is not what it must be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from app.core.webhook_retry import Answer
from app.infra import http1
from app.infra.http1 import Connection, Kept
from app.infra.safe_http import SafeHttp
from tests.serving import serving


class Server:
    """Answers each request with the next of `answers`; after None it closes without one."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while self.answers:
                await reader.readuntil(b"\r\n\r\n")
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if b"Content-Length" not in answer and b"chunked" not in answer:
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with serving(self.serve) as self.port:
            yield

    async def post(self, client: SafeHttp) -> Answer:
        url = f"http://127.0.0.1:{self.port}/"
        return await client.post(url, {}, b"", now=datetime.now(UTC))


@contextlib.asynccontextmanager
async def answering(*answers: bytes | None) -> AsyncIterator[tuple[Server, SafeHttp]]:
    made, client = Server(*answers), SafeHttp(allow_private=True, within=20)
    async with made.running():
        yield made, client
        await client.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (OK, 200, "ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200, "ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end"),
        (b"HTTP/1.1 101 No\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 101, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000, 200, "x" * 1_000),
    ],
    ids=["length", "after hints", "chunked", "until closed", "switching", "long"],
)
async def test_an_answer_is_read_however_its_end_is_told(
    answer: bytes, status: int, text: str | None
) -> None:
    async with answering(answer, OK) as (server, client):
        found = await server.post(client)
        assert (found.status, found.text) == (status, text)
        assert (await server.post(client)).status == 200
        kept = "70000" not in repr(answer) and status == 200 and b"until" not in answer
        assert server.connections == (1 if kept else 2)


async def test_what_a_kept_connection_has_not_answered_goes_once_more_and_a_new_ones_does_not() -> (
    None
):
    async with answering(OK, None, OK, None) as (server, client):
        assert [(await server.post(client)).status for _ in range(2)] == [200, 200]
        await client.close()
        assert (await server.post(client)).error == "connection_lost"
        assert server.connections == 3


async def test_a_second_answer_that_nobody_asked_for_ends_the_connection() -> None:
    async with answering(OK + OK, OK) as (server, client):
        assert [(await server.post(client)).text for _ in range(2)] == ["ok", "ok"]
        assert server.connections == 2


async def test_so_many_are_kept_and_the_last_used_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, kept = asyncio.get_running_loop(), Kept(2)
    made = Server(*[OK] * 9)
    async with made.running():
        port, three = made.port, []
        for n in range(3):
            _, one = await loop.create_connection(Connection, "127.0.0.1", port)
            answer = loop.create_future()
            one.ask(b"GET / HTTP/1.1\r\n\r\n", answer.set_result)
            await answer
            kept.give(("http", f"host{n}", port), one)
            three.append(one)
        assert [one.fresh for one in three] == [False, True, True]
        assert kept.take(("http", "host0", port)) is None
        assert kept.take(("http", "host2", port)) is three[2]
        kept.give(("http", "host2", port), three[2])
        kept.shrink(1)
        assert [one.fresh for one in three] == [False, False, True]
        monkeypatch.setattr(http1, "LONGEST_LIFE", 0.0)
        assert kept.take(("http", "host2", port)) is None
        assert len(kept) == 0
        kept.close()


class Wire(asyncio.Transport):
    """In the place of a socket: takes what is sent, and may be closing."""

    closing = False

    def write(self, data: object) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


def heard(connection: Connection, *pieces: bytes) -> tuple[object, bool]:
    """What a connection tells of an answer that comes in these pieces, and if it may be asked again."""
    ends: list[object] = []
    connection.ask(b"GET / HTTP/1.1\r\n\r\n", ends.append)
    for piece in pieces:
        connection.data_received(piece)
    if not ends:
        connection.connection_lost(None)
    (end,) = ends
    return end if isinstance(end, http1.Reply) else repr(end), connection.fresh


def connected() -> Connection:
    made = Connection()
    made.connection_made(Wire())
    return made


ALIKE = (
    OK,
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(OK) + OK,
    OK.replace(b"ok", b"no"),
    OK + b"x",
    OK + OK,
    OK[:-1],
    OK.replace(b"200", b"500"),
    OK.replace(b": 2", b": 1"),
    OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\nxx",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2_000 + b"\r\nContent-Length: 0\r\n\r\n",
)


async def test_an_answer_whose_head_is_known_says_what_it_says_to_one_who_reads_it_first() -> None:
    for first in ALIKE:
        for then in ALIKE:
            for cut in {0, len(then) - 1, len(then) - 2, max(0, len(then) - len(OK))}:
                one = connected()
                if not heard(one, first)[1]:
                    continue
                pieces = [piece for piece in (then[:cut], then[cut:]) if piece]
                assert heard(one, *pieces) == heard(connected(), *pieces), (first, then, cut)


async def test_what_is_known_is_not_read_again() -> None:
    one = connected()
    before = one._parser
    assert heard(one, OK)[1]
    parser = one._parser
    assert parser is not before
    told, again = heard(one, OK.replace(b"ok", b"no"))
    assert isinstance(told, http1.Reply)
    assert (told.body, again, one._parser is parser) == (b"no", True, True)
