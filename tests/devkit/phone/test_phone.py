"""A whole phone against a real HTTP server: every end reason, every switch."""

import asyncio
import json
import time
from dataclasses import replace

import pytest

from devkit.phone import (
    App,
    Conditions,
    Identity,
    Phone,
    Recent,
    ScreenState,
    SimulatorPushes,
    Step,
    shared_client,
)
from tests.devkit.phone.conftest import FAST
from tests.devkit.phone.payloads import changed
from tests.devkit.phone.server import push_with, stop_push

# One event loop for all, since the server that they share lives in it.
pytestmark = pytest.mark.asyncio(loop_scope="module")

U = "0190b1a2-7c3d-7000-8000-0000000000{:02x}"
ONE = U.format(1)


def steps(phone):
    return [transition.step for transition in phone.log]


async def rings(ringline, phone, uuid=ONE, **changes):
    if uuid not in [u for call in ringline.calls.values() for u in call.rings]:
        ringline.ring(phone.identity.user_id, uuid)
    phone.source.feed(ringline.push(uuid, phone.identity.device_id, **changes))
    return await phone.log.wait_for(Step.RINGING, uuid=uuid)


async def test_it_registers_with_both_tokens(ringline, phones):
    phone = await phones("dev", user="bob")
    made = ringline.devices["dev"]
    assert made["user"] == "user:bob"
    assert made["platform"] == "ios"
    assert made["expires_in"] == 15_552_000
    assert [(t["kind"], t["app_id"], t["environment"]) for t in made["tokens"]] == [
        ("voip", "com.example.app", "sandbox"),
        ("alert", "com.example.app", "sandbox"),
    ]
    assert [t["token"] for t in made["tokens"]] == list(phone.identity.tokens)
    assert all(len(t["token"]) == 64 for t in made["tokens"])
    assert steps(phone) == [Step.REGISTERED]
    assert await phone.unregister()
    assert ringline.devices == {}


async def test_it_reports_reads_the_state_and_says_delivered(ringline, phones):
    phone = await phones()
    ring = await rings(ringline, phone)
    await phone.log.wait_for(Step.STATE_READ)
    await phone.log.wait_for(Step.REPORT_SENT)
    order = steps(phone)
    assert order.index(Step.REPORTED) < order.index(Step.RINGING) < order.index(Step.STATE_READ)
    assert ringline.asked("/report")[0][2:] == (f"call:{ONE}:dev", {"status": "delivered"})
    assert ring.detail == {"caller": "Alice", "video": True}
    assert phone.view()["calls"][0]["state"] == "ringing"


async def test_answer_with_the_user_s_token_then_heartbeats_then_leave(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    assert await phone.answer()
    assert ringline.asked("/accept")[0][1:] == (
        "/v1/calls/default:abc/accept",
        "user:bob",
        {"device_id": "dev"},
    )
    assert phone.callkit.on_a_call
    await phone.log.wait_for(Step.HEARTBEAT)
    assert ringline.asked("/heartbeat")[0][2:] == ("member:dev", {"device_id": "dev"})
    assert await phone.hang_up()
    assert ringline.asked("/leave")[0][2] == "member:dev"
    assert phone.callkit.recents[0].recent is Recent.COMPLETED
    beats = len(ringline.asked("/heartbeat"))
    await asyncio.sleep(0.12)
    assert len(ringline.asked("/heartbeat")) <= beats + 1


async def test_a_killed_app_answers_with_the_call_token_and_no_login(ringline, phones):
    phone = await phones(logged_in=False, conditions=Conditions(app=App.KILLED))
    await rings(ringline, phone)
    assert steps(phone)[:2] == [Step.PUSH_ARRIVED, Step.LAUNCHED]
    assert await phone.answer()
    method, path, token, _ = ringline.asked("/accept")[0]
    assert (method, path, token) == ("POST", "/v1/calls/call-1/accept", f"call:{ONE}:dev")
    assert phone.conditions.app is App.LOCKED
    await phone.log.wait_for(Step.HEARTBEAT)


async def test_a_killed_app_declines_though_somebody_is_logged_in(ringline, phones):
    phone = await phones(conditions=Conditions(app=App.KILLED))
    await rings(ringline, phone)
    assert await phone.decline()
    assert ringline.asked("/decline")[0][1:3] == ("/v1/calls/call-1/decline", f"call:{ONE}:dev")
    assert ringline.find(ONE).state == "declined"
    assert phone.callkit.recents[0].recent is Recent.DECLINED


async def test_busy_is_said(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    await phone.decline(busy=True)
    assert ringline.asked("/decline")[0][3] == {"reason": "busy", "device_id": "dev"}


async def test_two_phones_race_and_one_is_answered_elsewhere(ringline, phones):
    first, second = await phones("dev-1"), await phones("dev-2")
    ringline.ring("bob", ONE)
    for phone in (first, second):
        await rings(ringline, phone)
    won = await asyncio.gather(first.answer(), second.answer())
    assert sorted(won) == [False, True]
    loser = first if won[1] else second
    assert loser.callkit.recents[0].recent is Recent.ANSWERED_ELSEWHERE
    assert loser.log.of(Step.REFUSED)[0].detail["status"] == 409


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (410, {"code": "ring_over", "reason": "cancelled"}, 2),
        (410, {"code": "ring_over", "reason": "missed"}, 3),
        (410, {"code": "ring_over", "reason": "declined"}, 5),
        (410, {"code": "ring_over", "callkit_reason": 5, "reason": "cancelled"}, 5),
        (410, {}, 2),
        (409, {"code": "answered_elsewhere"}, 4),
        (401, {"code": "token_expired"}, 1),
        (500, {}, 1),
    ],
)
async def test_a_refused_accept_ends_as_told(ringline, phones, status, body, reason):
    phone = await phones()
    await rings(ringline, phone)
    ringline.refuse_with = (status, body)
    assert not await phone.answer()
    assert phone.callkit.recents[0].reason == reason


@pytest.mark.parametrize(
    ("reason", "state"), [(2, "cancelled"), (3, "missed"), (4, "accepted"), (5, "declined")]
)
async def test_told_by_the_stream(ringline, phones, reason, state):
    phone = await phones(stream=True)
    await phone.log.wait_for(Step.STREAM_OPEN)
    await rings(ringline, phone)
    await phone.log.wait_for(Step.STATE_READ)
    ringline.settle(ONE, state, reason, device="another")
    ended = await phone.log.wait_for(Step.ENDED)
    assert ended.detail["reason"] == reason
    assert phone.log.of(Step.STOP_LEARNED)[0].detail["learned_from"] == "stream"


async def test_told_by_a_background_push(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    phone.source.feed(stop_push(ONE, 4))
    ended = await phone.log.wait_for(Step.ENDED)
    assert ended.detail["reason"] == 4


async def test_a_killed_app_is_not_started_by_a_background_push_but_a_ringing_one_hears(
    ringline, phones
):
    phone = await phones(conditions=Conditions(app=App.KILLED))
    phone.source.feed(stop_push(U.format(9), 2))
    assert "not running" in (await phone.log.wait_for(Step.PUSH_IGNORED)).detail["why"]
    await rings(ringline, phone)
    phone.source.feed(stop_push(ONE, 2))
    assert (await phone.log.wait_for(Step.ENDED)).detail["reason"] == 2


async def test_told_by_a_voip_push_with_the_same_uuid(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    phone.source.feed(stop_push(ONE, 2, "voip"))
    assert (await phone.log.wait_for(Step.ENDED)).detail["reason"] == 2
    assert len(phone.log.of(Step.REPORTED)) == 2
    assert len(phone.log.of(Step.RINGING)) == 1
    assert phone.inbox.pushkit.failures == 0


async def test_told_by_polling(ringline, phones):
    phone = await phones(timing=replace(FAST, poll=0.03))
    await rings(ringline, phone)
    await phone.log.wait_for(Step.STATE_READ)
    ringline.settle(ONE, "cancelled", 2)
    assert (await phone.log.wait_for(Step.ENDED)).detail["reason"] == 2


async def test_a_ring_that_is_over_when_its_state_is_read(ringline, phones):
    phone = await phones()
    ringline.ring("bob", ONE)
    ringline.find(ONE).state, ringline.find(ONE).callkit_reason = "accepted", 4
    await rings(ringline, phone)
    ended = await phone.log.wait_for(Step.ENDED)
    assert ended.detail["reason"] == 4
    assert phone.log.of(Step.STOP_LEARNED)[0].detail["learned_from"] == "state"


async def test_the_deadline_ends_it_when_nobody_tells(ringline, phones):
    phone = await phones()
    soon = time.time_ns() // 1_000_000 + 100
    await rings(ringline, phone, expires_at=soon)
    ended = await phone.log.wait_for(Step.ENDED)
    assert ended.detail["reason"] == 3
    assert soon <= ended.at_ms <= soon + 3_000
    assert phone.callkit.recents[0].recent is Recent.MISSED


async def test_ios_gives_up_and_the_app_declines(ringline, phones):
    phone = await phones(timing=replace(FAST, ios_ring_limit=0.1))
    await rings(ringline, phone)
    await phone.log.wait_for(Step.DECLINED)
    assert ringline.find(ONE).state == "declined"
    assert phone.callkit.recents[0].recent is Recent.MISSED


async def test_the_caller_hangs_up_an_answered_call(ringline, phones):
    phone = await phones(stream=True)
    await phone.log.wait_for(Step.STREAM_OPEN)
    await rings(ringline, phone)
    await phone.answer()
    assert phone.callkit.screen(ONE).state is ScreenState.ACTIVE
    ringline.end("call-1", "completed")
    assert (await phone.log.wait_for(Step.ENDED)).detail["reason"] == 2
    assert phone.callkit.recents[0].recent is Recent.COMPLETED


async def test_ending_for_all_and_a_heartbeat_that_finds_the_call_gone(ringline, phones):
    first, second = await phones("dev-1", user="bob"), await phones("dev-2", user="carol")
    two = U.format(2)
    await rings(ringline, first, ONE)
    await rings(ringline, second, two)
    assert await first.answer()
    assert await second.answer()
    await first.hang_up(for_all=True)
    ended = await second.log.wait_for(Step.ENDED)
    assert ended.detail["reason"] == 2
    assert second.log.of(Step.HEARTBEAT)[-1].detail["status"] == 410


async def test_a_late_decline_harms_nobody(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    ringline.refuse_with = (410, {"code": "ring_over", "reason": "cancelled"})
    assert await phone.decline()
    assert phone.log.of(Step.DECLINED)[0].detail == {"status": 410, "code": "ring_over"}
    assert not await phone.decline()


async def test_flight_mode_during_the_whole_ring_shows_it_missed_afterwards(ringline, phones):
    phone = await phones()
    phone.set_flight_mode(True)
    ringline.ring("bob", ONE)
    now = time.time_ns() // 1_000_000
    phone.source.feed(ringline.push(ONE, expires_at=now + 50))
    await phone.log.wait_for(Step.PUSH_HELD)
    await asyncio.sleep(0.08)
    phone.set_flight_mode(False)
    ended = await phone.log.wait_for(Step.ENDED)
    assert ended.detail["reason"] == 3
    assert phone.log.of(Step.STOP_LEARNED)[0].detail["learned_from"] == "expires_at"
    assert [screen.recent for screen in phone.callkit.recents] == [Recent.MISSED]
    assert phone.log.of(Step.KILLED) == []


async def test_without_late_delivery_the_push_is_lost(ringline, phones):
    phone = await phones(
        conditions=Conditions(flight_mode=True, late_delivery=False), logged_in=False
    )
    ringline.ring("bob", ONE)
    phone.source.feed(ringline.push(ONE))
    await phone.log.wait_for(Step.PUSH_HELD)
    phone.set_flight_mode(False)
    await asyncio.sleep(0.05)
    assert phone.log.of(Step.PUSH_ARRIVED) == []


async def test_flight_mode_in_the_middle_of_a_ring(ringline, phones):
    """Cancelled while the phone was away; back in time, the state URL tells."""
    phone = await phones()
    await rings(ringline, phone)
    await phone.log.wait_for(Step.STATE_READ)
    phone.set_flight_mode(True)
    ringline.settle(ONE, "cancelled", 2)
    assert phone.callkit.screen(ONE).live
    phone.set_flight_mode(False)
    assert (await phone.log.wait_for(Step.ENDED)).detail["reason"] == 2


async def test_an_answer_in_flight_mode_fails_after_trying(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    await phone.log.wait_for(Step.STATE_READ)
    phone.set_flight_mode(True)
    assert not await phone.answer()
    assert phone.log.of(Step.UNREACHABLE)[0].detail["doing"] == "accept"
    assert phone.callkit.recents[0].recent is Recent.FAILED


async def test_do_not_disturb_says_unavailable(ringline, phones):
    phone = await phones()
    phone.set_do_not_disturb(True)
    ringline.ring("bob", ONE)
    phone.source.feed(ringline.push(ONE))
    await phone.log.wait_for(Step.REPORT_SENT)
    assert ringline.asked("/report")[0][3] == {"status": "unavailable"}
    assert phone.log.of(Step.RINGING) == []
    assert phone.log.of(Step.KILLED) == []


async def test_a_duplicate_rings_once(ringline, phones):
    phone = await phones()
    phone.duplicate_next()
    await rings(ringline, phone)
    await phone.log.wait_for(Step.ALREADY_RINGING)
    assert len(phone.log.of(Step.PUSH_ARRIVED)) == 2
    assert len(phone.log.of(Step.RINGING)) == 1
    assert len(phone.view()["calls"]) == 1


async def test_a_duplicate_after_the_end_is_ended_from_memory(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    phone.source.feed(stop_push(ONE, 4))
    first = await phone.log.wait_for(Step.ENDED)
    phone.source.feed(ringline.push(ONE))
    second = await phone.log.wait_for(Step.ENDED, after=first.number)
    assert second.detail["reason"] == 4
    assert phone.log.of(Step.STOP_LEARNED)[-1].detail["learned_from"] == "memory"
    assert phone.view()["calls"] == []


async def test_a_stop_that_overtakes_its_ring(ringline, phones):
    phone = await phones()
    phone.reorder_next()
    ringline.ring("bob", ONE)
    phone.source.feed(ringline.push(ONE))
    phone.source.feed(stop_push(ONE, 2))
    ended = await phone.log.wait_for(Step.ENDED)
    assert ended.detail["reason"] == 2
    order = steps(phone)
    assert order.index(Step.STOP_LEARNED) < order.index(Step.REPORTED)


async def test_a_held_push_comes_late_when_nothing_overtakes_it(ringline, phones):
    phone = await phones()
    phone.reorder_next()
    await rings(ringline, phone)
    assert Step.PUSH_HELD in steps(phone)


async def test_a_push_that_crashes_the_app_kills_it_at_once(phones):
    phone = await phones(profile="connectycube")
    phone.source.feed(push_with(json.loads(changed("connectycube", "caller_id", "77"))))
    killed = await phone.log.wait_for(Step.KILLED)
    assert "`caller_id` is a string" in killed.detail["why"]
    assert phone.conditions.app is App.KILLED
    assert phone.view()["verdict"]["outcome"] == "crash"


async def test_the_watchdog_kills_for_silence_and_then_ios_wakes_no_more(phones):
    phone = await phones(profile="rn_callkeep")
    bad = push_with(json.loads(changed("rn_callkeep", "uuid", "call-1")))
    number = 0
    for _ in range(3):
        sent = time.monotonic()
        phone.source.feed(bad)
        killed = await phone.log.wait_for(Step.KILLED, after=number)
        assert killed.at - sent >= 0.14
        number = killed.number
    phone.source.feed(bad)
    await phone.log.wait_for(Step.PUSH_NOT_WOKEN)
    assert phone.view()["silenced_by_ios"]
    assert len(phone.view()["kills"]) == 3


async def test_the_watchdog_takes_a_call_that_was_up(ringline, phones):
    phone = await phones(conditions=Conditions(ios=(18, 0)))
    await rings(ringline, phone)
    await phone.answer()
    phone.source.feed(push_with({"aps": {}}))
    await phone.log.wait_for(Step.KILLED)
    assert phone.callkit.recents[0].recent is Recent.FAILED
    beats = len(ringline.asked("/heartbeat"))
    await asyncio.sleep(0.12)
    assert len(ringline.asked("/heartbeat")) <= beats + 1


async def test_ios_26_4_excuses_an_app_in_the_foreground(phones):
    phone = await phones(conditions=Conditions(app=App.FOREGROUND))
    phone.source.feed(push_with({"aps": {}}))
    await phone.log.wait_for(Step.NOT_REPORTED)
    await asyncio.sleep(0.2)
    assert phone.log.of(Step.KILLED) == []
    phone.set_ios(26, 3)
    phone.source.feed(push_with({"aps": {}}))
    await phone.log.wait_for(Step.KILLED)


async def test_the_app_killed_by_hand_while_it_rings(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    phone.set_app(App.KILLED)
    assert phone.view()["calls"] == []
    assert phone.log.of(Step.ENDED)[0].detail["why"] == "the app died"
    assert not await phone.answer(ONE)


async def test_the_stream_is_resumed_where_it_broke(ringline, phones):
    phone = await phones(stream=True)
    await phone.log.wait_for(Step.STREAM_OPEN)
    ringline.tell("bob", "call.started", {})
    await phone.log.wait_for(Step.EVENT)
    ringline.break_streams("bob")
    await rings(ringline, phone)
    await phone.log.wait_for(Step.STREAM_OPEN, after=phone.log.of(Step.EVENT)[0].number)
    ringline.settle(ONE, "missed", 3)
    assert (await phone.log.wait_for(Step.ENDED)).detail["reason"] == 3
    assert ringline.stream_ids == [None, "1"]


async def test_flight_mode_cuts_the_stream_and_it_comes_back(ringline, phones):
    phone = await phones(stream=True)
    opened = await phone.log.wait_for(Step.STREAM_OPEN)
    phone.set_flight_mode(True)
    await phone.log.wait_for(Step.STREAM_LOST)
    phone.set_flight_mode(False)
    await phone.log.wait_for(Step.STREAM_OPEN, after=opened.number)


async def test_a_server_without_a_stream_is_asked_once(ringline, phones):
    ringline.has_stream = False
    phone = await phones(stream=True)
    await phone.log.wait_for(Step.STREAM_ABSENT)
    await asyncio.sleep(0.1)
    assert len(ringline.asked("/v1/events")) == 1


async def test_my_own_accept_on_the_stream_does_not_stop_me(ringline, phones):
    phone, twin = await phones("dev-1", stream=True), await phones("dev-2", stream=True)
    for each in (phone, twin):
        await each.log.wait_for(Step.STREAM_OPEN)
        await rings(ringline, each)
    await phone.answer()
    ended = await twin.log.wait_for(Step.ENDED)
    assert ended.detail["reason"] == 4
    await phone.log.wait_for(Step.EVENT)
    assert phone.callkit.on_a_call
    assert twin.callkit.recents[0].recent is Recent.ANSWERED_ELSEWHERE


async def test_hanging_up_while_the_accept_is_under_way_leaves(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    answering = asyncio.create_task(phone.answer())
    await phone.log.wait_for(Step.ANSWER_TAPPED)
    await phone.decline(ONE)
    await answering
    await phone.log.wait_for(Step.LEFT)
    assert not phone.callkit.on_a_call


async def test_everything_is_observed_in_order_with_both_times(ringline, phones):
    phone = await phones()
    seen = []
    forget = phone.observe(seen.append)
    before = time.time_ns() // 1_000_000
    await rings(ringline, phone)
    await phone.decline()
    forget()
    phone.set_do_not_disturb(True)
    assert [t.number for t in seen] == sorted(t.number for t in seen)
    assert all(t.at_ms >= before for t in seen)
    assert [t.at for t in seen] == sorted(t.at for t in seen)
    assert seen[-1].step is Step.DECLINED
    json.dumps([t.as_dict() for t in phone.log])
    json.dumps(phone.view())


async def test_waiting_for_what_does_not_come_says_what_did(phones):
    phone = await phones()
    with pytest.raises(TimeoutError, match=r"no ringing within 0\.05 s; there was: registered"):
        await phone.log.wait_for(Step.RINGING, seconds=0.05)


async def test_a_server_that_is_not_there(phones):
    phone = Phone(Identity("bob", "user:bob"), api="http://127.0.0.1:1", source=empty)
    async with phone:
        assert steps(phone) == [Step.REGISTRATION_FAILED]


async def empty(tokens):
    return
    yield tokens


async def test_pushes_from_the_control_api(ringline):
    """Fifty phones on one source and one client, each with two tokens."""
    async with SimulatorPushes(ringline.url) as source, shared_client() as client:
        people = [Identity(f"user-{n}", None, device_id=f"dev-{n}") for n in range(50)]
        phones = [
            Phone(who, api=ringline.url, source=source, client=client, timing=FAST)
            for who in people
        ]
        await source.switch_on(people[0])
        live = [request[3] for request in ringline.asked("/devices")]
        assert live == [
            {
                "tokens": [people[0].voip_token],
                "topics": ["com.example.app.voip"],
                "environment": "sandbox",
            },
            {
                "tokens": [people[0].alert_token],
                "topics": ["com.example.app"],
                "environment": "sandbox",
            },
        ]
        await asyncio.gather(*(phone.__aenter__() for phone in phones))
        try:
            for number, who in enumerate(people):
                uuid = U.format(number)
                ringline.ring(who.user_id, uuid, call=f"call-{number}")
                ringline.pushes[who.voip_token] = [given(ringline.payload(uuid, who.device_id))]
            ringline.arrived.set()
            ringing = (phone.log.wait_for(Step.RINGING, seconds=60) for phone in phones)
            await asyncio.gather(*ringing)
            first = phones[0]
            assert first.inbox.last_push.headers["apns-push-type"] == "voip"
            stop = json.loads(stop_push(U.format(0), 2).payload)
            ringline.pushes[people[0].alert_token] = [given(stop, "background")]
            ringline.arrived.set()
            assert (await first.log.wait_for(Step.ENDED)).detail["reason"] == 2
        finally:
            await asyncio.gather(*(phone.close() for phone in phones))


def given(payload, kind="voip"):
    """A push as the control API lists it."""
    return {
        "delivery": 1,
        "received_ns": time.time_ns(),
        "headers": {"apns-push-type": kind, "apns-expiration": "0"},
        "payload": payload,
    }
