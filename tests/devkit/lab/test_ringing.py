"""What the page shows of a ring, by HTTP, on the whole real path."""

import asyncio

import pytest

from tests.devkit.lab.conftest import Json, Visitor, call_of, moments, phone_of

BOBS = ("bob-1", "bob-2", "bob-android", "bob-cn")


async def test_one_click_rings_all_of_bobs_phones_with_the_milliseconds(lab: Visitor) -> None:
    session_id = await lab.ring("bob")
    state = await lab.until_rings(*BOBS)
    call = call_of(state, session_id)
    pushes, screens = moments(call, "push"), moments(call, "ringing")
    assert pushes.keys() == screens.keys() == set(BOBS)
    for one in pushes:
        assert 0 < pushes[one] < screens[one] < 5_000
    assert phone_of(state, "carol-1")["calls"] == []


async def test_where_one_answers_the_other_stops_and_the_milliseconds_are_told(
    lab: Visitor,
) -> None:
    session_id = await lab.ring("bob", "carol")
    await lab.until_rings(*BOBS, "carol-1")
    await lab.post("/phones/bob-2/answer")
    state = await lab.until(lambda s: s["race"] and len(s["race"]["stopped"]) == 3)
    race = state["race"]
    assert (race["session_id"], race["winner"]) == (session_id, "bob-2")
    stopped = {one["phone"]: one for one in race["stopped"]}
    assert stopped.keys() == {"bob-1", "bob-android", "bob-cn"}
    call = call_of(state, session_id)
    for phone, one in stopped.items():
        assert one["reason"] == 4
        assert 0 < one["ms_after_answer"] < 5_000
        gap = moments(call, "stopped")[phone] - moments(call, "answered")["bob-2"]
        assert gap == pytest.approx(one["ms_after_answer"], abs=0.01)
    assert (await lab.until_over("bob-1"))["recent"] == "answered_elsewhere"
    await lab.post("/phones/bob-2/hang_up")


async def test_of_all_who_answer_at_once_one_has_the_call(lab: Visitor) -> None:
    session_id = await lab.ring("bob")
    await lab.until_rings(*BOBS)
    tapped = await lab.post(f"/calls/{session_id}/answer_at_once")
    assert tapped == {"phones": list(BOBS)}
    state = await lab.until(lambda s: s["race"] and len(s["race"]["stopped"]) == 3)
    stopped = state["race"]["stopped"]
    assert {state["race"]["winner"], *(one["phone"] for one in stopped)} == set(BOBS)
    assert [(one["reason"], one["tapped_too"]) for one in stopped] == [(4, True)] * 3
    await asyncio.sleep(0.2)
    active = [one["device_id"] for one in (await lab.state())["phones"] if one["calls"]]
    assert active == [state["race"]["winner"]]


async def test_an_android_phone_in_doze_rings_by_fcm_and_its_stop_waits(lab: Visitor) -> None:
    droid = "bob-android"
    await lab.post(f"/phones/{droid}/conditions", full_screen=False, doze=True)
    await lab.until(lambda s: "`full_screen` is false" in told(phone_of(s, droid)))
    token = (await lab.post("/web_phone/token"))["token"]
    api = str(lab.client.base_url).removesuffix("/lab/")
    answer = await lab.client.get(f"{api}/v1/devices", headers={"Authorization": f"Bearer {token}"})
    reports = {one["device_id"]: one["report"] for one in answer.json()["devices"]}
    assert reports[droid]["full_screen"] is False
    session_id = await lab.ring("bob")
    await lab.until_rings(*BOBS)
    # it has asked how the call stands: from here on it knows what it is sent alone
    state = await lab.until(lambda s: "The state URL said" in told(phone_of(s, droid)))
    phone = phone_of(state, droid)
    assert phone["calls"][0]["full_screen"] is False
    assert phone["raw_push"]["headers"]["priority"] == "HIGH"
    await lab.post("/phones/bob-1/answer")
    await lab.until(lambda s: phone_of(s, droid)["pushes_held"] == 1)
    await lab.until(lambda s: s["race"] and s["race"]["ringing"] == [droid])
    await lab.post(f"/phones/{droid}/conditions", doze=False)
    over = await lab.until_over(droid)
    assert (over["recent"], over["reason"]) == ("answered_elsewhere", 4)
    phone = await lab.phone(droid)
    assert phone["stop_push"]["headers"]["priority"] == "NORMAL"
    assert "Told by message of NORMAL priority" in told(phone)
    await lab.post(f"/calls/{session_id}/end")


def told(phone: Json) -> str:
    """What a phone did, in words."""
    return " ".join(one["words"] for one in phone["timeline"])
