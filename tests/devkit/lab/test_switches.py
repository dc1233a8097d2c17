"""Switches do what they say, with real pushes: what the tests in a browser do not see of them."""

import asyncio

import pytest

from tests.devkit.lab.conftest import Visitor, call_of, moments, phone_of


def rung(state, session_id, phone="bob-1"):
    return phone in moments(call_of(state, session_id), "ringing")


@pytest.mark.parametrize("app", ["locked", "foreground", "killed"])
async def test_it_rings_and_answers_wherever_the_app_is(lab: Visitor, app: str) -> None:
    await lab.post("/phones/carol-1/conditions", app=app)
    session_id = await lab.ring("carol")
    state = await lab.until_rings("carol-1")
    assert phone_of(state, "carol-1")["conditions"]["app"] == app
    launched = [one["step"] for one in phone_of(state, "carol-1")["timeline"]].count("launched")
    assert launched == (1 if app == "killed" else 0)
    await lab.post("/phones/carol-1/answer")
    await lab.until(lambda s: call_of(s, session_id)["state"] == "active")
    up = phone_of(await lab.state(), "carol-1")
    assert up["conditions"]["app"] == ("locked" if app == "killed" else app)
    await lab.post("/phones/carol-1/hang_up")
    assert (await lab.until_ended(session_id))["reason"] == "completed"


async def test_a_killed_app_that_rings_stops_by_a_background_push(lab: Visitor) -> None:
    await lab.post("/phones/bob-2/conditions", app="killed")
    session_id = await lab.ring("bob")
    await lab.until_rings("bob-1", "bob-2")
    await lab.post("/phones/bob-1/decline")
    assert (await lab.until_over("bob-2"))["reason"] == 5
    assert (await lab.until_ended(session_id))["reason"] == "declined"
    phone = await lab.phone("bob-2")
    assert phone["stop_push"]["headers"]["apns-push-type"] == "background"
    assert "Told by background push" in " ".join(one["words"] for one in phone["timeline"])


async def test_flight_mode_and_late_delivery(lab: Visitor) -> None:
    await lab.post("/phones/carol-1/conditions", flight_mode=True)
    session_id = await lab.ring("carol")
    await lab.until(lambda s: phone_of(s, "carol-1")["pushes_held"] == 1)
    await lab.post(f"/calls/{session_id}/cancel")
    await lab.until_ended(session_id)
    assert not rung(await lab.state(), session_id, "carol-1")
    await lab.post("/phones/carol-1/conditions", flight_mode=False)
    late = await lab.until_over("carol-1")
    assert late["recent"] == "missed"
    call = call_of(await lab.state(), session_id)
    assert moments(call, "ringing")["carol-1"] > moments(call, "push")["carol-1"] + 20


async def test_flight_mode_in_the_middle_of_a_ring(lab: Visitor) -> None:
    session_id = await lab.ring("bob")
    await lab.until_rings("bob-1", "bob-2")
    await lab.post("/phones/bob-2/conditions", flight_mode=True)
    await lab.post("/phones/bob-1/answer")
    await lab.until(lambda s: call_of(s, session_id)["state"] == "active")
    await asyncio.sleep(0.3)
    assert (await lab.phone("bob-2"))["calls"], "it cannot know"
    assert (await lab.state())["race"]["ringing"] == ["bob-2"]
    await lab.post("/phones/bob-2/conditions", flight_mode=False)
    assert (await lab.until_over("bob-2"))["recent"] == "answered_elsewhere"


async def test_a_ring_that_is_overtaken_by_its_stop_ends_in_the_same_breath(lab: Visitor) -> None:
    await lab.post("/phones/carol-1/next_push", reorder=True)
    session_id = await lab.ring("carol")
    await lab.until(lambda s: phone_of(s, "carol-1")["pushes_held"] == 1)
    await lab.post(f"/calls/{session_id}/cancel")
    assert (await lab.until_over("carol-1"))["reason"] == 2
    steps = [one["step"] for one in (await lab.phone("carol-1"))["timeline"]]
    assert steps.index("stop_learned") < steps.index("ringing")


async def test_a_push_held_for_a_second_comes_a_second_late(lab: Visitor) -> None:
    await lab.post("/phones/carol-1/next_push", held_seconds=1)
    session_id = await lab.ring("carol")
    call = call_of(await lab.until_rings("carol-1"), session_id)
    assert moments(call, "ringing")["carol-1"] - moments(call, "push")["carol-1"] >= 1_000
    await lab.post(f"/calls/{session_id}/cancel")
