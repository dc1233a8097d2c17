"""What may be taken of a connection before anybody is known."""

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from app.http import connection
from app.http.connection import MOST_HEAD, BoundedConnection, limits
from app.http.whole import Door, Whole

MOST = 20


class Application:
    """The app below, with a door at `/whole`."""

    def __init__(self) -> None:
        self.door = Door(b"/whole", self.take, lambda: self.busy, frozenset({b"/healthz"}))
        self.busy = False
        self.taken: list[Whole] = []

    async def __call__(self, scope, receive, send) -> None:
        await app(scope, receive, send)

    def take(self, whole: Whole) -> bool:
        """`no`: not taken; `later`: waits in `taken`; what else there is: its length."""
        if whole.body == b"no":
            return False
        self.taken.append(whole)
        if whole.body != b"later":
            self.answer(whole)
        return True

    def answer(self, whole: Whole) -> None:
        body = b"whole %d" % len(whole.body)
        if not whole.answer(b"HTTP/1.1 202 Accepted\r\ncontent-length: %d\r\n" % len(body), body):
            whole.go_on(app)


async def app(scope, receive, send) -> None:
    """Reads a request and says how many bytes its body had; a WebSocket says what it was told."""
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        told = await receive()
        await send({"type": "websocket.send", "text": json.dumps(told.get("code", "text"))})
        return
    seen, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        seen += len(message["body"])
        more = message["more_body"]
    body = b"%d %d" % (seen, len(scope["headers"]))
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", b"%d" % len(body))],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})


REST = 0.5


@contextlib.asynccontextmanager
async def serving(rest: float, served: Any = app) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    config = uvicorn.Config(
        served,
        port=0,
        log_config=None,
        lifespan="off",
        proxy_headers=False,
        timeout_keep_alive=rest,
        **limits(MOST),
    )
    listener = config.bind_socket()
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield listener.getsockname()[1], server
    server.should_exit = True
    await running
    listener.close()


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The server, with shorter times."""
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.4)
    monkeypatch.setattr(connection, "BODY_WITHIN", 0.4)
    async with serving(60) as (found, _):
        yield found


@pytest.fixture
async def short_rest() -> AsyncIterator[int]:
    """The server, which closes what rests for `REST` seconds."""
    async with serving(REST) as (found, _):
        yield found


@dataclass
class Doors:
    """A server of an app with a door."""

    port: int
    app: Application
    server: uvicorn.Server

    async def waits(self) -> None:
        """Until the app has been asked something through it."""
        async with asyncio.timeout(10):
            while not self.app.taken:
                await asyncio.sleep(0.01)


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    """The server, of an app with a door."""
    made = Application()
    async with serving(60, made) as (found, server):
        yield Doors(found, made, server)


@contextlib.asynccontextmanager
async def opened(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def answer_to(port: int, *parts: bytes) -> bytes:
    """All that comes back until the server closes; whatever is still to be sent then is not."""
    async with opened(port) as (reader, writer):
        with contextlib.suppress(OSError):
            for part in parts:
                writer.write(part)
                await writer.drain()
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                return await reader.read()
    return b""


GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CLOSE = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([GET + CLOSE], b"200"),
        ([GET + b"A: " + b"a" * (MOST_HEAD // 2) + b"\r\n" + CLOSE], b"200"),
        ([GET, *[b"A%d: " % n + b"a" * 8_000 + b"\r\n" for n in range(2_000)]], b"431"),
        ([GET + b"A: ", *[b"a" * 65_536] * 100], b"431"),
        ([GET, *[b"A: b\r\n"] * 120, CLOSE], b"431"),
        ([b"GET /", *[b"a" * 65_536] * 100], b"414"),
        ([POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", *[b"T: " + b"t" * 8_000 + b"\r\n"] * 500], b"431"),
        ([b"\x16\x03\x01" + b"\x00" * 100], b"400"),
    ],
    ids=["plain", "large", "headers", "one header", "many headers", "target", "trailers", "tls"],
)  # fmt: skip
async def test_no_more_of_a_head_than_may_be(port: int, parts, status: bytes) -> None:
    answer = await answer_to(port, *parts)
    # who is still sending meets a closed connection, and may not get to read the answer
    refused = answer == b"" and status != b"200"
    assert refused or answer.startswith(b"HTTP/1.1 " + status), answer[:80]


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([], b""),
        ([b"GET"], b"HTTP/1.1 408"),
        ([GET], b"HTTP/1.1 408"),
        ([POST + b"Content-Length: 10\r\n\r\nabc"], b"HTTP/1.1 408"),
        ([POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"], b"HTTP/1.1 408"),
    ],
    ids=["nothing", "a word", "half a head", "half a body", "half of the chunks"],
)  # fmt: skip
async def test_a_request_arrives_in_time_or_not_at_all(port: int, parts, status: bytes) -> None:
    answer = await answer_to(port, *parts)
    assert answer.startswith(status)
    assert bool(answer) == bool(status)
    if answer:
        told(answer, 408)


def told(answer: bytes, status: int) -> None:
    """It is a problem document, as every refusal."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"content-length: %d\r\n" % len(body) in head
    found = json.loads(body)
    assert (found["status"], found["code"]) == (status, f"http_{status}")
    assert found["detail"]


@pytest.mark.parametrize(
    "head",
    [
        b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        GET + b"Authorization : x\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: identity\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://x/ HTTP/1.1\r\n\r\n",
        GET + b"Host: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: x/y\r\n\r\n",
        GET + b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"POST /whole HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_told_as_every_refusal(port: int, head: bytes) -> None:
    answer = await answer_to(port, head)
    if head.startswith(GET + b"\r\n"):  # the first of two is answered
        answer = answer[answer.index(b"HTTP/1.1 400") :]
    told(answer, 400)


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n" + CLOSE,
     b"GET / HTTP/1.1\r\nHost:\r\n" + CLOSE, b"GET / HTTP/1.1\r\nHost: a_b.c%41:8080\r\n" + CLOSE],
)  # fmt: skip
async def test_what_a_host_may_be(port: int, head: bytes) -> None:
    assert (await answer_to(port, head)).startswith(b"HTTP/1.1 200")


async def test_drops_do_not_buy_time(port: int) -> None:
    async with opened(port) as (reader, writer):
        reading = asyncio.create_task(reader.read())
        async with asyncio.timeout(10):
            for letter in GET + b"A: " + b"a" * 10_000:
                writer.write(bytes((letter,)))
                done, _ = await asyncio.wait([reading], timeout=0.02)
                if done:
                    break
        assert reading.done()
        with contextlib.suppress(ConnectionResetError):
            assert (await reading).startswith(b"HTTP/1.1 408")


async def test_a_kept_connection_may_rest_and_its_next_request_is_timed(port: int) -> None:
    async with opened(port) as (reader, writer):
        for _ in range(2):
            writer.write(POST + b"Content-Length: 3\r\n\r\nabc")
            answer = await reader.readuntil(b"3 2")
            assert answer.startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.6)  # longer than a head may take
        writer.write(GET)
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 408")


async def test_only_so_many_connections(port: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST):
            await stack.enter_async_context(opened(port))
        async with opened(port) as (reader, _):
            async with asyncio.timeout(10):
                assert (await reader.read()).startswith(b"HTTP/1.1 503")
    async with asyncio.timeout(10):
        while not (await answer_to(port, GET + CLOSE)).startswith(b"HTTP/1.1 200"):
            await asyncio.sleep(0.05)


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
THIRTEEN = b"Sec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (UPGRADE, 426),
        (UPGRADE + KEY, 426),
        (UPGRADE + KEY + b"Sec-WebSocket-Version: 8\r\n", 426),
        (UPGRADE + THIRTEEN, 400),
        (UPGRADE + KEY + KEY + THIRTEEN, 400),
        (UPGRADE + b"Sec-WebSocket-Key: short\r\n" + THIRTEEN, 400),
        (UPGRADE + KEY + THIRTEEN + b"Content-Length: 4\r\n", 400),
        (UPGRADE + KEY + THIRTEEN + b"A: " + b"a" * 9_000 + b"\r\n", 400),
        (UPGRADE.replace(b"GET", b"POST") + KEY + THIRTEEN, 400),
        (UPGRADE.replace(b"GET /", b"GET /" + b"a" * 9_000) + KEY + THIRTEEN, 400),
        (UPGRADE.replace(b"Host: x\r\n", b"") + KEY + THIRTEEN, 400),
    ],
    ids=["bare", "no version", "version 8", "no key", "two keys", "short key", "body", "long line",
         "post", "long target", "no host"],
)  # fmt: skip
async def test_a_handshake_that_is_none_is_told_as_every_refusal(
    port: int, head: bytes, status: int
) -> None:
    answer = await answer_to(port, head + b"\r\n")
    told(answer, status)
    assert (b"sec-websocket-version: 13" in answer) == (status == 426)


async def test_the_last_connection_that_may_be_is_served(port: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST - 1):
            await stack.enter_async_context(opened(port))
        assert (await answer_to(port, GET + CLOSE)).startswith(b"HTTP/1.1 200")


def frame(data: bytes, first: int) -> bytes:
    """One masked frame (RFC 6455, 5.2), the mask of zeros."""
    return bytes((first, 0x80 | 127)) + len(data).to_bytes(8, "big") + bytes(4) + data


async def test_messages_are_small_and_not_packed(port: int) -> None:
    packed = zlib.compress(b" " * 16_000_000, 9)[2:-4]
    for sent in (frame(packed, 0xC1), frame(b"a" * 100_000, 0x81)):
        async with opened(port) as (reader, writer):
            writer.write(HANDSHAKE)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"101" in head
            assert b"deflate" not in head
            with contextlib.suppress(OSError):
                writer.write(sent)
            async with asyncio.timeout(10):
                assert (await reader.read(1)) == b"\x88", "it is closed"


def test_a_process_has_no_more_connections_than_files() -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    made = limits(10**9)
    assert made["http"] is BoundedConnection
    assert 1 <= made["limit_concurrency"] <= (10**9 if hard == resource.RLIM_INFINITY else hard)


def to_door(body: bytes, *more: bytes) -> bytes:
    head = [b"POST /whole HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join([*head, b"", body])


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100"):
            head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head, await reader.readexactly(length)


async def test_what_comes_whole_goes_through_the_door(doors: Doors) -> None:
    """And everything else by messages: by parts, of another version, another target or method."""
    async with opened(doors.port) as (reader, writer):
        for sent, body in (
            ([to_door(b"abc")], b"whole 3"),
            ([to_door(b"")], b"whole 0"),
            ([to_door(b"no")], b"2 2"),
            ([to_door(b"abc")[:-1], b"c"], b"3 2"),
            ([to_door(b"abc")[:30], to_door(b"abc")[30:]], b"whole 3"),
            ([to_door(b"abc").replace(b"/whole", b"/whole?a")], b"3 2"),
            ([to_door(b"abc").replace(b"POST", b"PUT")], b"3 2"),
            ([to_door(b"abc", b"Expect: 100-continue")], b"3 3"),
            ([POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"], b"1 2"),
        ):
            for part in sent:
                writer.write(part)
                await asyncio.sleep(0.05)
            head, found = await read_answer(reader)
            assert found == body, sent
            assert b"\r\ndate: " in head


async def test_who_comes_while_all_are_busy_is_told_to_come_again(doors: Doors) -> None:
    """Before anything is done for it; who looks whether the process is well is answered."""
    async with opened(doors.port) as (reader, writer):
        writer.write(to_door(b"later"))
        await doors.waits()
        doors.app.busy = True
        for asked in (to_door(b"abc"), GET + b"\r\n"):
            async with opened(doors.port) as (turned, away):
                away.write(asked)
                head, body = await read_answer(turned)
                assert head.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 1\r\n" in head
                assert json.loads(body)["code"] == "busy"
        async with opened(doors.port) as (turned, away):
            away.write(GET.replace(b" / ", b" /healthz ") + b"\r\n")
            assert (await read_answer(turned))[0].startswith(b"HTTP/1.1 200 ")
        assert len(doors.app.taken) == 1
        doors.app.answer(doors.app.taken[0])  # whom it had begun to serve it serves
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 202 ")


async def test_what_is_asked_next_waits_for_the_answer_through_the_door(doors: Doors) -> None:
    async with opened(doors.port) as (reader, writer):
        writer.write(to_door(b"later") + GET + b"\r\n" + to_door(b"abc"))
        await doors.waits()
        assert len(doors.app.taken) == 1
        doors.app.answer(doors.app.taken[0])
        found = [(await read_answer(reader))[1] for _ in range(3)]
        assert found == [b"whole 5", b"0 1", b"3 2"]
        writer.write(to_door(b"abc"))
        assert (await read_answer(reader))[1] == b"whole 3"


async def test_an_answer_through_the_door_may_go_on_by_messages(doors: Doors) -> None:
    """As the last of its connection does: the server stops."""
    async with opened(doors.port) as (reader, writer):
        writer.write(to_door(b"later"))
        await doors.waits()
        doors.server.should_exit = True
        while doors.app.taken[0].keep_alive:
            await asyncio.sleep(0.01)
        doors.app.answer(doors.app.taken[0])
        head, body = await read_answer(reader)
        assert (head[:15], body) == (b"HTTP/1.1 200 OK", b"5 2")
        assert b"connection: close\r\n" in head
        assert await reader.read() == b""


async def test_whoever_has_gone_is_answered_nothing(doors: Doors) -> None:
    async with opened(doors.port) as (_, writer):
        writer.write(to_door(b"later"))
        await doors.waits()
    whole = doors.app.taken[0]
    while not whole.disconnected:
        await asyncio.sleep(0.01)
    assert whole.answer(b"HTTP/1.1 202 Accepted\r\n", b"")
    async with opened(doors.port) as (reader, writer):
        writer.write(to_door(b"abc"))
        assert (await read_answer(reader))[1] == b"whole 3"


async def test_what_ends_its_connection_is_answered_by_messages(doors: Doors) -> None:
    answer = await answer_to(doors.port, to_door(b"abc", b"Connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer


async def test_a_connection_that_rests_for_too_long_is_closed(short_rest: int) -> None:
    """Counted from its last answer, whenever the first was."""
    async with opened(short_rest) as (reader, writer):
        for _ in range(5):
            writer.write(GET + b"\r\n")
            await reader.readuntil(b"0 1")
            await asyncio.sleep(REST * 0.3)
        begun = asyncio.get_running_loop().time()
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        assert asyncio.get_running_loop().time() - begun < 5 * REST
