"""Connections: warm before they are needed, opened before they are full, gone without a trace."""

import asyncio
import socket
import time

import pytest

from app.apns import CertificateCredential, NoAnswer, Sender, Timing
from app.http2.connect import Endpoint
from tests.apns.rig import (
    QUICK,
    Metronome,
    Rig,
    certificate,
    holding,
    provider_key,
    push_to,
    rig_on,
    some_token,
    until,
)


async def test_warm_means_that_a_push_pays_no_handshake(sim) -> None:
    async with rig_on(sim) as rig:
        assert rig.sender.stats().handshakes == 0
        assert await rig.sender.warm()
        assert rig.sender.stats().handshakes == 1
        assert sim.statistics()["requests"] == 0
        assert (await rig.push()).code == 200
        assert rig.sender.stats().handshakes == 1


async def test_warm_gives_up_in_time_and_says_why(sim) -> None:
    sim.connection_fault(refuse=True)
    async with rig_on(sim) as rig:
        assert not await rig.sender.warm(0.1)
        assert "connecting failed" in rig.sender.stats().last_failure


async def test_several_may_be_kept_warm(sim) -> None:
    async with rig_on(sim, warm_connections=3) as rig:
        assert await rig.sender.warm()
        assert rig.sender.stats().connections == 3


async def test_after_quiet_the_next_push_pays_no_handshake(sim) -> None:
    """Ten minutes of quiet, with the times set small: twenty PING intervals. aioapns's defect 15."""
    async with rig_on(sim, timing=Timing(ping_idle=0.05, ping_timeout=0.5)) as rig:
        assert (await rig.push()).code == 200
        await until(lambda: sim.statistics()["pings_received"] >= 20)
        assert (await rig.push()).code == 200
        assert rig.sender.stats().handshakes == sim.statistics()["handshakes"] == 1
        await rig.settled()


async def test_the_next_connection_is_opened_before_the_last_slot_has_gone(sim) -> None:
    sim.set_conduct(max_concurrent_streams=8)
    async with rig_on(sim) as rig:
        hold, pushes = await holding(rig, 5)
        assert rig.sender.stats().connections == 1
        more_hold, more = await holding(rig, 1)
        await until(lambda: rig.sender.stats().connections == 2)
        assert rig.sender.stats().slots - rig.sender.stats().streams == 10
        rig.sim.release(hold)
        rig.sim.release(more_hold)
        assert {x.code for x in await asyncio.gather(*pushes, *more)} == {200}
        await rig.settled()


async def test_no_more_than_the_most_are_opened_and_who_waits_is_served_in_turn(sim) -> None:
    sim.set_conduct(max_concurrent_streams=2)
    async with rig_on(sim, max_connections=3) as rig:
        tokens = [rig.live() for _ in range(60)]
        sim.fault(delay=0.01)
        outcomes = await asyncio.gather(*(rig.push(x, within=5.0) for x in tokens))
        assert {x.code for x in outcomes} == {200}
        assert rig.sender.stats().handshakes == 3
        assert sim.statistics()["refused_streams"] == 0
        ended = [x.ended for x in outcomes]
        assert ended == pytest.approx(sorted(ended), abs=0.1)
        await rig.settled()


async def test_connecting_blocks_nobody_who_has_a_connection(sim) -> None:
    """aioapns's defect 17: connecting under the pool's lock."""
    sim.set_conduct(max_concurrent_streams=4)
    async with rig_on(sim) as rig:
        assert (await rig.push()).code == 200
        sim.connection_fault(hold=True)
        hold, pushes = await holding(rig, 3)  # the next connection is being opened, in vain
        metronome, began = Metronome(), rig.loop.time()
        for _ in range(20):
            assert (await rig.push()).code == 200
        metronome.stop()
        assert rig.loop.time() - began - metronome.lost < 0.5
        sim.release(hold)
        await asyncio.gather(*pushes)
        await rig.settled()


async def test_failing_connects_back_off(sim) -> None:
    sim.connection_fault(reset=True)
    timing = Timing(backoff_first=0.02, backoff_most=0.16)
    async with rig_on(sim, timing=timing, random=lambda: 0.99) as rig:
        push = asyncio.create_task(rig.push(within=1.0))
        await asyncio.sleep(0.9)
        # 0.02, 0.04, 0.08, then 0.16 each
        assert 5 <= rig.sender.stats().connect_failures <= 10
        assert (await push).no_answer is NoAnswer.OUT_OF_TIME


async def test_a_push_that_waits_shortens_the_back_off(sim) -> None:
    """A ring lives 45 s: after a long outage it must not wait for half a minute more."""
    fault = sim.connection_fault(reset=True)
    timing = Timing(backoff_first=10.0, backoff_waiting=0.2)
    async with rig_on(sim, timing=timing) as rig:
        assert not await rig.sender.warm(0.3)
        assert rig.sender.stats().connect_failures == 1
        sim.end_fault(fault)
        outcome = await rig.push(within=2.0)
        assert outcome.code == 200
        assert outcome.ended - outcome.started < 1.0


async def test_connections_that_end_before_any_answer_count_as_failures(sim) -> None:
    sim.connection_fault(goaway={"close": "now"})
    timing = Timing(backoff_first=0.02, backoff_most=0.16)
    async with rig_on(sim, timing=timing) as rig:
        await rig.push(within=0.9)
        assert sim.statistics()["handshakes"] <= 12


async def test_a_connection_that_answered_503_is_spared_for_a_while(sim) -> None:
    async with rig_on(sim, warm_connections=2) as rig:
        await rig.sender.warm()
        sim.fault(status=503, reason="ServiceUnavailable", times=1)
        troubled = await rig.push()
        others = [await rig.push() for _ in range(5)]
        assert troubled.code == 503
        assert troubled.connection not in {x.connection for x in others}
        assert rig.sender.stats().handshakes == 2


async def test_shutdown_and_idle_timeout_take_a_new_connection(rig: Rig) -> None:
    for number, reason in enumerate(("Shutdown", "IdleTimeout"), start=1):
        status = 503 if reason == "Shutdown" else 400
        assert (await rig.push()).code == 200
        rig.sim.fault(status=status, reason=reason, times=1)
        assert (await rig.push()).reason == reason
        assert (await rig.push()).code == 200
        assert rig.sender.stats().handshakes == number + 1
    await rig.settled()


async def test_stream_ids_that_run_out_take_a_new_connection(sim) -> None:
    async with rig_on(sim, first_stream=2**31 - 5) as rig:
        outcomes = [await rig.push() for _ in range(7)]
        assert {x.code for x in outcomes} == {200}
        assert [x.connection for x in outcomes] == [1, 1, 1, 2, 2, 2, 3]
        ids = [x.stream_id for x in sim.arrivals()]
        assert ids == [2**31 - 5, 2**31 - 3, 2**31 - 1] * 2 + [2**31 - 5]
        await rig.settled()


class TestDrain:
    async def test_open_pushes_end_and_nothing_new_begins(self, rig: Rig) -> None:
        hold, pushes = await holding(rig, 500)
        drain = asyncio.create_task(rig.sender.drain(rig.loop.time() + 60))
        await asyncio.sleep(0.02)
        refused = await rig.sender.send(push_to(rig.live()), rig.loop.time() + 5)
        assert refused.no_answer is NoAnswer.NEVER_SENT
        assert "draining" in refused.cause
        assert not drain.done()
        rig.sim.release(hold)
        await drain
        assert {x.code for x in await asyncio.gather(*pushes)} == {200}
        assert len(rig.sim.arrivals()) == 500
        assert rig.sender.stats().streams == 0

    async def test_at_its_deadline_the_open_ones_are_lost(self, rig: Rig) -> None:
        _, pushes = await holding(rig, 3)
        began = rig.loop.time()
        await rig.sender.drain(began + 0.2)
        assert 0.15 < rig.loop.time() - began < 1.5
        assert {x.no_answer for x in await asyncio.gather(*pushes)} == {NoAnswer.LOST}

    async def test_those_that_wait_are_never_sent(self, sim) -> None:
        sim.set_conduct(max_concurrent_streams=1)
        async with rig_on(sim, max_connections=1) as rig:
            hold, pushes = await holding(rig, 1)
            waiting = [asyncio.create_task(rig.push()) for _ in range(5)]
            await until(lambda: rig.sender.stats().waiting == 5)
            drain = asyncio.create_task(rig.sender.drain(rig.loop.time() + 5))
            outcomes = await asyncio.gather(*waiting)
            assert {x.no_answer for x in outcomes} == {NoAnswer.NEVER_SENT}
            sim.release(hold)
            await drain
            assert (await pushes[0]).code == 200
            assert len(sim.arrivals()) == 1

    async def test_of_an_idle_or_unused_sender(self, sim) -> None:
        async with rig_on(sim) as rig:
            await rig.sender.drain(rig.loop.time() + 5)
        async with rig_on(sim) as rig:
            await rig.sender.warm()
            began = rig.loop.time()
            await rig.sender.drain(began + 5)
            assert rig.loop.time() - began < 4
            assert not await rig.sender.warm()

    async def test_while_connecting(self, sim) -> None:
        sim.connection_fault(hold=True)
        async with rig_on(sim) as rig:
            push = asyncio.create_task(rig.push())
            await until(lambda: rig.sender.stats().waiting == 1)
            await rig.sender.drain(rig.loop.time() + 1)
            assert (await push).no_answer is NoAnswer.NEVER_SENT

    async def test_closing_loses_what_is_open_at_once(self, rig: Rig) -> None:
        _, pushes = await holding(rig, 3)
        await rig.sender.close()
        await rig.sender.close()
        assert {x.no_answer for x in await asyncio.gather(*pushes)} == {NoAnswer.LOST}


async def test_a_push_in_the_same_turn_as_the_close_is_told_the_truth(rig: Rig) -> None:
    """What was written goes out before the connection closes: lost, not "never sent"."""
    await rig.sender.warm()
    flight = rig.sender.start(push_to(token := rig.live()), rig.loop.time() + 1)
    await rig.sender.close()
    outcome = await flight.future
    arrived = bool(rig.sim.arrivals(token))
    assert outcome.no_answer is NoAnswer.LOST
    assert outcome.may_have_reached >= arrived


async def test_every_address_is_tried(sim) -> None:
    """`localhost` is ::1 as well on most machines, where nobody listens."""
    for value in (0.0, 0.999):
        async with rig_on(sim, random=lambda value=value: value) as rig:
            assert (await rig.push()).code == 200


async def test_the_socket_does_not_wait_to_fill_packets(rig: Rig) -> None:
    await rig.sender.warm()
    (connection,) = rig.sender.pool.connections
    sock = connection.wire.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    tls = connection.wire.transport.get_extra_info("ssl_object")
    assert tls.version() in ("TLSv1.2", "TLSv1.3")
    assert tls.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize(
    "url", ["http://api.push.apple.com", "api.push.apple.com", "https://", "https://a/b", ""]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="https://host"):
        Endpoint(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("https://api.push.apple.com", "api.push.apple.com", 443, "api.push.apple.com"),
        ("https://a.example:2197/", "a.example", 2197, "a.example:2197"),
        ("https://[::1]:8443", "::1", 8443, "[::1]:8443"),
    ],
)
def test_a_url(url: str, host: str, port: int, authority: str) -> None:
    endpoint = Endpoint(url)
    assert (endpoint.host, endpoint.port, endpoint.authority) == (host, port, authority)


async def test_two_teams_never_share_a_connection(sim) -> None:
    async with (
        rig_on(sim, provider_key(sim, team_id="TEAMAAAAAA")) as first,
        rig_on(sim, provider_key(sim, team_id="TEAMBBBBBB")) as second,
    ):
        for rig in (first, second, first):
            assert (await rig.push()).code == 200
        teams = {x.client["team_id"]: x.connection for x in sim.arrivals()}
        assert len(teams) == len(set(teams.values())) == 2
        await first.sender.close()
        await second.sender.close()


async def test_a_lone_push_is_quick(rig: Rig) -> None:
    """Nothing in the engine waits for company: well under a timer's or a retry's delay."""
    await rig.sender.warm()
    token, times = rig.live(), []
    for _ in range(20):
        began = time.perf_counter()
        assert (await rig.push(token)).code == 200
        times.append(time.perf_counter() - began)
    assert min(times) < 0.02


async def test_defaults_are_for_apple() -> None:
    timing = Timing()
    assert (timing.backoff_first, timing.backoff_most) == (0.1, 30.0)
    assert timing.ping_idle <= 300
    assert QUICK.ping_idle > 10


async def test_a_sender_is_made_on_a_loop_only_with_what_fits(sim) -> None:
    with pytest.raises(ValueError, match="https://"):
        Sender(certificate(sim), "ftp://x")
    with pytest.raises(ValueError, match="cannot be loaded"):
        Sender(CertificateCredential(pem=b""), sim.production_url)


async def test_a_ca_file_that_is_not_there_is_a_visible_cause(sim, tmp_path) -> None:
    async with rig_on(sim, ca_file=tmp_path / "none.pem") as rig:
        outcome = await rig.push(some_token(), within=0.3)
        assert outcome.no_answer is NoAnswer.OUT_OF_TIME
        assert "No such file" in outcome.cause
