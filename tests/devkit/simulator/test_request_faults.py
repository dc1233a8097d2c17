"""Faults of single requests, and how they are picked."""

import asyncio
import time

import h2.exceptions
import pytest

from devkit.simulator import Simulator
from tests.devkit.simulator.conftest import Connect
from tests.devkit.simulator.raw_client import RawClient, Reset


async def test_any_status_and_reason(sim: Simulator, client: RawClient, token: str) -> None:
    wanted = [
        ({"status": 503, "reason": "Shutdown"}, 503),
        ({"reason": "ServiceUnavailable"}, 503),
        ({"reason": "InternalServerError"}, 500),
        ({"reason": "IdleTimeout"}, 400),
        ({"reason": "TooManyRequests"}, 429),
        ({"status": 418, "reason": "Teapot"}, 418),
        ({"reason": "NotYetInvented"}, 400),
    ]
    for fields, status in wanted:
        sim.fault(**fields, times=1)
        answer = await client.push(token)
        assert (answer.status, answer.reason) == (status, fields["reason"])
        assert "apns-id" in answer.headers
    assert (await client.push(token)).status == 200
    assert [a.delivered for a in sim.arrivals()] == [False] * len(wanted) + [True]
    assert [a.verdict for a in sim.arrivals()] == ["200"] * (len(wanted) + 1)


async def test_retry_after_and_other_headers(sim: Simulator, client: RawClient, token: str) -> None:
    sim.fault(reason="TooManyRequests", retry_after=7, headers={"X-Other": "1"}, times=1)
    answer = await client.push(token)
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-other"] == "1"


async def test_a_timestamp(sim: Simulator, client: RawClient, token: str) -> None:
    sim.fault(reason="Unregistered", timestamp=1_700_000_000_123, times=1)
    answer = await client.push(token)
    assert (answer.status, answer.timestamp) == (410, 1_700_000_000_123)


async def test_delay(sim: Simulator, client: RawClient, token: str) -> None:
    sim.fault(delay=1, times=1)
    began = time.monotonic()
    slow = client.send(token)
    assert (await client.push(token)).status == 200
    held, quick = sim.arrivals(token)
    assert (held.outcome, quick.status) == ("pending", 200)
    assert (await client.answer(slow)).status == 200
    assert time.monotonic() - began >= 1


async def test_hold_is_a_barrier(sim: Simulator, client: RawClient, token: str) -> None:
    fault = sim.fault(hold=True, times=3)
    streams = [client.send(token) for _ in range(3)]
    await sim.arrived(3)
    assert sim.held(fault) == 3
    assert not any(a.delivered for a in sim.arrivals())
    assert sim.release(fault, 1) == 1
    await client.until(lambda: any(a.ended for a in client.answers.values()))
    assert sim.held(fault) == 2
    assert sim.release(fault) == 2
    for stream in streams:
        assert (await client.answer(stream)).status == 200
    assert all(a.delivered for a in sim.arrivals())


async def test_silence(sim: Simulator, client: RawClient, token: str) -> None:
    sim.fault(silence=True, times=1)
    with pytest.raises(TimeoutError):
        await client.push(token, timeout=0.15)
    assert (await client.push(token)).status == 200
    assert [a.outcome for a in sim.arrivals()] == ["silent", "answered"]


CODES = {
    "NO_ERROR": 0,
    "PROTOCOL_ERROR": 1,
    "INTERNAL_ERROR": 2,
    "FLOW_CONTROL_ERROR": 3,
    "STREAM_CLOSED": 5,
    "REFUSED_STREAM": 7,
    "CANCEL": 8,
    "ENHANCE_YOUR_CALM": 11,
    "HTTP_1_1_REQUIRED": 13,
}


@pytest.mark.parametrize(("name", "code"), [*CODES.items(), (42, 42)])
async def test_resets_of_each_kind(
    sim: Simulator, client: RawClient, token: str, name: str | int, code: int
) -> None:
    sim.fault(reset=name, times=1)
    with pytest.raises(Reset) as caught:
        await client.push(token)
    assert caught.value.code == code
    assert (await client.push(token)).status == 200
    struck, after = sim.arrivals()
    assert (struck.outcome, struck.delivered) == ("reset", False)
    assert struck.error_code == (name if isinstance(name, str) else "0x2a")
    # What is refused was not looked at.
    assert struck.verdict == (None if name == "REFUSED_STREAM" else "200")
    assert after.delivered
    assert sim.statistics()["open_streams"] == 0


async def test_a_refused_stream_authenticates_nobody(
    sim: Simulator, connect: Connect, token: str, bearer: str
) -> None:
    sim.fault(reset="REFUSED_STREAM", times=1)
    async with connect() as client:
        await client.ready()
        with pytest.raises(Reset):
            await client.push(token, bearer=bearer)
        assert client.stream_limit == 1
        assert (await client.push(token, bearer=bearer)).status == 200


async def test_at_the_headers_before_the_body(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.fault(reset="REFUSED_STREAM", on="headers", times=1)
    stream = client.send(token, b"", end=False)
    with pytest.raises(Reset) as caught:
        await client.answer(stream)
    assert caught.value.code == 7
    sim.fault(silence=True, on="headers", times=1)
    with pytest.raises(TimeoutError):
        await client.push(token, timeout=0.1)
    sim.fault(reason="ServiceUnavailable", on="headers", times=1)
    early = client.send(token, b"", end=False)
    assert (await client.answer(early)).reason == "ServiceUnavailable"
    assert client.answers[early].reset in (None, 0)
    assert [a.outcome for a in sim.arrivals()] == ["reset", "silent", "answered"]
    assert (await client.push(token)).status == 200


async def test_cut_after_headers_or_in_the_body(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.fault(reason="BadDeviceToken", cut="headers", reset="INTERNAL_ERROR", times=1)
    stream = client.send(token)
    with pytest.raises(Reset):
        await client.answer(stream)
    assert (client.answers[stream].status, client.answers[stream].body) == (400, b"")
    sim.fault(reason="BadDeviceToken", cut="body", reset="INTERNAL_ERROR", times=1)
    stream = client.send(token)
    with pytest.raises(Reset):
        await client.answer(stream)
    whole = b'{"reason":"BadDeviceToken"}'
    assert client.answers[stream].body == whole[: len(whole) // 2]
    sim.fault(cut="headers", silence=True, times=1)
    stream = client.send(token)
    with pytest.raises(TimeoutError):
        await client.answer(stream, 0.1)
    assert client.answers[stream].status == 200
    assert [a.outcome for a in sim.arrivals()] == ["reset", "reset", "silent"]


async def test_settings_with_an_answer(sim: Simulator, client: RawClient, token: str) -> None:
    sim.fault(settings={"max_concurrent_streams": 3}, times=1)
    assert (await client.push(token)).status == 200
    assert client.stream_limit == 3


async def test_raw_bytes(sim: Simulator, client: RawClient, token: str) -> None:
    unknown_frame = "000004fa0000000000deadbeef"
    sim.fault(raw=unknown_frame, times=1)
    assert (await client.push(token)).status == 200
    sim.fault(raw="000000060000000000", silence=True, times=1)  # A PING without its eight bytes.
    client.send(token)
    await client.until(lambda: client.closed)
    assert isinstance(
        client.error, h2.exceptions.FrameDataMissingError | h2.exceptions.ProtocolError
    )


@pytest.mark.parametrize(
    ("fields", "status", "body"),
    [
        ({"status": 400, "body": ""}, 400, b""),
        ({"status": 503}, 503, b""),
        ({"status": 502, "body": "<html>Bad Gateway</html>"}, 502, b"<html>Bad Gateway</html>"),
        ({"status": 500, "body": '{"reason":'}, 500, b'{"reason":'),
        ({"status": 200, "body": "{}"}, 200, b"{}"),
    ],
)
async def test_odd_bodies(
    sim: Simulator,
    client: RawClient,
    token: str,
    fields: dict[str, object],
    status: int,
    body: bytes,
) -> None:
    sim.fault(**fields, times=1)
    answer = await client.push(token)
    assert (answer.status, answer.body) == (status, body)


async def test_huge_bodies(sim: Simulator, client: RawClient, token: str) -> None:
    sim.fault(reason="BadDeviceToken", body_size=300_000, times=1)
    stream = client.send(token)
    with pytest.raises(TimeoutError):
        await client.answer(stream, 0.1)
    # The client's window for a stream was 65,535 bytes; it opens it here.
    client.h2.increment_flow_control_window(300_000, stream)
    client.flush()
    answer = await client.answer(stream)
    assert len(answer.body) == 300_000
    assert answer.reason == "BadDeviceToken"


async def test_split_bodies_and_slow_drips(sim: Simulator, client: RawClient, token: str) -> None:
    whole = b'{"reason":"BadDeviceToken"}'
    sim.fault(reason="BadDeviceToken", pieces=2, times=1)
    answer = await client.push(token)
    assert (answer.body, answer.frames) == (whole, [14, 13])
    sim.fault(reason="BadDeviceToken", pieces=100, pause=0.005, times=1)
    began = time.monotonic()
    answer = await client.push(token)
    assert (answer.body, answer.frames) == (whole, [1] * len(whole))
    assert time.monotonic() - began > 0.1
    sim.fault(pause=0.05, times=1)
    answer = await client.push(token)
    assert (answer.status, answer.frames) == (200, [0])
    assert [a.outcome for a in sim.arrivals()] == ["answered"] * 3
    assert sim.statistics()["open_streams"] == 0


async def test_apns_ids(sim: Simulator, client: RawClient, token: str) -> None:
    identifier = "abcdefab-1234-4123-8123-abcdefabcdef"
    expected = {
        "missing": None,
        "uppercase": identifier.upper(),
        "other": "00000000-0000-4000-8000-000000000000",
        "echo": identifier,
    }
    for shape, value in expected.items():
        sim.fault(apns_id_header=shape, times=1)
        answer = await client.push(token, apns_id=identifier)
        assert answer.headers.get("apns-id") == value


async def test_delivered_says_what_the_phone_gets(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.fault(silence=True, delivered=True, times=1)
    with pytest.raises(TimeoutError):
        await client.push(token, timeout=0.1)
    sim.fault(delivered=False, times=1)
    assert (await client.push(token)).status == 200
    sim.fault(reset="INTERNAL_ERROR", delivered=True, times=1)
    with pytest.raises(Reset):
        await client.push(token)
    assert [a.delivered for a in sim.arrivals()] == [True, False, True]
    assert [a.number for a in sim.deliveries(token)] == [
        a.number for a in sim.arrivals() if a.delivered
    ]


async def test_a_reset_by_the_client_is_seen(sim: Simulator, client: RawClient, token: str) -> None:
    held = sim.fault(hold=True, times=1)
    stream = client.send(token)
    await sim.arrived(1)
    client.h2.reset_stream(stream, 8)
    client.flush()
    client.h2.ping(b"12345678")
    client.flush()
    await client.until(lambda: client.pings_acknowledged == 1)
    (arrival,) = sim.arrivals()
    assert (arrival.outcome, arrival.error_code) == ("abandoned", "CANCEL")
    assert sim.release(held) == 1
    assert (await client.push(token)).status == 200
    assert not arrival.delivered
    assert sim.statistics()["resets_received"] == 1


@pytest.mark.parametrize("fault", [{"silence": True}, {"close": "fin"}, {"close": "rst"}])
async def test_what_is_dealt_with_at_its_headers_is_recorded_once(
    sim: Simulator, client: RawClient, token: str, fault: dict[str, object]
) -> None:
    """Its body comes in the same breath, on a connection that is being closed already."""
    sim.fault(**fault, on="headers", times=1)
    client.send(token)
    await sim.arrived(1, token=token)
    await asyncio.sleep(0.2)
    assert len(sim.arrivals(token)) == 1
    assert sim.arrivals(token)[0].status is None
