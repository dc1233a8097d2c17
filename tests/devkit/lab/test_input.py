"""Bad input to the lab: a precise problem that names the field and the way out."""

from typing import Any, get_args

import httpx
from fastapi import FastAPI

from app.http import problems
from devkit.lab.lab import RINGS_A_MINUTE, Lab
from devkit.lab.routes import TheBench, router
from devkit.lab.verdicts import LIBRARIES
from tests.devkit.lab.conftest import Visitor

WRONG: list[tuple[str, Any, str, str]] = [
    ("/ring", {}, "missing_field", "callees"),
    ("/ring", {"callees": []}, "invalid_field", "callees"),
    ("/ring", {"callees": ["mallory"]}, "invalid_field", "callees.0"),
    ("/ring", {"callees": ["bob", "bob"]}, "duplicate_callee", "callees"),
    ("/ring", {"callees": ["bob", "carol", "bob"]}, "invalid_field", "callees"),
    ("/ring", {"callees": "bob"}, "invalid_field", "callees"),
    ("/ring", {"callees": ["bob"], "ring_time": 4}, "invalid_field", "ring_time"),
    ("/ring", {"callees": ["bob"], "ring_time": 61}, "invalid_field", "ring_time"),
    ("/ring", {"callees": ["bob"], "ring_time": "soon"}, "invalid_field", "ring_time"),
    ("/ring", {"callees": ["bob"], "type": "endless"}, "invalid_field", "type"),
    ("/ring", {"callees": ["bob"], "loud": True}, "unknown_field", "loud"),
    ("/ring", [], "invalid_field", ""),
    ("/reset", {"hard": True}, "unknown_field", "hard"),
    ("/phones/bob-1/answer", {"uuid": "x"}, "unknown_field", "uuid"),
    ("/phones/bob-1/conditions", {}, "nothing_to_set", ""),
    ("/phones/bob-1/conditions", {"app": "asleep"}, "invalid_field", "app"),
    ("/phones/bob-1/conditions", {"flight_mode": "perhaps"}, "invalid_field", "flight_mode"),
    ("/phones/bob-1/conditions", {"ios": "26"}, "invalid_ios", "ios"),
    ("/phones/bob-1/conditions", {"ios": "26.4.1"}, "invalid_ios", "ios"),
    ("/phones/bob-1/conditions", {"ios": "260.4"}, "invalid_ios", "ios"),
    ("/phones/bob-1/conditions", {"ios": 26.4}, "invalid_field", "ios"),
    ("/phones/bob-1/next_push", {}, "nothing_to_set", ""),
    ("/phones/bob-1/next_push", {"duplicate": 6}, "invalid_field", "duplicate"),
    ("/phones/bob-1/next_push", {"duplicate": -1}, "invalid_field", "duplicate"),
    ("/phones/bob-1/next_push", {"held_seconds": 1e9}, "invalid_field", "held_seconds"),
    ("/phones/bob-1/next_push", {"held_seconds": -1}, "invalid_field", "held_seconds"),
    ("/phones/bob-1/library", {"profile": "nokia"}, "unknown_profile", "profile"),
    ("/phones/bob-1/library", {"profile": "custom"}, "unknown_profile", "profile"),
    ("/phones/bob-1/sends", {"profile": "nokia"}, "unknown_profile", "profile"),
    ("/phones/bob-1/sends", {"trap": "nokia"}, "unknown_trap", "trap"),
    (
        "/phones/bob-1/sends",
        {"profile": "stream", "trap": "stream.no_cid"},
        "profile_and_trap",
        "trap",
    ),
    ("/verdicts", {}, "missing_field", "payload"),
    ("/verdicts", {"payload": {}}, "invalid_field", "payload"),
    ("/verdicts", {"payload": "{oops"}, "payload_not_json", "payload"),
    ("/verdicts", {"payload": ""}, "payload_not_json", "payload"),
    ("/verdicts", {"payload": "[1]"}, "payload_no_object", "payload"),
    ("/verdicts", {"payload": "[" * 9_000}, "payload_not_json", "payload"),
    ("/verdicts", {"payload": "x" * 20_000}, "payload_too_long", "payload"),
]


async def test_a_wrong_body_is_told_and_changes_nothing(lab: Visitor) -> None:
    for path, body, code, field in WRONG:
        answer = await lab.client.post(path, json=body)
        assert answer.status_code == 422, (path, body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["code"] == code, problem
        told = [(one["field"], one["code"]) for one in problem["errors"]]
        assert (field, code) in told, problem
    state = await lab.state()
    assert state["calls"] == []
    assert not any(phone["kills"] or phone["sends"] for phone in state["phones"])


async def test_what_is_no_json_is_told(lab: Visitor) -> None:
    sent = {"Content-Type": "application/json"}
    for path in ("/ring", "/verdicts", "/phones/bob-1/answer"):
        answer = await lab.client.post(path, content=b"{oops", headers=sent)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_json"), path


async def test_where_the_payload_is_broken_is_told_by_line_and_column(lab: Visitor) -> None:
    answer = await lab.client.post("/verdicts", json={"payload": '{"aps": {},\n "ring" 1}'})
    assert "line 2, column 9" in answer.json()["detail"]


async def test_an_unknown_phone_names_those_that_there_are(lab: Visitor) -> None:
    for path, body in {
        "answer": {}, "conditions": {"app": "locked"}, "next_push": {"reorder": True},
        "library": {"profile": "stream"}, "sends": {},
    }.items():  # fmt: skip
        answer = await lab.client.post(f"/phones/dave-1/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "phone_not_found")
        assert "bob-1, bob-2, bob-android, bob-cn, carol-1" in answer.json()["detail"]


async def test_a_switch_that_a_phone_does_not_have_is_told(lab: Visitor) -> None:
    for path, body, code in (
        ("bob-1/conditions", {"doze": True}, "no_such_switch"),
        ("bob-android/conditions", {"app": "killed", "ios": "26.3"}, "no_such_switch"),
        ("bob-cn/conditions", {"ios": "26.3"}, "no_such_switch"),
        ("bob-android/library", {"profile": "stream"}, "one_library"),
        ("bob-android/sends", {}, "one_library"),
    ):
        answer = await lab.client.post(f"/phones/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert (await lab.phone("bob-android"))["conditions"]["app"] == "locked"


async def test_an_unknown_call_and_one_that_is_over(lab: Visitor) -> None:
    for act in ("cancel", "end"):
        answer = await lab.client.post(f"/calls/default:abc/{act}", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "call_not_found")
    session_id = await lab.ring("carol")
    await lab.post(f"/calls/{session_id}/cancel")
    await lab.until_ended(session_id)
    again = await lab.client.post(f"/calls/{session_id}/answer_at_once", json={})
    assert (again.status_code, again.json()["code"]) == (409, "nothing_rings")


async def test_a_button_that_is_none_is_told(lab: Visitor) -> None:
    answer = await lab.client.post("/phones/bob-1/shake", json={})
    assert answer.status_code in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_too_large_is_refused(lab: Visitor) -> None:
    answer = await lab.client.post("/verdicts", json={"payload": "x" * 300_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_payload_is_judged_with_its_bytes(lab: Visitor) -> None:
    good = await lab.post(
        "/verdicts", payload='{"id":"01a1fd6e-a275-707f-8e0b-2f48732bce48","nameCaller":"é"}'
    )
    assert (good["bytes"], good["limit"], good["fits"]) == (63, 5120, True)
    by_name = {one["profile"]: one for one in good["verdicts"]}
    assert by_name.keys() == set(LIBRARIES)
    assert by_name["flutter_callkit_incoming"]["outcome"] == "reported"
    assert by_name["connectycube"]["outcome"] == "crash"
    large = await lab.post("/verdicts", payload='{"x":"' + "y" * 5_200 + '"}')
    assert (large["bytes"], large["fits"]) == (5208, False)


async def test_a_minute_holds_so_many_rings_and_no_more() -> None:
    """As if three hundred had rung: a phone is rung by none of it."""
    inside = FastAPI()
    inside.state.lab = lab = Lab("http://127.0.0.1:1")
    problems.install(inside)
    inside.include_router(router)
    inside.dependency_overrides[get_args(TheBench)[1].dependency] = lambda: None
    for _ in range(RINGS_A_MINUTE):
        lab.count_ring()
    transport = httpx.ASGITransport(app=inside)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        refused = await client.post("/ring", json={"callees": ["carol"]})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_rings")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
