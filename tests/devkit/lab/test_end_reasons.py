"""Ways in which a call ends on a phone that its page has no words of its own for; the others, in a browser."""

from tests.devkit.lab.conftest import Visitor


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


async def test_what_cannot_be_tapped_is_said(lab: Visitor) -> None:
    for what in ("answer", "decline", "busy", "hang_up"):
        answer = await lab.client.post(f"/phones/bob-1/{what}", json={})
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == ("no_call" if what == "hang_up" else "nothing_rings")
        assert "Bob's iPhone" in answer.json()["detail"]
