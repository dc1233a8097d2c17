"""An Android phone: who wakes it, how it shows a call, and how it is told to stop."""

import json
import time

import pytest
import pytest_asyncio

from devkit.phone import AndroidIdentity, AndroidPhone, App, HandFed, Push, Step
from tests.devkit.phone.conftest import FAST
from tests.devkit.phone.test_phone import ONE

pytestmark = pytest.mark.asyncio(loop_scope="module")


def message(data, priority, *, age_ms=0, ttl=45):
    headers = {"priority": priority, "ttl": f"{ttl}s"}
    received_ms = time.time_ns() // 1_000_000 - age_ms
    return Push("fcm", json.dumps(data).encode(), received_ms, headers)


def ring(ringline, **more):
    if not ringline.calls:
        ringline.ring("bob", ONE)
    said = ringline.payload(ONE, "droid")["ring"]
    data = {f"ring_{key}": str(value) for key, value in said.items() if key != "caller"}
    data |= {
        "ring_type": "ring",
        "ring_video": "true",
        "ring_caller_id": "alice",
        "ring_caller_name": "Alice",
    }
    return message(data, "HIGH", **more)


def stop(reason=4, **more):
    data = {"ring_type": "stop", "ring_uuid": ONE, "ring_callkit_reason": str(reason)}
    return message(data, "NORMAL", **more)


@pytest_asyncio.fixture(loop_scope="module")
async def droid(ringline, client):
    identity = AndroidIdentity("bob", "user:bob", device_id="droid")
    source = HandFed()
    phone = AndroidPhone(identity, api=ringline.url, source=source, client=client, timing=FAST)
    async with phone:
        phone.feed = source.feed
        yield phone
    assert phone.log.of(Step.FAULT) == []


async def test_it_registers_one_token_and_what_it_knows_of_its_phone(ringline, droid):
    made = ringline.devices["droid"]
    token = {"kind": "fcm", "token": droid.identity.fcm_token, "app_id": "com.example.app"}
    assert (made["platform"], made["tokens"]) == ("android", [token])
    assert made["report"] == {"full_screen": True}
    told = await droid.log.wait_for(Step.REGISTERED)
    droid.set_full_screen(False)
    told = await droid.log.wait_for(Step.REGISTERED, after=told.number)
    assert ringline.devices["droid"]["report"] == {"full_screen": False}
    droid.set_app(App.KILLED)
    droid.set_full_screen(True)
    droid.set_app(App.LOCKED)
    await droid.log.wait_for(Step.REGISTERED, after=told.number)
    assert ringline.devices["droid"]["report"] == {"full_screen": True}
    assert len(droid.log.of(Step.REGISTERED)) == 3  # an app that does not run tells nothing


@pytest.mark.parametrize(
    ("app", "allowed", "full"),
    [
        (App.LOCKED, True, True), (App.LOCKED, False, False), (App.FOREGROUND, True, False),
        (App.KILLED, True, True), (App.KILLED, False, False),
    ],
)  # fmt: skip
async def test_a_call_fills_the_screen_where_android_lets_it(ringline, droid, app, allowed, full):
    droid.set_full_screen(allowed)
    droid.set_app(app)
    droid.feed(ring(ringline))
    shown = await droid.log.wait_for(Step.RINGING, uuid=ONE)
    assert shown.detail == {"caller": "Alice", "video": True, "full_screen": full}
    assert droid.view()["calls"][0]["full_screen"] is full
    assert len(droid.log.of(Step.LAUNCHED)) == (app is App.KILLED)
    assert await droid.answer()
    assert droid.view()["calls"][0]["state"] == "active"


async def test_a_stop_of_normal_priority_stops_it_with_its_reason(ringline, droid):
    droid.feed(ring(ringline))
    await droid.log.wait_for(Step.RINGING)
    await droid.log.wait_for(Step.REPORT_SENT)
    droid.feed(stop(5))
    learned = await droid.log.wait_for(Step.STOP_LEARNED)
    assert learned.detail == {"reason": 5, "learned_from": "message of NORMAL priority"}
    assert droid.view()["recents"][0]["recent"] == "declined_elsewhere"


async def test_in_doze_a_ring_wakes_it_and_a_stop_waits_where_no_screen_lights_up(ringline, droid):
    droid.set_full_screen(False)
    droid.set_doze(True)
    droid.feed(ring(ringline))
    await droid.log.wait_for(Step.RINGING)
    droid.feed(stop())
    held = await droid.log.wait_for(Step.PUSH_HELD)
    assert held.detail["why"] == "Doze"
    assert (droid.view()["pushes_held"], len(droid.view()["calls"])) == (1, 1)
    droid.set_doze(False)
    assert droid.view()["calls"] == []
    assert droid.view()["recents"][0]["recent"] == "answered_elsewhere"


async def test_a_call_that_fills_the_screen_ends_doze(ringline, droid):
    droid.set_doze(True)
    droid.feed(ring(ringline))
    await droid.log.wait_for(Step.RINGING)
    assert droid.view()["conditions"]["doze"] is False
    droid.feed(stop())
    await droid.log.wait_for(Step.ENDED)
    assert droid.log.of(Step.PUSH_HELD) == []


async def test_for_a_ring_that_is_over_it_shows_nothing(ringline, droid):
    droid.feed(stop())
    await droid.log.wait_for(Step.STOP_LEARNED)
    droid.feed(ring(ringline))
    passed = await droid.log.wait_for(Step.PUSH_IGNORED)
    assert passed.detail["why"] == "its ring is over"
    assert droid.log.of(Step.RINGING) == []


async def test_google_keeps_a_message_for_its_life_and_no_longer(ringline, droid):
    droid.set_flight_mode(True)
    droid.feed(ring(ringline, age_ms=2_000, ttl=1))
    held = await droid.log.wait_for(Step.PUSH_HELD)
    droid.feed(ring(ringline))
    await droid.log.wait_for(Step.PUSH_HELD, after=held.number)
    droid.set_flight_mode(False)
    assert len(droid.log.of(Step.PUSH_ARRIVED)) == len(droid.log.of(Step.RINGING)) == 1
    droid.feed(ring(ringline))
    await droid.log.wait_for(Step.ALREADY_RINGING)
    assert len(droid.view()["calls"]) == 1
