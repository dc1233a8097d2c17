"""What the page shows of a ring, by HTTP, on the whole real path."""

import asyncio

import pytest

from tests.devkit.lab.conftest import Visitor, call_of, moments, phone_of


async def test_one_click_rings_both_of_bobs_phones_with_the_milliseconds(lab: Visitor) -> None:
    session_id = await lab.ring("bob")
    state = await lab.until_rings("bob-1", "bob-2")
    call = call_of(state, session_id)
    pushes, screens = moments(call, "push"), moments(call, "ringing")
    assert pushes.keys() == screens.keys() == {"bob-1", "bob-2"}
    for one in pushes:
        assert 0 < pushes[one] < screens[one] < 5_000
    assert phone_of(state, "carol-1")["calls"] == []


async def test_where_one_answers_the_other_stops_and_the_milliseconds_are_told(
    lab: Visitor,
) -> None:
    session_id = await lab.ring("bob", "carol")
    await lab.until_rings("bob-1", "bob-2", "carol-1")
    await lab.post("/phones/bob-2/answer")
    state = await lab.until(lambda s: s["race"] and s["race"]["stopped"])
    race = state["race"]
    assert (race["session_id"], race["winner"]) == (session_id, "bob-2")
    assert [one["phone"] for one in race["stopped"]] == ["bob-1"]
    assert race["stopped"][0]["reason"] == 4
    assert 0 < race["stopped"][0]["ms_after_answer"] < 5_000
    call = call_of(state, session_id)
    gap = moments(call, "stopped")["bob-1"] - moments(call, "answered")["bob-2"]
    assert gap == pytest.approx(race["stopped"][0]["ms_after_answer"], abs=0.01)
    assert (await lab.until_over("bob-1"))["recent"] == "answered_elsewhere"
    await lab.post("/phones/bob-2/hang_up")


async def test_of_two_who_answer_at_once_one_has_the_call(lab: Visitor) -> None:
    session_id = await lab.ring("bob")
    await lab.until_rings("bob-1", "bob-2")
    tapped = await lab.post(f"/calls/{session_id}/answer_at_once")
    assert tapped == {"phones": ["bob-1", "bob-2"]}
    state = await lab.until(lambda s: s["race"] and s["race"]["stopped"])
    (stopped,) = state["race"]["stopped"]
    assert {state["race"]["winner"], stopped["phone"]} == {"bob-1", "bob-2"}
    assert stopped["reason"] == 4
    assert stopped["tapped_too"] is True
    await asyncio.sleep(0.2)
    active = [one["device_id"] for one in (await lab.state())["phones"] if one["calls"]]
    assert active == [state["race"]["winner"]]
