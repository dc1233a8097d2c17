"""Web Push's sender against the fake push service: what goes out, what comes back, and where to."""

import asyncio
import time
import uuid
from email.utils import formatdate

import pytest

from app.core.push import Purpose
from app.core.push_policy import NoAnswer
from app.infra.addresses import is_public
from app.webpush import sender as senders
from app.webpush.message import WebPushMessage, message_of
from app.webpush.sender import WebPushSender
from tests.apns.rig import QUICK
from tests.webpush.conftest import KEY, PUBLIC, Rig, id_of, push_to, token_of


async def test_a_ring_is_urgent_lives_as_long_as_it_rings_and_only_its_browser_opens_it(
    rig: Rig,
) -> None:
    browser, ring = rig.subscribe(), str(uuid.uuid4())
    outcome = await rig.push(browser, ring=ring)
    assert (outcome.code, outcome.reason) == (201, None)
    [arrival] = rig.sim.deliveries(id_of(browser))
    assert arrival.payload == {"web_push": 8030}
    assert arrival.header("urgency") == "high"
    assert arrival.header("ttl") in {"29", "30"}
    assert arrival.header("topic") == uuid.UUID(ring).hex
    assert arrival.client == {"kind": "vapid", "key": PUBLIC, "subject": "mailto:push@example.com"}
    await rig.settled()


async def test_a_stop_takes_the_place_of_a_ring_that_was_not_fetched(rig: Rig) -> None:
    browser, ring = rig.subscribe(), str(uuid.uuid4())
    rig.sim.web_online(id_of(browser), online=False)
    assert (await rig.push(browser, ring=ring)).code == 201
    assert (await rig.push(browser)).code == 201  # another ring, which stays
    stop = await rig.push(browser, ring=ring, purpose=Purpose.STOP)
    assert stop.code == 201
    assert not rig.sim.deliveries(id_of(browser))
    rig.sim.web_online(id_of(browser), online=True)
    topics = [one.header("topic") for one in rig.sim.deliveries(id_of(browser))]
    assert len(topics) == 2
    assert topics[-1] == uuid.UUID(ring).hex


async def test_many_pushes_share_a_connection_and_one_signature(rig: Rig) -> None:
    outcomes = await asyncio.gather(*(rig.push(within=5.0) for _ in range(100)))
    assert {one.code for one in outcomes} == {201}
    assert rig.sender.stats().handshakes <= 2
    said = {one.header("authorization") for one in rig.sim.arrivals()}
    signed = {one for one in said if one.startswith("vapid ")}  # others' go to Google
    assert len(signed) == 1


async def test_a_subscription_made_with_another_key_is_refused(rig: Rig) -> None:
    browser = rig.sim.web_subscribe("B" * 87)
    outcome = await rig.push(browser)
    assert (outcome.code, outcome.reason) == (403, "vapid_refused")
    await rig.settled()


@pytest.mark.parametrize(("gone", "code"), [(True, 410), (False, 404)])
async def test_a_subscription_that_is_gone(rig: Rig, gone: bool, code: int) -> None:
    browser = rig.subscribe()
    if gone:
        rig.sim.web_gone(id_of(browser))
    else:
        rig.sim.web_forget(id_of(browser))
    outcome = await rig.push(browser)
    assert (outcome.code, outcome.reason) == (code, "subscription_gone")
    await rig.settled()


ANSWERS = [
    ({"status": 202}, 202, None),
    ({"status": 429, "reason": "TooManyRequests", "retry_after": 7}, 429, "too_many"),
    ({"status": 413, "reason": "TooLarge"}, 413, "too_large"),
    ({"status": 401, "body": "token expired"}, 401, "vapid_refused"),
    ({"status": 503, "reason": "Unavailable"}, 503, "Unavailable"),
    ({"status": 500, "body": "oh\x00 no\nmore"}, 500, "oh\ufffd no"),
    ({"status": 502, "body": "<html>Bad Gateway</html>"}, 502, "<html>Bad Gateway</html>"),
    ({"status": 400, "body": ""}, 400, None),
    ({"status": 302, "headers": {"location": "https://127.0.0.1/"}}, 302, None),
    ({"status": 500, "reason": "InternalError", "pieces": 3}, 500, "InternalError"),
]


@pytest.mark.parametrize(("fault", "code", "reason"), ANSWERS)
async def test_any_answer_is_an_outcome(rig: Rig, fault, code: int, reason: str | None) -> None:
    browser = rig.subscribe()
    rig.sim.fault(token=id_of(browser), **fault)
    outcome = await rig.push(browser)
    assert (outcome.code, outcome.reason) == (code, reason)
    assert outcome.retry_after == fault.get("retry_after")
    await rig.settled()


async def test_a_wait_may_be_given_as_a_date(rig: Rig) -> None:
    browser = rig.subscribe()
    said = formatdate(time.time() + 30, usegmt=True)
    rig.sim.fault(token=id_of(browser), status=429, headers={"retry-after": said})
    outcome = await rig.push(browser)
    assert 20 < (outcome.retry_after or 0) <= 30


SILENCES = [
    ({"silence": True}, True),
    ({"reset": "REFUSED_STREAM"}, False),
    ({"reset": "INTERNAL_ERROR"}, True),
    ({"close": "rst"}, True),
    ({"close": "tls"}, True),
    ({"goaway": {"covering": False}}, False),
    ({"goaway": {"covering": True}, "close": "rst"}, True),
    ({"cut": "body", "status": 500, "reason": "InternalError", "close": "rst"}, None),
]


@pytest.mark.parametrize(("fault", "reached"), SILENCES)
async def test_no_answer_is_an_outcome(rig: Rig, fault, reached: bool | None) -> None:
    """What APNs's connection bears, this one does: they are the same."""
    browser = rig.subscribe()
    rig.sim.fault(token=id_of(browser), **fault)
    outcome = await rig.push(browser, within=1.0)
    if reached is None:
        assert outcome.code == 500
    else:
        assert outcome.may_have_reached is reached
    await rig.settled()


async def test_a_private_address_is_never_connected_to(rig: Rig) -> None:
    guarded = WebPushSender(
        KEY, ca_file=rig.sim.ca_file, wall_clock=time.time, judge=is_public, timing=QUICK
    )
    before = rig.sim.statistics()["tcp_connections"]
    try:
        request = message_of(push_to(token_of(rig.subscribe())))
        outcome = await guarded.send(request, rig.loop.time() + 0.5)
        assert "leads to a private network" in outcome.cause
        assert not outcome.may_have_reached
    finally:
        await guarded.close()
    assert rig.sim.statistics()["tcp_connections"] == before


async def test_what_is_not_begun_in_time_waits_to_be_renewed(rig: Rig) -> None:
    browser = rig.subscribe()
    request = await rig.renewed(browser)
    given_up = rig.sender.start(request, rig.loop.time() + 5.0, float("-inf"))
    rig.sender.abandon(given_up)
    assert len(rig.sim.arrivals(id_of(browser))) == 1


async def test_push_services_are_bounded_and_the_idle_one_makes_room(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "MOST_ORIGINS", 2)
    assert (await rig.push()).code == 201
    elsewhere = [
        WebPushMessage(f"https://{host}", b"/", b"1", b"a", b"body")
        for host in ("localhost:1", "localhost:2")
    ]
    owed = rig.sender.start(elsewhere[0], rig.loop.time() + 5.0)
    await rig.sender.send(elsewhere[1], rig.loop.time() + 0.1)  # the first one has made room
    assert rig.sim.webpush_url not in rig.sender._pools
    assert (await rig.push()).code == 201
    assert not owed.future.done()
    rig.sender.abandon(owed)


async def test_push_services_that_are_silent_make_room_for_one_that_answers(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "MOST_ORIGINS", 2)
    silent = [
        rig.sender.start(WebPushMessage(origin, b"/", b"1", b"a", b"body"), rig.loop.time() + 30.0)
        for origin in ("https://localhost:1", "https://localhost:2")
    ]
    assert (await rig.push(within=5.0)).code == 201
    given_up = await silent[0].future
    assert (given_up.no_answer, given_up.may_have_reached) == (NoAnswer.NEVER_SENT, False)
    assert not silent[1].future.done()
    rig.sender.abandon(silent[1])


async def test_a_sender_that_is_closed_takes_nothing(rig: Rig) -> None:
    browser = rig.subscribe()
    assert (await rig.push(browser)).code == 201
    await rig.sender.drain(rig.loop.time() + 1.0)
    outcome = await rig.push(browser)
    assert (outcome.no_answer, outcome.may_have_reached) == (NoAnswer.NEVER_SENT, False)
