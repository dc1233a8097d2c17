"""What is kept of the requests, that it is bounded, and that waiting for it is quick."""

import asyncio
import secrets
import ssl
import time
from pathlib import Path

import httpx
import pytest

from devkit.simulator import Issued, ProviderCredential, Simulator
from tests.apns.rig import Metronome
from tests.devkit.simulator.conftest import BUNDLE, Connect, bearer_of, pem_file
from tests.devkit.simulator.raw_client import TOPIC, RawClient, connected


async def test_lists_all_of_a_request(sim: Simulator, client: RawClient, token: str) -> None:
    body = '{"aps":{},"name":"Zoë"}'.encode()
    before = time.time_ns()
    stream = client.send(token, body, apns_expiration="0", apns_priority="10")
    answer = await client.answer(stream)
    after = time.time_ns()
    (arrival,) = sim.arrivals()
    (listed,) = sim.connections()
    assert before < arrival.received_ns < after
    assert arrival.received_ns <= arrival.answered_ns < after
    assert arrival.token == token
    assert arrival.topic == TOPIC
    assert arrival.apns_id == answer.headers["apns-id"]
    assert arrival.header("apns-expiration") == "0"
    assert (arrival.raw, arrival.size) == (body, len(body))
    assert arrival.payload == {"aps": {}, "name": "Zoë"}
    assert arrival.environment == "production"
    assert (arrival.connection, arrival.stream_id) == (listed["number"], stream)
    assert (arrival.method, arrival.path) == ("POST", f"/3/device/{token}")
    assert (arrival.outcome, arrival.status, arrival.reason) == ("answered", 200, None)
    assert arrival.delivered


async def test_numbers_go_up_and_select(sim: Simulator, client: RawClient, token: str) -> None:
    for _ in range(5):
        await client.push(token)
    numbers = [a.number for a in sim.arrivals()]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert [a.number for a in sim.arrivals(after=numbers[2])] == numbers[3:]
    assert sim.arrivals("ab" * 32) == []
    assert [a.number for a in sim.arrivals(token.upper())] == numbers
    sim.clear_arrivals()
    assert sim.arrivals() == []
    await client.push(token)
    assert sim.arrivals()[0].number == numbers[-1] + 1


async def test_waiting_is_woken_at_once(sim: Simulator, client: RawClient, token: str) -> None:
    await client.push(token)
    delays, metronome = [], Metronome()
    for _ in range(20):
        after = sim.arrivals()[-1].number
        waiting = asyncio.create_task(sim.arrived(token=token, after=after))
        await asyncio.sleep(0.005)
        await client.push(token)
        (arrival,) = await waiting
        delays.append(time.time_ns() - arrival.received_ns)
    metronome.stop()
    late = 2 * metronome.worst * 10**9  # its own thread may be as late as this one
    assert sorted(delays)[len(delays) // 2] < 20_000_000 + late


async def test_waiting_for_others_or_too_long(
    sim: Simulator, client: RawClient, token: str
) -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        await sim.arrived(timeout=0.05)
    waiting = asyncio.create_task(sim.arrived(2, token="cd" * 32, timeout=0.2))
    await client.push(token)
    await client.push("cd" * 32)
    with pytest.raises(TimeoutError, match="1 of 2"):
        await waiting
    with pytest.raises(TimeoutError):
        sim.wait_for_arrivals(9, timeout=0.05)
    assert len(sim.wait_for_arrivals(2, timeout=0.05)) == 2


async def test_keeps_only_so_many(tmp_path: Path) -> None:
    with Simulator.running(tmp_path / "small", keep=10) as small:
        certificate = small.voip_certificate(BUNDLE)
        tokens = [secrets.token_hex(32) for _ in range(3)]
        small.live(*tokens)
        context = ssl.create_default_context(cafile=str(small.ca_file))
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(pem_file(certificate, tmp_path))
        async with connected(small.production_port, context) as client:
            for number in range(25):
                assert (await client.push(tokens[number % 3])).status == 200
        assert [a.number for a in small.arrivals()] == list(range(16, 26))
        told = httpx.get(f"{small.control_url}/arrivals").json()
        assert (told["forgotten"], told["arrivals"][0]["number"]) == (15, 16)
        assert small.statistics()["requests"] == 25
        kept = [a.number for made in tokens for a in small.arrivals(made)]
        assert sorted(kept) == list(range(16, 26))
        delivered = [a.number for made in tokens for a in small.deliveries(made)]
        assert sorted(delivered) == list(range(16, 26))


async def test_counts_answers(
    sim: Simulator, client: RawClient, connect: Connect, token: str, key: ProviderCredential
) -> None:
    await client.push(token)
    await client.push("ab" * 32)
    async with connect() as other:
        await other.push(token, bearer=bearer_of(key, time.time() - 4000))
    statistics = sim.statistics()
    assert statistics["answers"] == {"200": 1, "BadDeviceToken": 1, "ExpiredProviderToken": 1}
    assert (statistics["requests"], statistics["kept"]) == (3, 3)
    sim.clear()
    assert sim.statistics()["requests"] == 0
    # Its connections stay.
    assert (await client.push("ab" * 32)).status == 400


async def test_from_many_connections_at_once(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    async def one() -> None:
        async with connect(certificate) as client:
            await client.ready()
            streams = [client.send(token) for _ in range(40)]
            for stream in streams:
                assert (await client.answer(stream)).status == 200

    await asyncio.gather(*(one() for _ in range(8)))
    arrivals = await sim.arrived(320)
    assert len({(a.connection, a.stream_id) for a in arrivals}) == 320
    assert sim.statistics()["violations"] == []


async def test_waiting_for_thousands_does_not_slow_the_rest(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    async def pushes(client: RawClient, count: int) -> None:
        for _ in range(count // 100):
            for stream in [client.send(token) for _ in range(100)]:
                assert (await client.answer(stream)).status == 200

    async with connect(certificate) as client:
        await client.ready()
        waiting = asyncio.create_task(sim.arrived(3000, token=token, timeout=30))
        await pushes(client, 3000)
        assert len(await waiting) == 3000
