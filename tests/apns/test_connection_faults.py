"""What can befall a connection: which pushes are lost, which were never sent, and what is next."""

import asyncio
from dataclasses import replace

import pytest

from app.apns import NoAnswer, Timing
from tests.apns.rig import QUICK, Rig, holding, raw, rig_on, some_token, until
from tests.serving import serving


@pytest.mark.parametrize("how", ["tls", "fin", "rst"])
async def test_a_closed_connection_loses_its_pushes_and_is_replaced(rig: Rig, how: str) -> None:
    _, pushes = await holding(rig, 10)
    rig.sim.close_connections(how=how)
    outcomes = await asyncio.gather(*pushes)
    assert {x.no_answer for x in outcomes} == {NoAnswer.LOST}
    assert all(x.may_have_reached and x.cause for x in outcomes)
    await rig.settled()


@pytest.mark.parametrize("how", ["tls", "fin", "rst"])
async def test_closed_in_mid_stream(rig: Rig, how: str) -> None:
    rig.sim.fault(close=how, skip=3, times=1)
    outcomes = await asyncio.gather(*(rig.push() for _ in range(8)))
    assert {x.no_answer for x in outcomes} <= {NoAnswer.LOST, NoAnswer.NEVER_SENT, None}
    assert len(rig.sim.arrivals()) <= 8
    await rig.settled()


@pytest.mark.parametrize("how", ["tls", "fin", "rst"])
async def test_closed_after_tls_nothing_was_sent(sim, how: str) -> None:
    sim.connection_fault(close=how, times=3)
    async with rig_on(sim) as rig:
        assert (await rig.push(within=60.0)).code == 200
        assert rig.sender.stats().connect_failures == 3
        assert rig.sender.stats().last_failure


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"refuse": True}, "connect"),
        ({"reset": True}, ""),
        ({"hold": True}, "in time"),
        ({"silent": True}, "in time"),
        ({"alpn": False}, "ALPN"),
        ({"certificate": "expired"}, "expired"),
        ({"certificate": "wrong_name"}, "mismatch"),
        ({"certificate": "untrusted"}, "verify failed"),
        ({"close": "tls"}, "closed"),
    ],
)
async def test_who_waits_for_a_connection_is_told_the_cause_in_time(
    sim, fault: dict, words: str
) -> None:
    sim.connection_fault(**fault)
    # a cause that comes from the server must not lose to the time limit on a busy machine
    connect, within = (0.2, 0.6) if words == "in time" else (1.2, 1.5)
    quick = Timing(connect=connect, backoff_first=0.02, backoff_most=0.1)
    async with rig_on(sim, timing=quick) as rig:
        outcome = await rig.push(within=within)
        assert outcome.no_answer is NoAnswer.OUT_OF_TIME
        assert not outcome.may_have_reached
        assert words in outcome.cause
        stats = rig.sender.stats()
        assert 1 <= stats.connect_failures <= 20 * within
        assert sim.arrivals() == []
        sim.end_fault()
        assert (await rig.push()).code == 200


async def test_a_port_that_opens_in_time_still_gets_the_push(sim) -> None:
    fault = sim.connection_fault(refuse=True)
    async with rig_on(sim) as rig:
        push = asyncio.create_task(rig.push(within=3.0))
        await until(lambda: rig.sender.stats().connect_failures >= 3)
        sim.end_fault(fault)
        assert (await push).code == 200


class TestGoaway:
    async def test_covered_streams_are_answered_and_the_next_go_elsewhere(self, rig: Rig) -> None:
        """aioapns's defect 12: what Apple had taken was sent twice."""
        hold, pushes = await holding(rig, 5)
        rig.sim.send_goaway(covering=True)
        await until(lambda: rig.sender.stats().leaving == 1)
        assert (await rig.push()).code == 200
        rig.sim.release(hold)
        outcomes = await asyncio.gather(*pushes)
        assert {x.code for x in outcomes} == {200}
        assert {x.connection for x in outcomes} == {1}
        await until(lambda: rig.sim.statistics()["open_connections"] == 1)
        await rig.settled()

    async def test_streams_above_are_safe_to_send_again(self, rig: Rig) -> None:
        hold, pushes = await holding(rig, 6)
        rig.sim.send_goaway(last_stream_id=5)
        rig.sim.release(hold)
        outcomes = await asyncio.gather(*pushes)
        assert [x.code for x in outcomes[:3]] == [200] * 3
        for outcome in outcomes[3:]:
            assert outcome.no_answer is NoAnswer.NEVER_SENT
            assert not outcome.may_have_reached
            assert "GOAWAY" in outcome.cause
        await rig.settled()

    async def test_a_second_goaway_lowers_the_last_stream(self, rig: Rig) -> None:
        hold, pushes = await holding(rig, 4)
        rig.sim.send_goaway(last_stream_id=2**31 - 1, close="never")
        rig.sim.send_goaway(last_stream_id=3, close="drain")
        rig.sim.release(hold)
        outcomes = await asyncio.gather(*pushes)
        assert [x.code for x in outcomes] == [200, 200, 0, 0]
        await rig.settled()

    async def test_closed_at_once_the_covered_are_lost(self, rig: Rig) -> None:
        _, pushes = await holding(rig, 3)
        rig.sim.send_goaway(last_stream_id=3, close="now")
        outcomes = await asyncio.gather(*pushes)
        kinds = [NoAnswer.LOST, NoAnswer.LOST, NoAnswer.NEVER_SENT]
        assert [x.no_answer for x in outcomes] == kinds
        await rig.settled()

    async def test_the_reason_is_the_outcome(self, rig: Rig) -> None:
        rig.sim.fault(
            goaway={"last_stream_id": 0, "reason": "BadCertificate", "close": "now"}, times=1
        )
        outcome = await rig.push()
        assert outcome.reason == "BadCertificate"
        assert outcome.no_answer is NoAnswer.NEVER_SENT
        await rig.settled()

    async def test_a_reason_at_once_reaches_those_who_wait(self, sim) -> None:
        sim.connection_fault(goaway={"reason": "BadCertificate", "last_stream_id": 0})
        async with rig_on(sim) as rig:
            outcomes = await asyncio.gather(*(rig.push(within=1.0) for _ in range(5)))
            assert {x.reason for x in outcomes} == {"BadCertificate"}
            assert {x.no_answer for x in outcomes} == {NoAnswer.NEVER_SENT}
            assert sim.arrivals() == []

    async def test_of_an_idle_connection_another_is_ready_before_the_next_push(
        self, rig: Rig
    ) -> None:
        assert (await rig.push()).code == 200
        rig.sim.send_goaway()
        await until(lambda: rig.sender.stats().handshakes == 2)
        await until(lambda: rig.sender.stats().connections == 1)
        assert (await rig.push()).code == 200
        assert rig.sender.stats().handshakes == 2
        await rig.settled()


class TestSettings:
    async def test_raised_while_busy_every_slot_is_used(self, sim) -> None:
        """aioapns's defect 8: 1 to 1,000 left two slots."""
        sim.set_conduct(max_concurrent_streams=1)
        async with rig_on(sim, max_connections=1) as rig:
            hold, pushes = await holding(rig, 1)
            more = [asyncio.create_task(rig.push()) for _ in range(100)]
            await until(lambda: rig.sender.stats().waiting == 100)
            sim.send_settings(max_concurrent_streams=1000)
            assert {x.code for x in await asyncio.gather(*more)} == {200}
            assert rig.sender.stats().slots == 1000
            sim.release(hold)
            await asyncio.gather(*pushes)
            assert sim.statistics()["limit_violations"] == 0
            await rig.settled()

    async def test_lowered_while_busy_the_limit_is_kept(self, sim) -> None:
        async with rig_on(sim, max_connections=1) as rig:
            hold, pushes = await holding(rig, 20)
            sim.send_settings(max_concurrent_streams=3)
            await until(lambda: rig.sender.stats().slots == 3)
            more = [asyncio.create_task(rig.push()) for _ in range(30)]
            await until(lambda: rig.sender.stats().waiting == 30)
            sim.release(hold)
            assert {x.code for x in await asyncio.gather(*pushes, *more)} == {200}
            assert sim.statistics()["limit_violations"] == 0
            assert sim.statistics()["refused_streams"] == 0
            await rig.settled()

    async def test_zero_streams_then_some(self, sim) -> None:
        async with rig_on(sim, max_connections=1) as rig:
            await rig.sender.warm()
            sim.send_settings(max_concurrent_streams=0)
            await until(lambda: rig.sender.stats().slots == 0)
            push = asyncio.create_task(rig.push())
            await asyncio.sleep(0.05)
            sim.send_settings(max_concurrent_streams=2)
            assert (await push).code == 200

    async def test_zero_streams_for_ever_take_another_connection(self, sim) -> None:
        fault = sim.connection_fault(settings={"max_concurrent_streams": 0})
        async with rig_on(sim, timing=QUICK, max_connections=2) as rig:
            outcome = await rig.push(within=5.0)
            assert outcome.no_answer is NoAnswer.NEVER_SENT
            assert outcome.ended - outcome.started < 2.0
            assert sim.statistics()["handshakes"] <= 12
            sim.end_fault(fault)
            while (await rig.push(within=5.0)).code != 200:
                pass  # on a slow machine another may wait for its connection, too
            await until(lambda: all(x.slots for x in rig.sender.pool.connections))

    async def test_zero_streams_on_one_connection_cost_no_push_a_moment(self, sim) -> None:
        async with rig_on(sim, timing=QUICK, max_connections=1) as rig:
            assert (await rig.push()).code == 200
            sim.send_settings(max_concurrent_streams=0)
            await until(lambda: rig.sender.stats().slots == 0)
            outcome = await rig.push()
            assert (outcome.code, outcome.connection) == (200, 2)
            await until(lambda: [x.number for x in rig.sender.pool.connections] == [2])

    @pytest.mark.parametrize("size", [0, 40, 100, 4_096, 65_536])
    async def test_the_header_table_size_is_followed(self, sim, size: int) -> None:
        sim.connection_fault(settings={"header_table_size": size})
        async with rig_on(sim) as rig:
            for _ in range(4):
                assert (await rig.push()).code == 200
            sim.send_settings(header_table_size=50)
            assert (await rig.push()).code == 200
            sim.send_settings(header_table_size=4_096)
            assert (await rig.push()).code == 200
            assert sim.arrivals()[-1].header("apns-topic") == "com.example.app.voip"
            await rig.settled()

    @pytest.mark.parametrize("window", [1, 50, 1_000])
    async def test_a_body_bigger_than_the_window_waits_for_it(self, sim, window: int) -> None:
        """aioapns's defect 4."""
        sim.connection_fault(settings={"initial_window_size": window})
        body = b'{"x":"' + b"y" * (3_000 if window > 1 else 60) + b'"}'
        async with rig_on(sim) as rig:
            outcomes = await asyncio.gather(*(rig.push(payload=body) for _ in range(5)))
            assert {x.code for x in outcomes} == {200}
            assert all(x.raw == body for x in sim.arrivals())

    @pytest.mark.parametrize("window", [0, 10])
    async def test_a_stream_window_that_never_opens_costs_a_moment(self, sim, window: int) -> None:
        """What cannot finish its body was never sent; the connection is left for another."""
        sim.connection_fault(
            settings={"initial_window_size": window}, refill_stream_windows=False, times=1
        )
        async with rig_on(sim, timing=QUICK) as rig:
            outcome = await rig.push(within=5.0)
            assert outcome.no_answer is NoAnswer.NEVER_SENT
            assert not outcome.may_have_reached
            assert outcome.ended - outcome.started < 2.0
            assert (await rig.push()).code == 200
            assert rig.sender.stats().handshakes == 2
            await rig.settled()

    async def test_a_window_that_drips_does_not_take_the_whole_ring(self, sim) -> None:
        sim.connection_fault(
            settings={"initial_window_size": 10}, refill_stream_windows=False, times=1
        )
        timing = replace(QUICK, answer=0.5)
        async with rig_on(sim, timing=timing) as rig:
            push = asyncio.create_task(rig.push(within=5.0, payload=b"[" + b"1," * 500 + b"1]"))
            for size in range(11, 200):
                if push.done():
                    break
                sim.send_settings(initial_window_size=size)
                await asyncio.sleep(0.05)
            outcome = await push
            assert outcome.no_answer is NoAnswer.NEVER_SENT
            assert outcome.ended - outcome.started < 2.0

    async def test_a_window_widened_by_settings_lets_the_rest_go(self, sim) -> None:
        sim.connection_fault(settings={"initial_window_size": 10}, refill_stream_windows=False)
        async with rig_on(sim) as rig:
            push = asyncio.create_task(rig.push())
            await until(lambda: rig.sender.stats().streams == 1)
            await asyncio.sleep(0.02)
            sim.send_settings(initial_window_size=65_535)
            assert (await push).code == 200

    async def test_an_exhausted_connection_window_moves_pushes_elsewhere(self, sim) -> None:
        sim.connection_fault(refill_connection_window=False, times=1)
        body = b'{"x":"' + b"y" * 4_900 + b'"}'
        async with rig_on(sim, timing=QUICK, max_connections=2) as rig:
            outcomes = await asyncio.gather(
                *(rig.push(payload=body, within=4.0) for _ in range(40))
            )
            assert sum(x.code == 200 for x in outcomes) >= 39
            stuck = [x for x in outcomes if x.code != 200]
            assert all(x.no_answer is NoAnswer.NEVER_SENT for x in stuck)
            assert not any(x.may_have_reached for x in stuck)
            await until(lambda: rig.sender.stats().connections == 1)
            await rig.settled()

    async def test_a_connection_without_window_is_replaced(self, sim) -> None:
        sim.connection_fault(refill_connection_window=False, times=1)
        body = b'{"x":"' + b"y" * 4_900 + b'"}'
        async with rig_on(sim, timing=QUICK, max_connections=1) as rig:
            outcomes = [await rig.push(payload=body, within=3.0) for _ in range(20)]
            assert [x.code for x in outcomes].count(200) >= 19
            assert outcomes[-1].code == 200
            await rig.settled()


class TestPing:
    async def test_ours_are_answered(self, rig: Rig) -> None:
        await rig.sender.warm()
        (connection,) = rig.sim.connections()
        ping = asyncio.to_thread(rig.sim.ping, connection["number"])
        assert await ping is not None

    async def test_an_idle_connection_is_asked_and_kept(self, sim) -> None:
        async with rig_on(sim, timing=Timing(ping_idle=0.05, ping_timeout=0.2)) as rig:
            await rig.sender.warm()
            await until(lambda: sim.statistics()["pings_received"] >= 5)
            assert rig.sender.stats().handshakes == 1

    async def test_an_idle_connection_that_does_not_answer_is_replaced(self, sim) -> None:
        sim.connection_fault(answer_pings=False, times=1)
        async with rig_on(sim, timing=Timing(ping_idle=0.05, ping_timeout=0.1)) as rig:
            await rig.sender.warm()
            await until(lambda: rig.sender.stats().handshakes == 2)
            assert (await rig.push()).code == 200

    async def test_a_silent_peer_under_steady_traffic_is_found(self, sim) -> None:
        """aioapns's defect 15: it counts what it sends."""
        sim.connection_fault(answer_pings=False, stop_reading=3, times=1)
        async with rig_on(sim, timing=QUICK, deaf=True) as rig:
            outcomes = [await rig.push(within=1.0)]
            pushes = []
            for _ in range(20):
                pushes.append(asyncio.create_task(rig.push(within=3.0)))
                await asyncio.sleep(0.05)
            outcomes += await asyncio.gather(*pushes)
            kinds = {x.no_answer for x in outcomes if x.code != 200}
            assert kinds == {NoAnswer.LOST}
            assert "PING" in next(x for x in outcomes if x.code != 200).cause
            assert rig.sender.stats().handshakes == 2
            assert outcomes[-1].code == 200
            assert max(x.ended - x.started for x in outcomes) < 1.2
            await rig.settled()

    async def test_one_that_answers_pushes_but_no_pings_finishes_its_pushes(self, sim) -> None:
        sim.connection_fault(answer_pings=False, times=1)
        async with rig_on(sim, timing=QUICK) as rig:
            hold, pushes = await holding(rig, 1)
            steady = []
            for _ in range(10):  # answers are heard all along, after a quiet spell
                await asyncio.sleep(0.1)
                steady.append((await rig.push()).code)
            rig.sim.release(hold)
            assert set(steady) == {200}
            (outcome,) = await asyncio.gather(*pushes)
            assert outcome.code == 200 or outcome.no_answer is NoAnswer.LOST


async def test_a_server_that_reads_nothing_is_not_fed_without_end(sim) -> None:
    sim.connection_fault(
        stop_reading=1, answer_pings=False, settings={"initial_window_size": 2**30}
    )
    async with rig_on(sim, max_connections=1, deaf=True) as rig:
        assert (await rig.push()).code == 200
        body = b'{"x":"' + b"y" * 5_000 + b'"}'
        outcomes = await asyncio.gather(*(rig.push(payload=body, within=0.5) for _ in range(900)))
        assert {x.no_answer for x in outcomes} <= {NoAnswer.OUT_OF_TIME, None}
        for connection in rig.sender.pool.manager.sockets:
            assert connection.wire.transport.get_write_buffer_size() < 2_000_000


async def test_a_burst_beyond_every_buffer_arrives(sim) -> None:
    """A thousand full payloads in one turn of the loop: 5 MB, more than any socket takes at once."""
    wide = raw((8, 0, 0, (2**30).to_bytes(4, "big")))
    async with rig_on(sim, max_connections=1) as rig:
        sim.fault(raw=wide, times=1)
        assert (await rig.push()).code == 200
        body, token = b'{"x":"' + b"y" * 5_000 + b'"}', rig.live()
        outcomes = await asyncio.gather(
            *(rig.push(token, payload=body, within=10.0) for _ in range(1_000))
        )
        assert {x.code for x in outcomes} == {200}
        assert rig.sender.stats().handshakes == 1
        await rig.settled()


VIOLATIONS = {
    "data on stream 0": [(0, 0, 0, b"x")],
    "headers on stream 0": [(1, 5, 0, b"\x88")],
    "a stream never opened": [(1, 5, 99, b"\x88")],
    "an even stream": [(1, 5, 2, b"\x88")],
    "reset of a stream never opened": [(3, 0, 77, b"\0\0\0\x08")],
    "a promise": [(5, 4, 1, b"\0\0\0\x02\x88")],
    "settings on a stream": [(4, 0, 1, b"")],
    "settings of a wrong size": [(4, 0, 0, b"12345")],
    "settings ack with a payload": [(4, 1, 0, b"123456")],
    "an initial window too large": [(4, 0, 0, b"\x00\x04\xff\xff\xff\xff")],
    "a frame size too small": [(4, 0, 0, b"\x00\x05\x00\x00\x00\x01")],
    "a ping of a wrong size": [(6, 0, 0, b"1234")],
    "a ping on a stream": [(6, 0, 1, b"12345678")],
    "a goaway of a wrong size": [(7, 0, 0, b"1234")],
    "a reset of a wrong size": [(3, 0, 1, b"12")],
    "a window update of nothing": [(8, 0, 0, b"\0\0\0\0")],
    "a window beyond all bounds": [(8, 0, 0, b"\x7f\xff\xff\xff")],
    "a window update of a wrong size": [(8, 0, 0, b"\0")],
    "padding beyond the frame": [(0, 8, 1, b"\x09abc")],
    "continuation of nothing": [(9, 4, 1, b"\x88")],
    "an interrupted header block": [(1, 0, 1, b"\x88"), (6, 0, 0, b"12345678")],
    "a header block without end": [(1, 0, 1, b""), *[(9, 0, 1, b"")] * 100],
    "a huge header block": [(1, 0, 1, b""), *[(9, 0, 1, b"\x10" + b"x" * 16_000)] * 5],
    "a header block that is nonsense": [(1, 4, 1, b"\xff\xff\xff\xff\xff\xff")],
    "a header block cut short": [(1, 4, 1, b"\x40\x20abc")],
    "an index out of the table": [(1, 4, 1, b"\xfe")],
    "a headers frame too short": [(1, 0x24, 1, b"\0\0")],
    "a frame too large": [(0, 0, 1, b"x" * 16_385)],
}


@pytest.mark.parametrize("name", sorted(VIOLATIONS))
async def test_a_broken_server_loses_its_connection_not_our_balance(rig: Rig, name: str) -> None:
    _, pushes = await holding(rig, 2)
    rig.sim.fault(raw=raw(*VIOLATIONS[name]), silence=True, times=1)
    struck = await rig.push()
    outcomes = await asyncio.gather(*pushes)
    assert {x.no_answer for x in (struck, *outcomes)} == {NoAnswer.LOST}
    assert "broke HTTP/2" in struck.cause
    await rig.settled()


async def test_a_server_of_another_protocol(sim) -> None:
    async def http1(reader, writer) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await reader.read(100)
        writer.close()

    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = sim.voip_certificate("com.example.app")
    from app.apns.credential import load_pem

    load_pem(context, issued.pem)
    context.set_alpn_protocols(["h2"])
    async with (
        serving(http1, tls=context) as port,
        rig_on(sim, url=f"https://127.0.0.1:{port}") as rig,
    ):
        outcome = await rig.push(within=0.3)
        assert outcome.no_answer is NoAnswer.OUT_OF_TIME


async def test_nothing_is_ever_sent_again_by_the_engine(rig: Rig) -> None:
    """Whatever happens to a push, the server sees it at most once."""
    faults = [
        {"reset": "REFUSED_STREAM"},
        {"reset": "INTERNAL_ERROR"},
        {"status": 503},
        {"status": 500, "body": "<html>"},
        {"silence": True},
        {"close": "rst"},
        {"close": "tls"},
        {"goaway": {"covering": False}},
        {"goaway": {"covering": True}},
        {"status": 403, "reason": "ExpiredProviderToken"},
        {"status": 429, "reason": "TooManyRequests", "retry_after": 1},
    ]
    tokens = [some_token() for _ in faults]
    rig.sim.live(*tokens, topic="com.example.app.voip")
    for token, fault in zip(tokens, faults, strict=True):
        rig.sim.fault(token=token, **fault)
    await asyncio.gather(*(rig.push(token, within=0.5) for token in tokens))
    await asyncio.sleep(0.3)
    assert all(len(rig.sim.arrivals(token)) <= 1 for token in tokens)
    await rig.settled()
