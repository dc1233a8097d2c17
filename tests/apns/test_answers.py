"""What the server answers is what the outcome says, whatever shape the answer has."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from app.apns import NoAnswer, PushType
from app.apns.answer_table import BY_REASON
from tests.apns.rig import PAYLOAD, QUICK, TOPIC, Rig, push_to, rig_on, some_token, until


async def test_a_push_arrives_as_it_was_meant(rig: Rig) -> None:
    token = rig.live()
    request = push_to(token, notification_id="0d3c1c34-cd0a-4fb7-9a0c-4a4bd1c4e0a2")
    outcome = await rig.sender.send_notification(request)
    (arrival,) = rig.sim.arrivals(token)
    assert (outcome.code, outcome.status, outcome.is_successful) == (200, "200", True)
    assert arrival.raw == PAYLOAD
    assert dict(arrival.headers) == {
        ":method": "POST",
        ":scheme": "https",
        ":authority": f"localhost:{rig.sim.production_port}",
        ":path": f"/3/device/{token}",
        "apns-topic": TOPIC,
        "apns-push-type": "voip",
        "apns-priority": "10",
        "apns-expiration": "0",
        "apns-id": "0d3c1c34-cd0a-4fb7-9a0c-4a4bd1c4e0a2",
    }
    await rig.settled()


async def test_all_headers_of_a_push(rig: Rig) -> None:
    token, at = rig.live(), int(datetime.now(UTC).timestamp()) + 45
    outcome = await rig.push(token, expiration=at, collapse_key="a call", priority=5)
    (arrival,) = rig.sim.arrivals(token)
    assert outcome.code == 200
    assert arrival.header("apns-expiration") == str(at)
    assert arrival.header("apns-collapse-id") == "a call"
    assert arrival.header("apns-priority") == "5"
    assert (await rig.push(token, expiration=None, priority=None)).code == 200
    bare = rig.sim.arrivals(token)[-1]
    assert bare.header("apns-expiration") is None
    assert bare.header("apns-priority") is None


async def test_sandbox_gives_a_unique_id(sim) -> None:
    async with rig_on(sim, url=sim.sandbox_url) as rig:
        token = some_token()
        sim.live(token, topic=TOPIC, environment="sandbox")
        outcome = await rig.push(token)
        assert outcome.code == 200
        assert len(outcome.apns_unique_id) == 36


async def test_every_reason_is_reported(rig: Rig) -> None:
    for reason in sorted(BY_REASON):
        status = BY_REASON[reason].status
        rig.sim.fault(status=status, reason=reason, timestamp=1_700_000_000_123, times=1)
        outcome = await rig.push()
        assert (outcome.code, outcome.reason, outcome.description) == (status, reason, reason)
        assert outcome.timestamp == 1_700_000_000_123
        await rig.settled()


STATUSES = (201, 204, 302, 400, 404, 418, 429, 500, 502, 503, 599, 999)


@pytest.mark.parametrize(
    "body", ["", "<html>no</html>", '{"reason":""}', "[]", "{", '{"reason":1}']
)
async def test_an_answer_without_a_reason_is_still_an_answer(rig: Rig, body: str) -> None:
    for status in STATUSES:
        rig.sim.fault(status=status, body=body, times=1)
        outcome = await rig.push()
        assert (outcome.code, outcome.reason, outcome.timestamp) == (status, None, None)
        await rig.settled()


@pytest.mark.parametrize("pieces", [2, 3, 60])
async def test_an_answer_in_pieces_is_put_together(rig: Rig, pieces: int) -> None:
    rig.sim.fault(status=410, reason="Unregistered", timestamp=5, pieces=pieces, pause=0.001)
    outcome = await rig.push()
    assert (outcome.code, outcome.reason, outcome.timestamp) == (410, "Unregistered", 5)
    assert len(rig.sim.arrivals()) == 1
    await rig.settled()


@pytest.mark.parametrize("record_size", [1, 7, 100])
async def test_answers_in_tiny_tls_records(sim, record_size: int) -> None:
    sim.connection_fault(record_size=record_size)
    async with rig_on(sim) as rig:
        rig.sim.gone(token := some_token())
        outcomes = await asyncio.gather(*(rig.push(token) for _ in range(20)))
        assert {x.reason for x in outcomes} == {"Unregistered"}
        await rig.settled()


@pytest.mark.parametrize("size", [16_384, 16_385, 60_000, 65_535, 2_000_000])
async def test_a_huge_body_is_discarded_and_costs_nobody_else(rig: Rig, size: int) -> None:
    rig.sim.fault(status=500, body="x", body_size=size, times=10)
    outcomes = await asyncio.gather(*(rig.push(within=20.0) for _ in range(40)))
    assert sorted(x.code for x in outcomes) == [200] * 30 + [500] * 10
    await rig.settled()


async def test_thousands_of_error_bodies_do_not_exhaust_the_window(rig: Rig) -> None:
    """aioapns's defect 6: every later error hangs."""
    rig.sim.fault(status=400, reason="BadDeviceToken", body_size=4_000)
    for _ in range(20):
        outcomes = await asyncio.gather(*(rig.push() for _ in range(100)))
        assert {x.reason for x in outcomes} == {"BadDeviceToken"}
    assert rig.sender.stats().handshakes == 1
    await rig.settled()


@pytest.mark.parametrize("kind", ["missing", "uppercase", "other"])
async def test_the_echoed_apns_id_does_not_matter(rig: Rig, kind: str) -> None:
    rig.sim.fault(apns_id_header=kind)
    outcomes = await asyncio.gather(*(rig.push() for _ in range(10)))
    assert {x.code for x in outcomes} == {200}
    assert len(rig.sim.arrivals()) == 10
    await rig.settled()


async def test_two_pushes_with_one_apns_id_each_have_their_outcome(rig: Rig) -> None:
    """A retry may overtake; aioapns's defect 11 lost one of them."""
    gone = some_token()
    rig.sim.gone(gone)
    same = "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"
    outcomes = await asyncio.gather(
        rig.push(notification_id=same), rig.push(gone, notification_id=same)
    )
    assert [x.code for x in outcomes] == [200, 410]


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("7", 7, 7), ("0", 0, 0), ("soon", None, None), ("999999999999", 86_400, 86_400)],
)
async def test_retry_after(rig: Rig, header: str, low: float, high: float) -> None:
    rig.sim.fault(status=429, reason="TooManyRequests", headers={"retry-after": header}, times=1)
    outcome = await rig.push()
    if low is None:
        assert outcome.retry_after is None
    else:
        assert low <= outcome.retry_after <= high


async def test_retry_after_as_a_date(rig: Rig) -> None:
    date = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    rig.sim.fault(status=503, headers={"retry-after": date}, times=1)
    assert 28 <= (await rig.push()).retry_after <= 30


async def test_a_dripping_body_is_cut_short_and_the_status_stands(sim) -> None:
    async with rig_on(sim, timing=QUICK) as rig:
        await rig.warm()
        rig.sim.fault(status=410, reason="Unregistered", pieces=40, pause=0.05, times=1)
        outcome = await rig.push(within=10.0)
        assert (outcome.code, outcome.reason) == (410, None)
        assert outcome.ended - outcome.started < 1.0 + rig.metronome.worst
        await rig.settled()


@pytest.mark.parametrize("cut", ["headers", "body"])
@pytest.mark.parametrize("end", [{"close": "rst"}, {"reset": "CANCEL"}, {"silence": True}])
async def test_an_answer_cut_off_after_its_status_still_counts(sim, cut: str, end: dict) -> None:
    async with rig_on(sim, timing=QUICK) as rig:
        await rig.warm()
        rig.sim.fault(status=503, reason="ServiceUnavailable", cut=cut, times=1, **end)
        outcome = await rig.push()
        assert outcome.code == 503 or (outcome.no_answer is NoAnswer.LOST and "close" in end)
        await rig.settled()


async def test_aioapns_own_request_type_is_taken(rig: Rig) -> None:
    from aioapns import NotificationRequest

    token = rig.live()
    request = NotificationRequest(
        token,
        {"aps": {"é": 1}},
        time_to_live=0,
        priority=10,
        push_type=PushType.VOIP,
        apns_topic=TOPIC,
    )
    outcome = await rig.sender.send_notification(request)
    (arrival,) = rig.sim.arrivals(token)
    assert outcome.code == 200
    assert arrival.header("apns-expiration") == "0"
    assert json.loads(arrival.raw) == {"aps": {"é": 1}}


async def test_a_payload_too_large_is_apples_to_refuse(rig: Rig) -> None:
    exact = b'{"x":"' + b"y" * (5_120 - 8) + b'"}'
    assert (await rig.push(payload=exact)).code == 200
    assert (await rig.push(payload=exact + b" ")).reason == "PayloadTooLarge"
    assert (await rig.push(payload=b"")).reason == "PayloadEmpty"
    assert (await rig.push(payload=b'{"x":"' + b"y" * 300_000 + b'"}')).reason == "PayloadTooLarge"
    await until(lambda: rig.sim.statistics()["open_streams"] == 0)
    await rig.settled()
