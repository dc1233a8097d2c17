"""Handles: of a kind each is one user's, and a ring by it reaches that user."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.api.models.users import HandlesOut
from app.core.person import Handle, HandleKind, handle_key
from tests.api.test_responses import says
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import bearer
from tests.tenants.test_revocations import made, rows, signed
from tests.users.test_preferences import phone, pushed, ring

PHONE = {"kind": "phone", "value": "+49 30 1234567"}
MAIL = {"kind": "email", "value": "Bob@Example.com"}
NAME = {"kind": "generic", "value": "the bob"}


@given(st.text("0123456789 ().-/", max_size=30))
def test_a_number_is_the_same_in_every_spelling(text: str) -> None:
    digits = "".join(one for one in text if one.isdigit())
    assert handle_key(Handle(HandleKind.PHONE, "+" + text)) == "+" + digits
    assert handle_key(Handle(HandleKind.GENERIC, text)) == text


async def test_a_ring_by_handle_rings_whose_it_is(site: Site) -> None:
    _, api = await made(site)
    await phone(api, "bob", "ab")
    await phone(api, "carol", "cd")
    path = "/v1/users/bob/handles"
    kept = {"handles": [PHONE, MAIL]}
    assert says(await api.put(path, json=kept), HandlesOut).model_dump() == kept
    assert says(await api.get(path), HandlesOut).model_dump() == kept
    spelled = [
        {"handle": PHONE | {"value": "+49-30-123 45 67"}, "name": "Bob"},
        {"handle": {"kind": "email", "value": "bob@example.COM"}},
    ]
    for who in spelled:
        call = await ring(api, who)  # type: ignore[arg-type]
        (callee,) = call["members"][1:]
        assert (callee["user_id"], callee["handle"]) == ("bob", who["handle"])
    assert await pushed(site) == ["bob", "bob"]
    both = await ring(api, "carol", spelled[0], caller="dave")  # type: ignore[arg-type]
    assert {one["user_id"] for one in both["members"]} == {"dave", "carol", "bob"}

    key = {"Idempotency-Key": "once"}
    body = {"caller": {"id": "eve"}, "callees": [spelled[0]]}
    first, second = [(await api.post("/v1/calls", json=body, headers=key)).json() for _ in "12"]
    assert first == second
    refused: list[tuple[list[Any], str]] = [
        ([{"handle": NAME}], "unknown_handle"),
        ([{"name": "Bob"}], "missing_field"),
        (["bob", spelled[0]], "duplicate_callee"),
        (spelled, "duplicate_callee"),
    ]
    for callees, code in refused:
        body = {"caller": {"id": "alice"}, "callees": callees}
        answer = await api.post("/v1/calls", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    own = {"caller": {"id": "bob"}, "callees": [spelled[0]]}
    assert (await api.post("/v1/calls", json=own)).json()["code"] == "caller_among_callees"


async def test_whose_they_are_and_who_may_set_them(site: Site) -> None:
    tenant, api = await made(site)
    bob, carol = "/v1/users/bob/handles", "/v1/users/carol/handles"
    assert (await api.put(bob, json={"handles": [PHONE, NAME]})).status_code == 200
    taken = await api.put(carol, json={"handles": [MAIL, PHONE | {"value": "+49301234567"}]})
    assert (taken.status_code, taken.json()["code"]) == (409, "handle_taken")
    assert taken.json()["detail"].startswith("handles."), "which"
    assert (await api.get(carol)).json() == {"handles": []}, "nothing is changed"
    mine = bearer(signed(tenant, "bob"))
    for body, code in (
        ({"handles": [MAIL]}, "handles_not_allowed"),
        ({"handles": [MAIL, MAIL | {"value": "BOB@example.com"}]}, "duplicate_handle"),
        ({"handles": [MAIL | {"value": "bob"}]}, "invalid_handle"),
        ({"handles": [{"kind": "generic", "value": f"{n}"} for n in range(21)]}, "too_many_handles"),
    ):  # fmt: skip
        assert (await api.put(bob, json=body, headers=mine)).json()["code"] == code
    assert (await api.get(carol, headers=mine)).json()["code"] == "wrong_user"
    await api.put("/v1/settings", json={"users_may_set_handles": True})
    assert (await api.put(bob, json={"handles": [NAME]}, headers=mine)).status_code == 200
    assert (await api.put(carol, json={"handles": [PHONE]})).status_code == 200, "it is free again"
    assert (await api.delete("/v1/users/bob")).status_code == 204, "though nothing has rung yet"
    assert [one["user_id"] for one in await rows(site, "SELECT * FROM handles")] == ["carol"]
