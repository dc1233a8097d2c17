"""Faults of a whole connection once TLS stands: settings, windows, PINGs, GOAWAY, records."""

import asyncio
import json
import time

import pytest

from devkit.simulator import Issued, Simulator
from tests.devkit.simulator.conftest import Connect, bearer_of
from tests.devkit.simulator.raw_client import Ended, RawClient


async def test_first_settings(sim: Simulator, connect: Connect, certificate: Issued) -> None:
    values = {"max_concurrent_streams": 7, "initial_window_size": 300, "header_table_size": 0}
    sim.connection_fault(settings=values, times=1)
    async with connect(certificate) as client:
        await client.ready()
        assert client.stream_limit == 7
        assert client.h2.remote_settings.initial_window_size == 300
        assert client.h2.remote_settings.header_table_size == 0


async def test_a_scripted_limit_is_not_raised_by_a_token(
    sim: Simulator, connect: Connect, token: str, bearer: str
) -> None:
    sim.connection_fault(settings={"max_concurrent_streams": 1})
    async with connect() as client:
        assert (await client.push(token, bearer=bearer)).status == 200
        assert (await client.push(token, bearer=bearer)).status == 200
        assert client.stream_limit == 1


async def test_settings_up_and_down_in_mid_connection(
    sim: Simulator, client: RawClient, token: str
) -> None:
    for limit in (1, 5, 2, 1000):
        sim.send_settings(max_concurrent_streams=limit)
        await client.until(lambda limit=limit: client.stream_limit == limit)
        assert (await client.push(token)).status == 200


async def test_a_lowered_limit_is_kept(sim: Simulator, client: RawClient, token: str) -> None:
    held = sim.fault(hold=True, times=2)
    streams = [client.send(token), client.send(token)]
    sim.send_settings(max_concurrent_streams=2)
    await client.until(lambda: client.stream_limit == 2)
    (listed,) = sim.connections()
    # python-hyper would stop us, but a rude client would not be stopped by itself.
    client.h2.remote_settings.update({3: 100})
    client.h2.remote_settings.acknowledge()
    third = client.send(token)
    with pytest.raises(Exception, match="7"):
        await client.answer(third)
    assert sim.statistics()["limit_violations"] == 1
    sim.release(held)
    for stream in streams:
        assert (await client.answer(stream)).status == 200
    assert listed["open_streams"] == 2


async def test_a_tiny_initial_window_is_refilled(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    sim.connection_fault(settings={"initial_window_size": 10})
    async with connect(certificate) as client:
        await client.ready()
        body = b'{"aps":{},"x":"0123456789"}'
        stream = client.send(token, b"", end=False)
        sent = 0
        while sent < len(body):
            await client.until(lambda: client.h2.local_flow_control_window(stream) > 0)
            room = client.h2.local_flow_control_window(stream)
            assert room <= 10
            client.h2.send_data(stream, body[sent : sent + room])
            client.flush()
            sent += room
        client.h2.end_stream(stream)
        client.flush()
        assert (await client.answer(stream)).status == 200
    assert sim.arrivals()[0].raw == body


async def test_a_stream_window_that_is_never_refilled(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    sim.connection_fault(settings={"initial_window_size": 10}, refill_stream_windows=False)
    async with connect(certificate) as client:
        await client.ready()
        stream = client.send(token, b"0123456789", end=False)
        await asyncio.sleep(0.1)
        assert client.h2.local_flow_control_window(stream) == 0
        # A push that fits in the window is answered.
        assert (await client.push(token, b'{"aps":1}')).status == 200


async def test_a_connection_window_that_is_never_refilled(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    sim.connection_fault(refill_connection_window=False, times=1)
    body = json.dumps({"aps": {}, "x": "y" * 4900}).encode()
    async with connect(certificate) as client:
        await client.ready()
        for _ in range(13):
            assert (await client.push(token, body)).status == 200
        await asyncio.sleep(0.05)
        assert client.h2.outbound_flow_control_window == 65_535 - 13 * len(body)
        with pytest.raises(Exception, match=r"(?i)flow"):
            client.send(token, body)
    async with connect(certificate) as healthy:
        for _ in range(30):
            assert (await healthy.push(token, body)).status == 200


async def test_pings(sim: Simulator, connect: Connect, client: RawClient) -> None:
    client.h2.ping(b"12345678")
    client.flush()
    await client.until(lambda: client.pings_acknowledged == 1)
    assert sim.statistics()["pings_received"] == 1
    sim.connection_fault(answer_pings=False)
    async with connect() as deaf:
        deaf.h2.ping(b"12345678")
        deaf.flush()
        await asyncio.sleep(0.1)
        assert deaf.pings_acknowledged == 0
    assert sim.statistics()["pings_received"] == 2


async def test_pings_the_client(sim: Simulator, client: RawClient) -> None:
    (listed,) = sim.connections()
    loop = asyncio.get_running_loop()
    took = await loop.run_in_executor(None, sim.ping, listed["number"])
    assert took is not None
    assert 0 < took < 10
    assert sim.statistics()["pings_acknowledged"] == 1
    client._task.cancel()  # It reads no more, so it answers no more.
    assert await loop.run_in_executor(None, sim.ping, listed["number"], 0.1) is None


async def test_settings_without_acknowledgement(sim: Simulator, connect: Connect) -> None:
    sim.connection_fault(acknowledge_settings=False, times=1)
    async with connect() as client:
        await client.ready()
        await asyncio.sleep(0.1)
        assert client.settings_acknowledged == 0
    async with connect() as client:
        await client.until(lambda: client.settings_acknowledged == 1)


async def test_goaway_at_once_with_a_reason(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    order = {"covering": False, "reason": "BadCertificateEnvironment", "close": "now"}
    sim.connection_fault(goaway=order, times=1)
    async with connect(certificate) as client:
        await client.until(lambda: client.goaway is not None)
        assert client.goaway.last_stream_id == 0
        assert json.loads(client.goaway.additional_data) == {"reason": "BadCertificateEnvironment"}
        await client.until(lambda: client.closed)
    assert sim.arrivals() == []
    assert sim.statistics()["goaways_sent"] == 1


async def test_goaway_in_mid_connection(sim: Simulator, client: RawClient, token: str) -> None:
    assert (await client.push(token)).status == 200
    held = sim.fault(hold=True, times=1)
    stream = client.send(token)
    await sim.arrived(2)
    sim.send_goaway(reason="Shutdown")
    await client.until(lambda: client.goaway is not None)
    assert client.goaway.last_stream_id == stream
    await asyncio.sleep(0.05)
    assert not client.closed
    sim.release(held)
    assert (await client.answer(stream)).status == 200
    await client.until(lambda: client.closed)


async def test_streams_above_a_goaway_are_ignored(
    sim: Simulator, client: RawClient, token: str
) -> None:
    held = sim.fault(hold=True, times=1)
    first = client.send(token)
    await sim.arrived(1)
    sim.send_goaway(close="never")
    late = client.send(token)  # Sent before it could know.
    sim.release(held)
    assert (await client.answer(first)).status == 200
    with pytest.raises(TimeoutError):
        await client.answer(late, 0.1)
    assert len(sim.arrivals()) == 1


async def test_everything_in_records_of_one_byte(
    sim: Simulator, connect: Connect, certificate: Issued
) -> None:
    sim.connection_fault(record_size=1)
    async with connect(certificate) as client:
        assert (await client.push("ab" * 32)).reason == "BadDeviceToken"


async def test_a_server_that_reads_no_more(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    sim.connection_fault(stop_reading=1, times=1)
    async with connect(certificate) as client:
        await client.ready()
        assert (await client.push(token)).status == 200
        with pytest.raises(TimeoutError):
            await client.push(token, timeout=0.2)
    assert len(sim.arrivals()) == 1
    sim.connection_fault(stop_reading=0, times=1)
    async with connect(certificate) as client:
        await client.ready()
        with pytest.raises(TimeoutError):
            await client.push(token, timeout=0.2)


@pytest.mark.parametrize("how", ["tls", "fin", "rst"])
async def test_closing_open_connections(
    sim: Simulator, client: RawClient, token: str, how: str
) -> None:
    held = sim.fault(hold=True)
    stream = client.send(token)
    await sim.arrived(1)
    sim.close_connections(how=how)
    with pytest.raises(Ended):
        await client.answer(stream)
    assert isinstance(client.error, ConnectionResetError) == (how == "rst")
    assert sim.arrivals()[0].outcome == "closed"
    assert sim.held(held) == 0


async def test_a_window_of_the_client_holds_answers_back(sim: Simulator, client: RawClient) -> None:
    """The fault that a client without WINDOW_UPDATE brings on itself."""
    client.refill = False
    sim.fault(reason="BadDeviceToken", body_size=4000)
    for _ in range(16):
        assert (await client.push("ab" * 32)).status == 400
    stream = client.send("ab" * 32)
    with pytest.raises(TimeoutError):
        await client.answer(stream, 0.1)
    assert sum(client.answers[stream].frames) == 65_535 - 16 * 4000
    client.h2.increment_flow_control_window(64_000)
    client.flush()
    assert len((await client.answer(stream)).body) == 4000


async def test_counts_connections_and_streams(
    sim: Simulator, connect: Connect, certificate: Issued, token: str, key: object
) -> None:
    sim.fault(hold=True)
    async with connect(certificate) as one, connect() as two:
        one.send(token)
        one.send(token)
        two.send(token, bearer=bearer_of(key))
        await sim.arrived(3)
        statistics = sim.statistics()
        assert statistics["open_connections"] == 2
        assert statistics["open_streams"] == 3
        assert statistics["handshakes"] == 2
    deadline = time.monotonic() + 5
    while sim.statistics()["open_connections"] and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert sim.statistics()["open_streams"] == 0
    assert sim.connections() == []
