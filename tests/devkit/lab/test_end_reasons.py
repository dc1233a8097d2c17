"""Each way in which a call ends, as the page and the phones' Recents tell it."""

import pytest

from tests.devkit.lab.conftest import Visitor, call_of, phone_of


async def test_declined_on_one_phone_and_so_on_the_other(lab: Visitor) -> None:
    session_id = await lab.ring("bob")
    await lab.until_rings("bob-1", "bob-2")
    await lab.post("/phones/bob-1/decline")
    assert (await lab.until_over("bob-1"))["recent"] == "declined"
    other = await lab.until_over("bob-2")
    assert (other["recent"], other["reason"]) == ("declined_elsewhere", 5)
    assert (await lab.until_ended(session_id))["reason"] == "declined"


async def test_busy(lab: Visitor) -> None:
    session_id = await lab.ring("carol")
    await lab.until_rings("carol-1")
    await lab.post("/phones/carol-1/busy")
    assert (await lab.until_ended(session_id))["reason"] == "busy"


async def test_cancelled_by_the_caller(lab: Visitor) -> None:
    session_id = await lab.ring("bob", "carol")
    await lab.until_rings("bob-1", "bob-2", "carol-1")
    await lab.post(f"/calls/{session_id}/cancel")
    for one in ("bob-1", "bob-2", "carol-1"):
        over = await lab.until_over(one)
        assert (over["recent"], over["reason"]) == ("missed", 2)
    assert (await lab.until_ended(session_id))["reason"] == "cancelled"


async def test_nobody_answers_in_time(lab: Visitor) -> None:
    session_id = await lab.ring("carol", ring_time=5)
    await lab.until_rings("carol-1")
    over = await lab.until_over("carol-1")
    assert (over["recent"], over["reason"]) == ("missed", 3)
    call = await lab.until_ended(session_id)
    assert call["reason"] == "missed"
    assert 4_500 < call["ended_ms"] - call["asked_ms"] < 8_500


async def test_answered_and_completed(lab: Visitor) -> None:
    session_id = await lab.ring("bob")
    await lab.until_rings("bob-1", "bob-2")
    await lab.post("/phones/bob-1/answer")
    other = await lab.until_over("bob-2")
    assert (other["recent"], other["reason"]) == ("answered_elsewhere", 4)
    await lab.until(lambda s: phone_of(s, "bob-1")["calls"][0]["state"] == "active")
    await lab.post("/phones/bob-1/hang_up")
    assert (await lab.until_over("bob-1"))["recent"] == "completed"
    assert (await lab.until_ended(session_id))["reason"] == "completed"


async def test_ended_by_the_server(lab: Visitor) -> None:
    session_id = await lab.ring("carol")
    await lab.until_rings("carol-1")
    await lab.post("/phones/carol-1/answer")
    await lab.until(lambda s: call_of(s, session_id)["state"] == "active")
    await lab.post(f"/calls/{session_id}/end")
    over = await lab.until_over("carol-1")
    assert (over["recent"], over["reason"]) == ("completed", 2)
    assert (await lab.until_ended(session_id))["reason"] == "ended_by_server"


async def test_who_leaves_a_call_of_more_leaves_alice_alone_in_the_end(lab: Visitor) -> None:
    session_id = await lab.ring("bob", "carol")
    await lab.until_rings("bob-1", "carol-1")
    await lab.post("/phones/carol-1/decline")
    await lab.post("/phones/bob-1/answer")
    await lab.until(lambda s: phone_of(s, "bob-1")["calls"][0]["state"] == "active")
    await lab.post("/phones/bob-1/hang_up")
    await lab.until_over("bob-1")
    await lab.until(lambda s: call_of(s, session_id)["state"] == "active")
    assert (await lab.until_ended(session_id, seconds=20))["reason"] == "alone"


async def test_a_call_that_reaches_its_longest_time(lab: Visitor) -> None:
    session_id = await lab.ring("carol", type="short")
    await lab.until_rings("carol-1")
    await lab.post("/phones/carol-1/answer")
    await lab.until(lambda s: call_of(s, session_id)["state"] == "active")
    assert (await lab.until_ended(session_id, seconds=20))["reason"] == "max_duration"
    assert (await lab.until_over("carol-1"))["reason"] == 2


async def test_an_answer_that_reaches_nobody_has_failed(lab: Visitor) -> None:
    session_id = await lab.ring("carol")
    await lab.until_rings("carol-1")
    await lab.post("/phones/carol-1/conditions", flight_mode=True)
    await lab.post("/phones/carol-1/answer")
    over = await lab.until_over("carol-1")
    assert (over["recent"], over["reason"]) == ("failed", 1)
    await lab.post(f"/calls/{session_id}/cancel")


async def test_a_phone_whose_app_is_killed_while_it_rings(lab: Visitor) -> None:
    session_id = await lab.ring("carol")
    await lab.until_rings("carol-1")
    await lab.post("/phones/carol-1/conditions", app="killed")
    over = await lab.until_over("carol-1")
    assert (over["recent"], over["ended_by"]) == ("failed", "app_died")
    await lab.post(f"/calls/{session_id}/cancel")


@pytest.mark.parametrize("what", ["answer", "decline", "busy", "hang_up"])
async def test_what_cannot_be_tapped_is_said(lab: Visitor, what: str) -> None:
    answer = await lab.client.post(f"/phones/bob-1/{what}", json={})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == ("no_call" if what == "hang_up" else "nothing_rings")
    assert "Bob's iPhone" in answer.json()["detail"]
