"""Whatever bytes a server sends, however they are cut: no exception, no leak, every push ends.

Here the transport is a stand-in, so that thousands of sequences can be tried; what the server may
do over real TLS is in the other files.
"""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.apns import KeyCredential, NoAnswer, Sender, Timing
from app.http2 import frames as f
from app.http2.connection import Connection
from app.http2.wire import Wire
from tests.apns.rig import checked, push_to, some_token
from tests.apns.test_provider_tokens import KEY


class StandIn(asyncio.Transport):
    """A transport that keeps what is written; `alpn` is what TLS agreed on."""

    def __init__(self, protocol: Wire) -> None:
        super().__init__({"ssl_object": self})
        self.protocol = protocol
        self.written = b""
        self.closing = False

    def selected_alpn_protocol(self) -> str:
        return "h2"

    def write(self, data) -> None:
        assert not self.closing
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


def connected(*, first_stream: int = 1) -> tuple[Sender, Connection, StandIn]:
    """A sender whose only connection ends in a stand-in, greeted."""
    sender = Sender(
        KeyCredential(KEY, "ABCDE12345", "TEAM123456"),
        "https://apns.example",
        max_connections=0,
        warm_connections=0,
        timing=Timing(),
        first_stream=first_stream,
    )
    manager = sender.pool.manager
    connection = manager._make(manager.identity)
    transport = StandIn(connection.wire)
    connection.wire.connection_made(transport)
    connection.wire.data_received(f.settings((f.MAX_CONCURRENT_STREAMS, 100)))
    connection._locked = False
    connection._count_slots()
    manager._admit(connection)
    return sender, connection, transport


streams = st.sampled_from([0, 1, 3, 5, 7, 9, 2, 101, 2**31 - 1])
blocks = st.sampled_from(
    [b"\x88", b"\x48\x03410", b"\x08\x03100", b"\xbe", b"\x00\x01a\x01b", b"\x3f\xe1\x1f", b"\xff"]
) | st.binary(max_size=12)
bodies = st.sampled_from([b'{"reason":"Unregistered"}', b"", b"x" * 16_384]) | st.binary(
    max_size=30
)
frames = st.one_of(
    st.builds(f.frame, st.just(f.HEADERS), st.integers(0, 255), streams, blocks),
    st.builds(f.frame, st.just(f.HEADERS), st.sampled_from([4, 5]), streams, blocks),
    st.builds(f.frame, st.just(f.DATA), st.sampled_from([0, 1, 8, 9]), streams, bodies),
    st.builds(f.frame, st.just(f.CONTINUATION), st.sampled_from([0, 4]), streams, blocks),
    st.builds(f.rst_stream, streams, st.integers(0, 20)),
    st.builds(f.window_update, streams, st.integers(0, 2**31 - 1)),
    st.builds(
        lambda last, code, debug: f.frame(
            f.GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big") + debug
        ),
        st.sampled_from([0, 1, 3, 5, 2**31 - 1]),
        st.integers(0, 15),
        st.sampled_from([b"", b'{"reason":"BadCertificate"}', b"\xff"]),
    ),
    st.builds(
        lambda pairs: f.settings(*pairs),
        st.lists(
            st.tuples(st.integers(1, 9), st.sampled_from([0, 1, 100, 16_384, 65_535, 2**32 - 1])),
            max_size=3,
        ),
    ),
    st.builds(f.frame, st.just(f.SETTINGS), st.just(f.ACK), st.just(0)),
    st.builds(f.frame, st.just(f.PING), st.sampled_from([0, 1]), st.just(0), st.just(b"x" * 8)),
    st.builds(f.frame, st.integers(0, 255), st.integers(0, 255), streams, st.binary(max_size=20)),
)
sequences = st.lists(frames | st.binary(min_size=1, max_size=20), max_size=25)


async def act(chunks: list[bytes], cut: int) -> None:
    sender, connection, _ = connected()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 30.0
    requests = [push_to(some_token()) for _ in range(5)]
    flights = [sender.start(request, deadline) for request in requests]
    sender.abandon(flights.pop())
    await asyncio.sleep(0)
    data = b"".join(chunks)
    for start in range(0, len(data), cut):
        connection.wire.data_received(data[start : start + cut])
        assert len(connection.wire._in) < f.DEFAULT_FRAME_SIZE + f.HEAD_SIZE
        assert len(connection.wire._block) <= 65_536 + 16_384
        assert sum(map(len, connection.wire._out)) < 2**21
        await asyncio.sleep(0)
    connection.wire.connection_lost(ConnectionResetError())
    await asyncio.sleep(0)
    for request, flight in zip(requests, flights, strict=False):
        outcome = checked(flight.future.result(), request, deadline)
        assert outcome.code >= 200 or outcome.no_answer is not NoAnswer.OUT_OF_TIME
    assert connection.streams.open == {}
    assert connection.streams.blocked == {}
    assert sender.pool.in_flight == 0
    assert len(sender.pool.deadlines) == 0
    assert not sender.pool.manager.sockets
    assert connection.heartbeat._timer is None
    await sender.close()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(sequences, st.sampled_from([1, 2, 9, 50, 100_000]))
def test_whatever_comes_every_push_ends_and_nothing_is_left(chunks, cut: int) -> None:
    if cut < 9 and sum(map(len, chunks)) > 2_000:
        cut = 50
    asyncio.run(act(chunks, cut))


async def test_many_pushes_of_one_turn_are_one_write() -> None:
    sender, connection, transport = connected()
    writes: list[bytes] = []
    transport.write = writes.append
    for _ in range(50):
        sender.start(push_to(some_token()), asyncio.get_running_loop().time() + 5)
    assert writes == []
    await asyncio.sleep(0)
    assert len(writes) == 1
    assert writes[0].count(b"/3/device/") == 50
    connection.wire.connection_lost(None)
    await sender.close()


async def test_a_push_whose_bytes_never_left_was_never_sent() -> None:
    sender, connection, _ = connected()
    deadline = asyncio.get_running_loop().time() + 5
    sent = sender.start(push_to(some_token()), deadline)
    await asyncio.sleep(0)
    unsent = sender.start(push_to(some_token()), deadline)
    connection.wire.connection_lost(ConnectionResetError())
    assert (await sent.future).no_answer is NoAnswer.LOST
    assert (await unsent.future).no_answer is NoAnswer.NEVER_SENT
    await sender.close()


async def test_a_push_that_expires_in_the_turn_it_was_written_may_have_been_read() -> None:
    sender, connection, transport = connected()
    flight = sender.start(push_to(some_token()), asyncio.get_running_loop().time() + 5)
    connection.expire(flight)  # long before its deadline: no answer within the limit of a try
    outcome = await flight.future
    await asyncio.sleep(0)
    assert transport.written.count(b"/3/device/") == 1
    assert (outcome.no_answer, outcome.may_have_reached) == (NoAnswer.LOST, True)
    connection.wire.connection_lost(None)
    await sender.close()


async def test_a_transport_that_is_full_gets_no_new_streams() -> None:
    sender, connection, _ = connected()
    connection.wire.pause_writing()
    flight = sender.start(push_to(some_token()), asyncio.get_running_loop().time() + 5)
    await asyncio.sleep(0)
    assert sender.stats().waiting == 1
    connection.wire.resume_writing()
    await asyncio.sleep(0)
    assert sender.stats().streams == 1
    connection.wire.data_received(f.frame(f.HEADERS, 5, 1, b"\x88"))
    assert (await flight.future).code == 200
    connection.wire.connection_lost(None)
    await sender.close()


async def test_a_server_that_floods_us_and_reads_nothing_is_left() -> None:
    sender, connection, transport = connected()
    connection.wire.pause_writing()
    before = len(transport.written)
    for _ in range(100):
        connection.wire.data_received(f.frame(f.PING, 0, 0, b"12345678") * 1_000)
        await asyncio.sleep(0)
    assert connection.wire.ended == "the server reads nothing"
    assert len(transport.written) - before < 2**20 + 20_000
    await sender.close()
