"""Who is in another call, by each policy; and two who call each other are in one call."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.calls.ringer import ringer_of
from app.calls.ringing import resolve
from app.calls.schemas import RingIn
from app.devices import store as devices
from app.live import feeds
from app.tenants.schemas import TenantSettings
from tests.chance import LONG, dice, often
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import bearer, member
from tests.tenants.test_revocations import made, rows, signed
from tests.users.test_preferences import phone, pushed, ring

pytestmark = pytest.mark.timeout(900 if LONG else 300)
LIVE_OF = """SELECT c.id, c.state FROM calls c WHERE c.ended_at IS NULL
    AND EXISTS (SELECT FROM members m WHERE m.session_id = c.id AND m.user_id = '{}')
    AND EXISTS (SELECT FROM members m WHERE m.session_id = c.id AND m.user_id = '{}')"""


def standing(call: dict[str, Any], user: str) -> tuple[str, bool]:
    one = member(call, user)
    return one["state"], one["ring"] is not None


async def rule(site: Site, api: httpx.AsyncClient, **settings: Any) -> None:
    assert (await api.put("/v1/settings", json=settings)).status_code == 200


async def test_by_default_who_is_in_a_call_is_rung(site: Site) -> None:
    _, api = await made(site)
    await phone(api, "bob", "ab")
    await ring(api, "carol", caller="bob")
    assert standing(await ring(api, "bob"), "bob") == ("ringing", True)
    assert standing(await ring(api, "alice", caller="bob"), "alice") == ("unreachable", True)
    assert await pushed(site) == ["bob"]


@pytest.mark.parametrize("blocked", [False, True])
async def test_busy_is_told_at_once_and_pushed_nowhere(site: Site, blocked: bool) -> None:
    tenant, api = await made(site)
    await rule(site, api, busy_call_types={"default": "busy"})
    await phone(api, "bob", "ab")
    await phone(api, "dave", "cd")
    async with site.runtime.database.transaction() as session:
        await feeds.open_feeds(session, [(tenant.id, user) for user in ("alice", "bob")])
    first = await ring(api, "carol", caller="bob")  # who rings somebody is busy
    if blocked:
        await api.put("/v1/users/bob/blocks/alice")
    call = await ring(api, "bob")
    assert (call["state"], call["reason"], standing(call, "bob")) == (
        "ended",
        "busy",
        ("busy", False),
    )
    both = await ring(api, "bob", "dave", id="both")
    assert (both["state"], standing(both, "bob")) == ("ringing", ("busy", False))
    assert standing(await ring(api, "eve", caller="alice", id="both"), "eve")[0] == "unreachable"
    again = await ring(api, "bob", id="both")
    assert (again["session_id"], standing(again, "bob")) == (both["session_id"], ("busy", False))
    assert standing(await ring(api, "bob", type="door"), "bob") == ("ringing", True)
    assert await pushed(site) == (["dave"] if blocked else ["bob", "dave"])
    heard = await rows(site, """SELECT user_id, body ->> 'type' AS kind FROM user_events
        WHERE body ->> 'session_id' = '{}' ORDER BY seq""".format(call["session_id"]))  # fmt: skip
    assert [tuple(one.values()) for one in heard] == [
        ("alice", "call.started"), ("alice", "member.busy"), ("alice", "call.ended"),
    ]  # fmt: skip
    async with site.runtime.database.transaction() as session:
        await session.execute(text(
            "UPDATE rings SET deadline = clock_timestamp() - interval '1 s'"
            f" WHERE session_id = '{first['session_id']}'"))  # fmt: skip
        await session.execute(
            text(f"UPDATE calls SET due_at = clock_timestamp() WHERE id = '{first['session_id']}'")
        )
    free = await ring(api, "bob", caller="zoe")
    assert standing(free, "bob") == ("ringing", True), "time has ended that call"


async def test_quiet_is_missed_and_never_pushed(site: Site) -> None:
    tenant, api = await made(site)
    await rule(site, api, when_busy="quiet")
    await phone(api, "bob", "ab")
    joined = await ring(api, "bob", caller="carol")
    path = f"/v1/calls/{joined['session_id']}"
    assert (await api.post(f"{path}/accept", json={"user_id": "bob"})).status_code == 200
    call = await ring(api, "bob")
    assert standing(call, "bob") == ("ringing", True)
    assert await pushed(site) == ["bob"], "by carol alone"
    mine = bearer(signed(tenant, "bob"))
    history = (await api.get("/v1/users/bob/calls", headers=mine)).json()["calls"]
    assert [one["suppressed"] for one in history] == ["in_a_call", None]


async def test_two_who_call_each_other_are_in_one_call(site: Site) -> None:
    """Through two processes' ringers, or both in one batch; one of them may be in a call already."""
    tenant, api = await made(site)
    chance = dice()
    ringers = (site.app.state.ringer, ringer_of(site.runtime))  # type: ignore[attr-defined]
    rounds = often(25, 500)
    async with site.runtime.database.transaction() as session:  # else their rows' birth is a lock
        users = [(tenant.id, f"{who}{n}") for n in range(rounds) for who in ("one", "other")]
        await devices.see_users(session, users)
    for n in range(rounds):
        policy = chance.choice(["busy", "quiet"])
        rules = TenantSettings.model_validate({"when_busy": policy, "limits": {"ring": 180}})
        one, other = f"one{n}", f"other{n}"
        engaged = chance.random() < 0.4
        for device in "abc" if n % 5 == 0 or LONG else "":
            await phone(api, one, f"{device}{n % 10}")

        async def call(
            caller: str, callee: str, wait: float, which: int, rules: TenantSettings = rules
        ) -> dict[str, Any]:
            request = RingIn.model_validate({"caller": {"id": caller}, "callees": [callee]})
            asked = resolve(tenant.id, rules, request, device=f"{caller}-phone", key=None)
            await asyncio.sleep(wait)
            found: dict[str, Any] = await ringers[which].submit(asked)
            return found

        if engaged:
            third = await call("third", one, 0, 0)
            accept = f"/v1/calls/{third['session_id']}/accept"
            assert (await api.post(accept, json={"user_id": one})).status_code == 200
        waits = [chance.choice([0, 0, chance.random() * 0.01]) for _ in "12"]
        places = [chance.randrange(2) for _ in "12"]
        mine, theirs = await asyncio.gather(
            call(one, other, waits[0], places[0]), call(other, one, waits[1], places[1])
        )
        live = await rows(site, LIVE_OF.format(one, other))
        assert len(live) == 1, (n, mine, theirs)
        if mine["session_id"] == theirs["session_id"]:
            assert live[0]["state"] == "active"
        else:  # whoever is engaged was busy to the first, and is then the one who calls
            assert engaged
            assert (theirs["reason"], str(live[0]["id"])) == ("busy", mine["session_id"])
        assert (await api.post(f"/v1/calls/{live[0]['id']}/end")).status_code == 200


async def test_who_calls_back_joins_and_a_repeat_is_answered_alike(site: Site) -> None:
    _, api = await made(site)
    await rule(site, api, when_busy="busy")
    first = await ring(api, "bob")
    body = {"caller": {"id": "bob", "device_id": "b1"}, "callees": ["alice"], "id": "mine"}
    key = {"Idempotency-Key": "back"}
    back, again = [(await api.post("/v1/calls", json=body, headers=key)).json() for _ in "12"]
    assert (back["session_id"], back["state"]) == (first["session_id"], "active")
    assert back == again
    assert member(back, "bob")["device_id"] == "b1"
    group = await ring(api, "carol", "dave", caller="alice", id="group")
    into = await ring(api, "bob", caller="alice", id="group")
    assert (into["session_id"], standing(into, "bob")[0]) == (group["session_id"], "busy")
