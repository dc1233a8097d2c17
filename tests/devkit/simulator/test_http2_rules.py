"""HTTP/2 itself: a client that breaks it is told so, and one that does not is left alone."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from jh2.hpack import Decoder, Encoder

from devkit.simulator import Issued, Simulator
from tests.devkit.simulator.conftest import Connect, ContextMaker
from tests.devkit.simulator.raw_client import TOPIC, RawClient

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 32
PROTOCOL, FLOW, CLOSED, SIZE, COMPRESSION = 1, 3, 5, 6, 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(token: str, *extra: tuple[str, str], **changed: str | None) -> bytes:
    """A whole header block for a push; `changed` replaces or (None) drops pseudo-headers."""
    fields: dict[str, str | None] = {
        "method": "POST",
        "scheme": "https",
        "path": f"/3/device/{token}",
        "authority": "localhost",
    }
    fields |= changed
    listed = [(f":{name}", value) for name, value in fields.items() if value is not None]
    listed += [("apns-topic", TOPIC), ("apns-push-type", "voip"), *extra]
    return bytes(Encoder().encode(listed, huffman=False))


class Wire:
    """A TLS connection on which frames are written and read by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *pieces: bytes) -> None:
        self.writer.write(b"".join(pieces))

    async def next(self, *kinds: int) -> tuple[int, int, int, bytes]:
        """Read on to a frame of one of `kinds`: (kind, flags, stream, payload)."""
        async with asyncio.timeout(5):
            while True:
                head = await self.reader.readexactly(9)
                size = int.from_bytes(head[:3], "big")
                payload = await self.reader.readexactly(size)
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                if kind in kinds:
                    return kind, flags, stream, payload

    async def goaway(self) -> tuple[int, int]:
        """Read on to GOAWAY, then to the end: (last stream, code)."""
        _, _, _, payload = await self.next(GOAWAY)
        async with asyncio.timeout(5):
            await self.reader.read()
        return struct.unpack(">II", payload[:8])

    async def reset(self) -> tuple[int, int]:
        """Read on to RST_STREAM: (stream, code)."""
        _, _, stream, payload = await self.next(RST)
        return stream, int.from_bytes(payload, "big")

    async def status(self) -> int:
        """Read on to a response; its stream must be the one that was asked for."""
        _, _, _, payload = await self.next(HEADERS)
        return int(dict(Decoder().decode(payload))[":status"])


Wired = Callable[..., AbstractAsyncContextManager[Wire]]


@pytest.fixture
def wired(sim: Simulator, context: ContextMaker, certificate: Issued) -> Wired:
    @asynccontextmanager
    async def make(*, preface: bool = True) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", sim.production_port, ssl=context(certificate), server_hostname="localhost"
        )
        wire = Wire(reader, writer)
        if preface:
            wire.send(PREFACE, frame(SETTINGS, 0, 0))
        try:
            yield wire
        finally:
            writer.transport.abort()

    return make


BODY = b'{"aps":{}}'
BROKEN_CONNECTIONS = {
    "DATA on stream 0": (frame(DATA, 0, 0, b"x"), PROTOCOL),
    "DATA on an idle stream": (frame(DATA, 0, 1, b"x"), PROTOCOL),
    "HEADERS on an even stream": (frame(HEADERS, 5, 2, headers("ab" * 32)), PROTOCOL),
    "RST_STREAM on an idle stream": (frame(RST, 0, 1, b"\0\0\0\0"), PROTOCOL),
    "RST_STREAM of a wrong size": (frame(RST, 0, 1, b"\0"), SIZE),
    "SETTINGS on a stream": (frame(SETTINGS, 0, 1), PROTOCOL),
    "SETTINGS of a wrong size": (frame(SETTINGS, 0, 0, b"\0"), SIZE),
    "SETTINGS with a huge window": (frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31)), FLOW),
    "SETTINGS with a tiny frame": (frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 1)), PROTOCOL),
    "PUSH_PROMISE": (frame(PUSH, 4, 1, b"\0\0\0\2"), PROTOCOL),
    "PING of a wrong size": (frame(PING, 0, 0, b"1"), SIZE),
    "PING on a stream": (frame(PING, 0, 1, b"12345678"), PROTOCOL),
    "WINDOW_UPDATE of 0": (frame(WINDOW, 0, 0, b"\0\0\0\0"), PROTOCOL),
    "WINDOW_UPDATE beyond all": (frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), FLOW),
    "CONTINUATION alone": (frame(CONTINUATION, 4, 1, b""), PROTOCOL),
    "HEADERS interrupted": (frame(HEADERS, 0, 1, b"") + frame(PING, 0, 0, b"12345678"), PROTOCOL),
    "a frame that is too large": (frame(DATA, 0, 1, b"x" * 16_385), SIZE),
    "padding that is too long": (frame(HEADERS, 4 | PADDED, 1, b"\x05abc"), PROTOCOL),
    "a header block that is none": (frame(HEADERS, 5, 1, b"\xff\xff\xff\xff"), COMPRESSION),
    "an index that is not there": (frame(HEADERS, 5, 1, b"\xfe"), COMPRESSION),
    "a header block without end": (
        frame(HEADERS, 0, 1, b"x" * 16_000) + frame(CONTINUATION, 0, 1, b"x" * 16_000) * 5,
        11,
    ),
}


@pytest.mark.parametrize("what", BROKEN_CONNECTIONS)
async def test_breaches_that_end_the_connection(sim: Simulator, wired: Wired, what: str) -> None:
    sent, code = BROKEN_CONNECTIONS[what]
    async with wired() as wire:
        wire.send(sent)
        assert (await wire.goaway())[1] == code
    assert len(sim.statistics()["violations"]) == 1


async def test_no_preface(wired: Wired) -> None:
    async with wired(preface=False) as wire:
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        assert await wire.goaway() == (0, PROTOCOL)


async def test_streams_must_count_up(wired: Wired, token: str) -> None:
    async with wired() as wire:
        wire.send(frame(HEADERS, END_HEADERS, 5, headers(token)), frame(DATA, 1, 5, BODY))
        assert await wire.status() == 200
        wire.send(frame(HEADERS, END_HEADERS, 3, headers(token)))
        assert await wire.goaway() == (5, CLOSED)


MALFORMED = {
    "an upper-case name": {"extra": [("Apns-Priority", "10")]},
    "a connection header": {"extra": [("connection", "keep-alive")]},
    "te": {"extra": [("te", "gzip")]},
    "an unknown pseudo-header": {"extra": [], "fancy": "1"},
    "a pseudo-header after others": {"extra": [(":path", "/")]},
    "no method": {"extra": [], "method": None},
    "no path": {"extra": [], "path": None},
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_malformed_requests_end_their_stream(
    sim: Simulator, wired: Wired, token: str, what: str
) -> None:
    changed = dict(MALFORMED[what])
    extra = changed.pop("extra")
    async with wired() as wire:
        wire.send(frame(HEADERS, END_HEADERS, 1, headers(token, *extra, **changed)))
        wire.send(frame(DATA, END_STREAM, 1, BODY))
        assert await wire.reset() == (1, PROTOCOL)
        wire.send(frame(HEADERS, END_HEADERS, 3, headers(token)), frame(DATA, 1, 3, BODY))
        assert await wire.status() == 200
    assert len(sim.arrivals()) == 1


async def test_windows_are_enforced(sim: Simulator, wired: Wired, token: str) -> None:
    sim.connection_fault(settings={"initial_window_size": 20}, times=1)
    async with wired() as wire:
        await wire.next(SETTINGS)
        wire.send(frame(SETTINGS, 1, 0))
        wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)), frame(DATA, 0, 1, b"x" * 21))
        assert await wire.reset() == (1, FLOW)
    sim.connection_fault(refill_connection_window=False, times=1)
    async with wired() as wire:
        for stream in range(1, 13, 2):
            wire.send(frame(HEADERS, END_HEADERS, stream, headers(token)))
            wire.send(frame(DATA, 1, stream, b"x" * 16_000))
        assert (await wire.goaway())[1] == FLOW


async def test_a_window_that_is_not_acknowledged_yet_does_not_count(
    sim: Simulator, wired: Wired, token: str
) -> None:
    sim.connection_fault(settings={"initial_window_size": 0}, times=1)
    async with wired() as wire:
        # Sent before the client could know of the server's SETTINGS.
        wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)), frame(DATA, 1, 1, BODY))
        assert await wire.status() == 200


async def test_what_a_correct_client_may_do(sim: Simulator, wired: Wired, token: str) -> None:
    block = headers(token)
    async with wired() as wire:
        wire.send(
            frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"),
            frame(0xFA, 0xFF, 0, b"a frame type that nobody knows"),
            frame(
                HEADERS, PADDED | WITH_PRIORITY, 1, b"\x02" + b"\0\0\0\0\x10" + block[:9] + b"\0\0"
            ),
            frame(CONTINUATION, 0, 1, block[9:20]),
            frame(CONTINUATION, END_HEADERS, 1, block[20:]),
            frame(DATA, PADDED, 1, b"\x03" + BODY[:4] + b"\0\0\0"),
            frame(DATA, 0, 1, b""),
            frame(DATA, 0, 1, BODY[4:]),
            frame(HEADERS, END_HEADERS | END_STREAM, 1, bytes(Encoder().encode([("x-t", "1")]))),
        )
        assert await wire.status() == 200
        wire.send(frame(RST, 0, 1, b"\0\0\0\x08"), frame(WINDOW, 0, 1, b"\0\0\0\1"))
        wire.send(frame(PING, 0, 0, b"12345678"))
        assert (await wire.next(PING))[1:] == (1, 0, b"12345678")
    assert sim.arrivals()[0].raw == BODY
    assert sim.statistics()["violations"] == []


async def test_byte_by_byte(wired: Wired, token: str) -> None:
    async with wired(preface=False) as wire:
        whole = b"".join(
            (
                PREFACE,
                frame(SETTINGS, 0, 0),
                frame(HEADERS, END_HEADERS, 1, headers(token)),
                frame(DATA, END_STREAM, 1, BODY),
            )
        )
        for position in range(len(whole)):
            wire.send(whole[position : position + 1])
            await asyncio.sleep(0)
        assert await wire.status() == 200


async def test_windows_of_both_kinds_are_refilled(
    client: RawClient, sim: Simulator, token: str
) -> None:
    """A long stream of large bodies passes: 200 pushes are ten windows."""
    body = b'{"aps":{},"x":"' + b"y" * 3500 + b'"}'
    for _ in range(200):
        await client.until(lambda: client.h2.outbound_flow_control_window > len(body))
        assert (await client.push(token, body)).status == 200
    assert sim.statistics()["violations"] == []


async def test_changed_windows_of_a_client(connect: Connect, certificate: Issued) -> None:
    """A client with a tiny stream window gets its answer in pieces as it opens."""
    async with connect(certificate) as client:
        client.refill = False
        client.h2.update_settings({4: 10})
        client.flush()
        await client.until(lambda: client.settings_acknowledged == 2)
        stream = client.send("ab" * 32)
        with pytest.raises(TimeoutError):
            await client.answer(stream, 0.1)
        assert client.answers[stream].body == b'{"reason":'
        client.h2.update_settings({4: 20})
        client.flush()
        await client.until(lambda: len(client.answers[stream].body) == 20)
        client.h2.increment_flow_control_window(100, stream)
        client.flush()
        assert (await client.answer(stream)).reason == "BadDeviceToken"


async def test_breaches_on_a_stream_that_waits_for_its_answer(
    sim: Simulator, wired: Wired, token: str
) -> None:
    """Each on a stream of its own, whose request is complete and whose answer is held."""
    sim.fault(hold=True)
    async with wired() as wire:
        wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)), frame(DATA, 1, 1, BODY))
        wire.send(frame(DATA, 1, 1, BODY))
        assert await wire.reset() == (1, CLOSED)
        for stream, increment, code in ((3, 0, PROTOCOL), (5, 2**31 - 1, FLOW)):
            wire.send(frame(HEADERS, END_HEADERS, stream, headers(token)))
            wire.send(frame(WINDOW, 0, stream, struct.pack(">I", increment)))
            assert await wire.reset() == (stream, code)
        wire.send(frame(HEADERS, END_HEADERS, 7, headers(token)))
        wire.send(frame(HEADERS, END_HEADERS, 7, headers(token)))
        assert await wire.goaway() == (7, PROTOCOL)
