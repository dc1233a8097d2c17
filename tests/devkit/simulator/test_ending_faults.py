"""Faults of a request that end its connection: closing in mid-stream, and GOAWAY of each kind."""

import asyncio
import json

import pytest

from devkit.simulator import Issued, Simulator
from tests.devkit.simulator.conftest import Connect
from tests.devkit.simulator.raw_client import Ended, RawClient


@pytest.mark.parametrize("cut", [None, "headers", "body"])
@pytest.mark.parametrize("how", ["tls", "fin", "rst"])
async def test_close_in_mid_stream(
    sim: Simulator, client: RawClient, token: str, how: str, cut: str | None
) -> None:
    held = sim.fault(hold=True, times=1, token="cd" * 32)
    other = client.send("cd" * 32)
    sim.fault(close=how, cut=cut, reason="BadDeviceToken" if cut else None, token=token)
    stream = client.send(token)
    with pytest.raises(Ended):
        await client.answer(stream)
    with pytest.raises(Ended):
        await client.answer(other)
    if how != "rst":  # A reset may destroy what was under way.
        assert client.answers.get(stream) is None if cut is None else client.answers[stream].status
    assert [a.outcome for a in sim.arrivals()] == ["closed", "closed"]
    assert sim.held(held) == 0


async def test_goaway_covering_streams_in_flight(
    sim: Simulator, client: RawClient, token: str
) -> None:
    held = sim.fault(hold=True, times=1)
    first = client.send(token)
    sim.fault(goaway={"code": "NO_ERROR"}, times=1)
    second = client.send(token)
    await client.until(lambda: client.goaway is not None)
    assert client.goaway.last_stream_id == second
    assert (await client.answer(second)).status == 200
    assert not client.closed
    sim.release(held)
    assert (await client.answer(first)).status == 200
    await client.until(lambda: client.closed)


async def test_goaway_not_covering_the_stream(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    async with connect(certificate) as client:
        await client.ready()
        held = sim.fault(hold=True, times=1)
        first = client.send(token)
        sim.fault(goaway={"covering": False, "code": "ENHANCE_YOUR_CALM"}, times=1)
        # All in one write: streams above the last one must not be processed either.
        streams = [client.send(token) for _ in range(4)]
        await client.until(lambda: client.goaway is not None)
        assert client.goaway.last_stream_id == first
        assert int(client.goaway.error_code) == 11
        sim.release(held)
        assert (await client.answer(first)).status == 200
        await client.until(lambda: client.closed)
        assert not any(stream in client.answers for stream in streams)
    outcomes = [(a.outcome, a.delivered) for a in sim.arrivals()]
    assert outcomes == [("answered", True), ("goaway", False)]


async def test_goaway_with_last_stream_0_and_json(
    sim: Simulator, client: RawClient, token: str
) -> None:
    held = sim.fault(hold=True, times=2)
    streams = [client.send(token), client.send(token)]
    sim.fault(goaway={"last_stream_id": 0, "reason": "BadCertificate", "close": "now"}, times=1)
    streams.append(client.send(token))
    for stream in streams:
        with pytest.raises(Ended):
            await client.answer(stream)
    assert client.goaway.last_stream_id == 0
    assert json.loads(client.goaway.additional_data) == {"reason": "BadCertificate"}
    assert [a.outcome for a in sim.arrivals()] == ["goaway"] * 3
    assert not any(a.delivered for a in sim.arrivals())
    assert sim.held(held) == 0


async def test_goaway_that_leaves_the_connection_open(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.fault(goaway={"close": "never"}, times=1)
    assert (await client.push(token)).status == 200
    assert client.goaway is not None
    await asyncio.sleep(0.05)
    assert not client.closed
