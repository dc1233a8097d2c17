"""What the lab's switches do to a phone, beyond what a phone meets by itself."""

import asyncio
import json

import pytest

from devkit.phone import App, Recent, Step
from tests.devkit.phone.payloads import changed
from tests.devkit.phone.server import push_with, stop_push
from tests.devkit.phone.test_phone import ONE, rings, steps

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_push_comes_so_much_later_and_the_one_after_it_does_not(ringline, phones):
    phone = await phones()
    phone.delay_next(0.15)
    ringline.ring("bob", ONE)
    phone.source.feed(ringline.push(ONE))
    held = await phone.log.wait_for(Step.PUSH_HELD)
    assert phone.view()["pushes_held"] == 1
    phone.source.feed(stop_push(ONE, 2))
    await phone.log.wait_for(Step.STOP_LEARNED)
    assert phone.log.of(Step.REPORTED) == []
    late = await phone.log.wait_for(Step.REPORTED)
    assert late.at - held.at >= 0.15
    assert (await phone.log.wait_for(Step.ENDED)).detail["reason"] == 2
    assert phone.view()["pushes_held"] == 0


async def test_late_delivery_is_a_switch(ringline, phones):
    phone = await phones()
    phone.set_late_delivery(False)
    phone.set_flight_mode(True)
    ringline.ring("bob", ONE)
    phone.source.feed(ringline.push(ONE))
    await phone.log.wait_for(Step.PUSH_HELD)
    phone.set_flight_mode(False)
    await asyncio.sleep(0.05)
    assert phone.log.of(Step.PUSH_ARRIVED) == []
    assert phone.view()["conditions"]["late_delivery"] is False


async def test_reordering_may_be_taken_back(ringline, phones):
    phone = await phones()
    phone.reorder_next()
    phone.reorder_next(False)
    await rings(ringline, phone)
    assert Step.PUSH_HELD not in steps(phone)


async def test_an_app_that_ios_wakes_no_more_is_woken_once_it_is_installed_anew(ringline, phones):
    phone = await phones(profile="connectycube")
    wrong = push_with(json.loads(changed("connectycube", "caller_id", "77")))
    for _ in range(4):
        phone.source.feed(wrong)
    await phone.log.wait_for(Step.PUSH_NOT_WOKEN)
    assert phone.view()["silenced_by_ios"] is True
    phone.install("ringline")
    view = phone.view()
    assert (view["silenced_by_ios"], view["profile"]) == (False, "ringline")
    await rings(ringline, phone)
    with pytest.raises(KeyError):
        phone.install("no such library")


async def test_installing_ends_the_calls_of_the_old_app(ringline, phones):
    phone = await phones()
    await rings(ringline, phone)
    phone.install("stream")
    assert phone.view()["calls"] == []
    assert phone.callkit.recents[0].recent is Recent.FAILED


async def test_a_killed_app_listens_to_no_stream_until_it_is_up_again(ringline, phones):
    phone = await phones(stream=True)
    opened = await phone.log.wait_for(Step.STREAM_OPEN)
    phone.set_app(App.KILLED)
    await phone.log.wait_for(Step.STREAM_LOST)
    await asyncio.sleep(0.15)
    assert len(phone.log.of(Step.STREAM_OPEN)) == 1
    phone.set_app(App.FOREGROUND)
    await phone.log.wait_for(Step.STREAM_OPEN, after=opened.number)


async def test_an_app_that_ios_kills_loses_its_stream_too(phones):
    phone = await phones(stream=True, profile="connectycube")
    await phone.log.wait_for(Step.STREAM_OPEN)
    phone.source.feed(push_with(json.loads(changed("connectycube", "caller_id", "77"))))
    await phone.log.wait_for(Step.KILLED)
    await phone.log.wait_for(Step.STREAM_LOST)
