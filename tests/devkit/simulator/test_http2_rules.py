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
    "a promise on an even stream": (frame(PUSH, 4, 2, b"\0\0\0\2"), PROTOCOL),
    "PRIORITY of a wrong size": (frame(PRIORITY, 0, 1, b"\0\0\0\0"), SIZE),
    "PRIORITY on stream 0": (frame(PRIORITY, 0, 0, b"\0\0\0\0\0"), PROTOCOL),
    "a stream that depends on itself": (frame(PRIORITY, 0, 1, b"\x80\0\0\1\0"), PROTOCOL),
    "a new stream that depends on itself": (
        frame(HEADERS, 4 | WITH_PRIORITY, 1, b"\0\0\0\1\0" + headers("ab" * 32)),
        PROTOCOL,
    ),
    "HEADERS shorter than its priority": (frame(HEADERS, 4 | WITH_PRIORITY, 1, b"\0\0"), SIZE),
    "padding of a frame of nothing": (frame(HEADERS, 4 | PADDED, 1), SIZE),
    "padding that takes the priority": (
        frame(HEADERS, 4 | PADDED | WITH_PRIORITY, 1, b"\x05" + b"\0" * 7),
        SIZE,
    ),
    "HEADERS on stream 0": (frame(HEADERS, 5, 0, headers("ab" * 32)), PROTOCOL),
    "RST_STREAM on stream 0": (frame(RST, 0, 0, b"\0\0\0\0"), PROTOCOL),
    "SETTINGS ACK with a payload": (frame(SETTINGS, 1, 0, b"\0\4\0\0\0\1"), SIZE),
    "ENABLE_PUSH 2": (frame(SETTINGS, 0, 0, struct.pack(">HI", 2, 2)), PROTOCOL),
    "a wrong setting before a right one": (
        frame(SETTINGS, 0, 0, struct.pack(">HIHI", 4, 2**31, 4, 100)),
        FLOW,
    ),
    "SETTINGS with a frame beyond all": (
        frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 2**24)),
        PROTOCOL,
    ),
    "PING with an ACK of a wrong size": (frame(PING, 1, 0, b"123456789"), SIZE),
    "GOAWAY on a stream": (frame(GOAWAY, 0, 1, b"\0" * 8), PROTOCOL),
    "GOAWAY of a wrong size": (frame(GOAWAY, 0, 0, b"\0" * 7), SIZE),
    "GOAWAY that takes back another": (
        frame(GOAWAY, 0, 0, b"\0" * 8) + frame(GOAWAY, 0, 0, b"\0\0\0\2" + b"\0" * 4),
        PROTOCOL,
    ),
    "WINDOW_UPDATE of a wrong size": (frame(WINDOW, 0, 0, b"\0\0\1"), SIZE),
    "WINDOW_UPDATE on an idle stream": (frame(WINDOW, 0, 1, b"\0\0\0\1"), PROTOCOL),
    "WINDOW_UPDATE on an even stream": (frame(WINDOW, 0, 2, b"\0\0\0\1"), PROTOCOL),
    "CONTINUATION of another stream": (
        frame(HEADERS, 0, 1, b"") + frame(CONTINUATION, 4, 3, b""),
        PROTOCOL,
    ),
    "an unknown frame inside a header block": (
        frame(HEADERS, 0, 1, b"") + frame(0xFA, 0, 1, b""),
        PROTOCOL,
    ),
    "CONTINUATIONs of nothing without end": (
        frame(HEADERS, 0, 1, b"") + frame(CONTINUATION, 0, 1, b"") * 1_000,
        11,
    ),
    "index 0": (frame(HEADERS, 5, 1, b"\x80"), COMPRESSION),
    "a table above the limit": (frame(HEADERS, 5, 1, b"\x3f\xe2\x1f\x82"), COMPRESSION),
    "a table size after a field": (
        frame(HEADERS, 5, 1, headers("ab" * 32) + b"\x20"),
        COMPRESSION,
    ),
    "three table sizes": (frame(HEADERS, 5, 1, b"\x20\x20\x20\x82"), COMPRESSION),
    "Huffman padding of zeros": (frame(HEADERS, 5, 1, b"\x82\x00\x81\x18\x011"), COMPRESSION),
    "Huffman padding of a byte": (frame(HEADERS, 5, 1, b"\x00\x82\x1f\xff\x011"), COMPRESSION),
    "Huffman with its end-of-string": (
        frame(HEADERS, 5, 1, b"\x00\x84\xff\xff\xff\xff\x011"),
        COMPRESSION,
    ),
    "a bomb of a header list": (
        frame(HEADERS, 5, 1, b"\x40\x01a\x7f\x81\x1f" + b"x" * 4_096 + b"\xbe" * 1_000),
        COMPRESSION,
    ),
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


@pytest.mark.parametrize(
    "first",
    [
        frame(PING, 0, 0, b"12345678"),
        frame(HEADERS, 5, 1, headers("ab" * 32)),
        frame(SETTINGS, 1, 0),
    ],
)
async def test_the_first_frame_is_settings(sim: Simulator, wired: Wired, first: bytes) -> None:
    async with wired(preface=False) as wire:
        wire.send(PREFACE, first)
        assert await wire.goaway() == (0, PROTOCOL)
    assert len(sim.statistics()["violations"]) == 1


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
    "no scheme": {"extra": [], "scheme": None},
    "an empty path": {"extra": [], "path": ""},
    "a path that is none": {"extra": [], "path": "3/device/1"},
    "a method that is none": {"extra": [], "method": "PO ST"},
    "CONNECT with a path": {"extra": [], "method": "CONNECT"},
    "no authority, no host": {"extra": [], "authority": None},
    "an empty authority": {"extra": [], "authority": ""},
    "a user in the authority": {"extra": [], "authority": "me@localhost"},
    "another host": {"extra": [("host", "elsewhere")]},
    "NUL in a value": {"extra": [("x-a", "a\0b")]},
    "CR LF in a value": {"extra": [("x-a", "a\r\nb")]},
    "LF in a pseudo-header": {"extra": [], "path": "/3/device/\n"},
    "a value that begins with a blank": {"extra": [("authorization", " bearer")]},
    "a value that ends with a tab": {"extra": [("authorization", "bearer\t")]},
    "an empty name": {"extra": [("", "1")]},
    "a name with a colon": {"extra": [("a:b", "1")]},
    "a name with a blank": {"extra": [("a b", "1")]},
    "a name beyond ASCII": {"extra": [("caf\u00e9", "1")]},
    "transfer-encoding": {"extra": [("transfer-encoding", "chunked")]},
    "proxy-connection": {"extra": [("proxy-connection", "close")]},
    "upgrade": {"extra": [("upgrade", "h2c")]},
    "keep-alive": {"extra": [("keep-alive", "5")]},
    "the same pseudo-header twice": {"extra": [], "authority": "localhost", "twice": "method"},
    "a content-length too small": {"extra": [("content-length", "9")]},
    "a content-length too large": {"extra": [("content-length", "11")]},
    "a content-length that is no number": {"extra": [("content-length", "+10")]},
    "two content-lengths": {"extra": [("content-length", "10"), ("content-length", "11")]},
    "a header list above the limit": {"extra": [(f"x-{n}", "y" * 100) for n in range(60)]},
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_malformed_requests_end_their_stream(
    sim: Simulator, wired: Wired, token: str, what: str
) -> None:
    changed = dict(MALFORMED[what])
    extra = changed.pop("extra")
    twice = changed.pop("twice", None)
    async with wired() as wire:
        again = b"" if twice is None else bytes(Encoder().encode([(f":{twice}", "GET")]))
        wire.send(frame(HEADERS, END_HEADERS, 1, again + headers(token, *extra, **changed)))
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


TRAILERS = {
    "a pseudo-header": [(":path", "/")],
    "a status": [(":status", "200")],
    "an upper-case name": [("X-A", "1")],
    "NUL in a value": [("x-a", "\0")],
    "a connection header": [("connection", "close")],
}


@pytest.mark.parametrize("what", TRAILERS)
async def test_malformed_trailers_end_their_stream(
    sim: Simulator, wired: Wired, token: str, what: str
) -> None:
    trailers = bytes(Encoder().encode(TRAILERS[what], huffman=False))
    async with wired() as wire:
        wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)), frame(DATA, 0, 1, BODY))
        wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers))
        assert await wire.reset() == (1, PROTOCOL)
    assert sim.arrivals() == []


class TestClosedStreams:
    async def test_after_both_ends_nothing_may_come(self, wired: Wired, token: str) -> None:
        for late in (frame(DATA, 1, 1, BODY), frame(HEADERS, 5, 1, headers(token))):
            async with wired() as wire:
                wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)), frame(DATA, 1, 1, BODY))
                assert await wire.status() == 200
                wire.send(frame(WINDOW, 0, 1, b"\0\0\0\1"), frame(RST, 0, 1, b"\0\0\0\0"))
                wire.send(frame(PRIORITY, 0, 1, b"\0\0\0\0\1"))
                wire.send(late)
                assert await wire.reset() == (1, CLOSED)

    async def test_after_its_end_a_request_has_no_more_body(
        self, sim: Simulator, wired: Wired, token: str
    ) -> None:
        async with wired() as wire:
            wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)), frame(DATA, 1, 1, BODY))
            assert await wire.status() == 200
            wire.send(frame(DATA, 1, 1, BODY))
            assert await wire.goaway() == (1, CLOSED)
        assert len(sim.statistics()["violations"]) == 1

    async def test_after_its_reset_a_client_says_no_more(self, wired: Wired, token: str) -> None:
        async with wired() as wire:
            wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)))
            wire.send(frame(RST, 0, 1, b"\0\0\0\x08"), frame(DATA, 0, 1, BODY))
            assert await wire.reset() == (1, CLOSED)

    async def test_what_was_under_way_when_we_gave_up_is_discarded(
        self, sim: Simulator, wired: Wired, token: str
    ) -> None:
        sim.fault(on="headers", reset="CANCEL", times=1)
        async with wired() as wire:
            wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)))
            wire.send(frame(DATA, 0, 1, BODY), frame(DATA, 1, 1, BODY))
            assert await wire.reset() == (1, 8)
            wire.send(frame(HEADERS, END_HEADERS, 3, headers(token)), frame(DATA, 1, 3, BODY))
            assert await wire.status() == 200
            assert sim.statistics()["violations"] == []
            wire.send(frame(DATA, 0, 1, BODY))  # it had ended the stream itself
            assert await wire.goaway() == (3, CLOSED)


async def test_a_smaller_table_is_followed(sim: Simulator, wired: Wired, token: str) -> None:
    """RFC 9113, 4.3.1: after the acknowledgement, the next block begins with the new size."""
    whole = frame(DATA, END_STREAM, 1, BODY)
    for update, fine in ((b"", False), (b"\x3f\x45", True), (b"\x3f\x46", False), (b"\x20", True)):
        sim.connection_fault(settings={"header_table_size": 100}, times=1)
        async with wired() as wire:
            await wire.next(SETTINGS)
            wire.send(frame(SETTINGS, 1, 0))
            wire.send(frame(HEADERS, END_HEADERS, 1, update + headers(token)), whole)
            if fine:
                assert await wire.status() == 200
            else:
                assert (await wire.goaway())[1] == COMPRESSION


async def test_settings_may_not_make_a_stream_window_overflow(
    sim: Simulator, wired: Wired, token: str
) -> None:
    sim.fault(hold=True)
    async with wired() as wire:
        wire.send(frame(HEADERS, END_HEADERS, 1, headers(token)))
        wire.send(frame(WINDOW, 0, 1, struct.pack(">I", 2**31 - 1 - 65_535)))
        wire.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_536)))
        assert (await wire.goaway())[1] == FLOW


async def test_what_is_odd_but_allowed(sim: Simulator, wired: Wired, token: str) -> None:
    """Unknown settings, error codes, flags, a Huffman block, host for authority, a cookie twice."""
    fields = [
        (":method", "POST"), (":scheme", "https"), (":path", f"/3/device/{token}"),
        ("host", "localhost"), ("apns-topic", TOPIC), ("apns-push-type", "voip"),
        ("te", "trailers"), ("content-length", "10"), ("content-length", "10"),
        ("cookie", "a=1"), ("cookie", "b=2"), ("x-a", ""), ("x-b", "caf\u00e9 \u0001"),
    ]  # fmt: skip
    async with wired() as wire:
        wire.send(
            frame(SETTINGS, 0xFE, 0, struct.pack(">HIHIHI", 0xF0F0, 7, 2, 1, 6, 100)),
            frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0xBEEF) + b"debug"),
            frame(GOAWAY, 0, 0, struct.pack(">II", 0, 0)),
            frame(PING, 1, 0, b"nobody's"),
            frame(
                HEADERS,
                0xC0 | END_HEADERS,
                1,
                b"\x20\x3f\xe1\x1f" + bytes(Encoder().encode(fields, huffman=True)),
            ),
            frame(DATA, END_STREAM, 1, BODY),
        )
        assert await wire.status() == 400  # Apple: DuplicateHeaders
    assert sim.statistics()["violations"] == []
