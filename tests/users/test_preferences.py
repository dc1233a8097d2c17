"""Preferences and blocks: what they stop is pushed nowhere, and its caller sees a ring like any."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from sqlalchemy import text

from app.api.models.histories import OwnCallsOut
from app.api.models.users import BlockOut, BlocksOut
from app.calls import reach
from app.calls import service as calls
from app.core.frozen import replace
from app.core.suppression import DAYS, Preferences
from app.live import feeds
from app.users.schemas import PreferencesIn, preferences_of
from tests.api.test_responses import says
from tests.core.test_suppression import wishes
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import bearer
from tests.tenants.test_revocations import made, rows, signed

ALWAYS = {
    "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    "start": "00:00",
    "end": "00:00",
}
LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()


@given(wishes)
def test_what_a_user_said_is_what_rings_are_decided_by(wants: Preferences) -> None:
    periods = [one for one in wants.periods if one.days]
    levels = dict.fromkeys(wants.silent_types, "nothing") | dict.fromkeys(
        wants.notified_types, "notify"
    )
    quiet = {
        "time_zone": wants.time_zone,
        "periods": [
            {
                "days": [DAYS[day] for day in one.days],
                "start": f"{one.start:%H:%M}",
                "end": f"{one.end:%H:%M}",
            }
            for one in periods
        ],
    }
    said = {
        "do_not_disturb_until": wants.do_not_disturb_until,
        "quiet_hours": quiet if periods else None,
        "call_types": levels,
        "exceptions": {"users": sorted(wants.allowed), "repeat": wants.repeat},
    }
    found = preferences_of(PreferencesIn.model_validate(said).stored())
    assert found == replace(
        wants,
        periods=tuple(periods),
        time_zone=wants.time_zone if periods else "UTC",
        silent_types=wants.silent_types - wants.notified_types,
    )


async def phone(api: httpx.AsyncClient, user: str, token: str) -> None:
    push = {"kind": "voip", "token": token * 32, "app_id": "com.example.app"}
    body = {"user_id": user, "device_id": f"{user}-{token}", "tokens": [push]}
    assert (await api.post("/v1/devices", json=body)).status_code == 200


async def ring(api: httpx.AsyncClient, *callees: str, caller: str = "alice", **more: Any) -> Any:
    body = {"caller": {"id": caller}, "callees": list(callees), **more}
    answer = await api.post("/v1/calls", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def pushed(site: Site) -> list[str]:
    return sorted(row["user_id"] for row in await rows(site, "SELECT user_id FROM pushes"))


async def past_its_time(site: Site) -> None:
    async with site.runtime.database.transaction() as session:
        await session.execute(text(
            "UPDATE rings SET deadline = statement_timestamp() - interval '1 second'"))  # fmt: skip
        await session.execute(text("UPDATE calls SET due_at = clock_timestamp()"))
    await calls.sweep(site.runtime)


@pytest.mark.parametrize(
    ("wants", "reason"),
    [
        ({"do_not_disturb_until": LATER}, "do_not_disturb"),
        ({"quiet_hours": {"time_zone": "Asia/Kathmandu", "periods": [ALWAYS]}}, "quiet_hours"),
        ({"call_types": {"default": "nothing"}}, "call_type"),
        ({"rings": False}, "devices_off"),
        (None, "blocked"),
    ],
    ids=["do not disturb", "quiet hours", "call type", "devices off", "blocked"],
)
async def test_it_is_pushed_nowhere_and_reads_as_any_other(
    site: Site, wants: dict[str, Any] | None, reason: str
) -> None:
    tenant, api = await made(site)
    await phone(api, "bob", "ab")
    await phone(api, "carol", "cd")
    if wants is None:
        assert (await api.put("/v1/users/bob/blocks/alice")).status_code == 200
    elif "rings" in wants:
        off = {"user_id": "bob", **wants}
        assert (await api.patch("/v1/devices/bob-ab", json=off)).status_code == 200
    else:
        assert (await api.put("/v1/users/bob/preferences", json=wants)).status_code == 200
    fed = {"alice", "bob", "carol"} - ({"bob"} if reason == "devices_off" else set())
    async with site.runtime.database.transaction() as session:
        await feeds.open_feeds(session, [(tenant.id, user) for user in sorted(fed)])
    call = await ring(api, "bob", "carol")
    assert await pushed(site) == ["carol"]
    await phone(api, "bob", "ef")
    await calls.ring_late_devices(site.runtime)
    await reach.sweep(site.runtime)
    assert await pushed(site) == ["carol"], "nor on a device that comes meanwhile"
    async with site.runtime.database.autocommit() as session:
        live = await calls.live_calls(session, [(tenant.id, "bob"), (tenant.id, "carol")])
    assert [user for _, user in live] == ["carol"]

    def alike(read: dict[str, Any]) -> bool:
        """To the caller the one is as the other, but for who they are."""
        both = {one["user_id"]: one for one in read["members"]}
        bob, carol = ({**both[user], "user_id": "", "ring": {**both[user]["ring"], "uuid": ""}}
                      for user in ("bob", "carol"))  # fmt: skip
        return bool(bob == carol)

    path = f"/v1/calls/{call['session_id']}"
    assert alike(call)
    assert alike((await api.get(path)).json())
    mine, shown = bearer(signed(tenant, "bob")), {"status": "delivered", "device_id": "bob-ef"}
    reported = await api.post(f"{path}/report", json=shown, headers=mine)
    read = await api.get(path, headers=mine)
    if reason == "blocked":
        assert (reported.status_code, read.status_code) == (404, 404)
    else:
        own = next(one for one in read.json()["members"] if one["user_id"] == "bob")
        assert (reported.status_code, own["state"], own["ring"]) == (204, "suppressed", None)
    assert alike((await api.get(path)).json()), "and it is never confirmed"
    await past_its_time(site)
    read = (await api.get(path)).json()
    assert (read["reason"], alike(read)) == ("missed", True)
    told = await rows(site, "SELECT type, data ->> 'user_id' AS who FROM events ORDER BY seq")
    kinds = {user: [one["type"] for one in told if one["who"] == user] for user in ("bob", "carol")}
    assert kinds["bob"] == kinds["carol"]
    heard = await rows(site, "SELECT user_id, count(*) AS n FROM user_events GROUP BY user_id")
    assert {one["user_id"] for one in heard} == {"alice", "carol"}

    history = says(await api.get("/v1/users/bob/calls", headers=mine), OwnCallsOut).calls
    if reason == "blocked":
        assert history == []
    else:
        assert [(one.suppressed, one.members[0].state) for one in history] == [
            (reason, "suppressed")
        ]
    lines = (await api.get(f"{path}/timeline")).json()["timeline"]
    assert [line["user_id"] for line in lines if line["kind"] == "ring.suppressed"] == ["bob"]
    audit = (await api.get("/v1/audit", params={"target": "user:bob"})).json()["audit"]
    about = (await api.get("/v1/audit")).json()["audit"]
    (line,) = (one for one in about if one["action"] == "ring.suppress")
    assert line["detail"] == {"reason": reason}
    assert audit


async def test_who_is_excepted_rings_and_who_is_blocked_does_not(site: Site) -> None:
    _, api = await made(site)
    await phone(api, "bob", "ab")
    wants = {"do_not_disturb_until": LATER, "exceptions": {"users": ["carol", "eve"]}}
    await api.put("/v1/users/bob/preferences", json=wants)
    await api.put("/v1/users/bob/blocks/eve")
    for caller, rung in (("alice", 0), ("carol", 1), ("eve", 1), ("alice", 1)):
        await ring(api, "bob", caller=caller)
        assert len(await pushed(site)) == rung, caller
    wants["exceptions"] = {"repeat": True}
    await api.put("/v1/users/bob/preferences", json=wants)
    await ring(api, "bob", caller="dave")
    assert len(await pushed(site)) == 1
    await ring(api, "bob", caller="dave")
    assert len(await pushed(site)) == 2, "again within three minutes"
    await api.put("/v1/users/bob/preferences", json={})
    assert await rows(site, "SELECT * FROM preferences") == []
    more = await ring(api, "zoe", caller="alice", id="more")
    await ring(api, "bob", caller="alice", id="more")
    assert len(await pushed(site)) == 3
    await api.post(f"/v1/calls/{more['session_id']}/end")
    await api.put("/v1/users/bob/blocks/alice")
    await ring(api, "zoe", caller="alice", id="again")
    await ring(api, "bob", caller="alice", id="again")
    assert len(await pushed(site)) == 3, "who is rung into a live call is asked too"
    joined = await api.post("/v1/calls/default:again/join", json={"user_id": "zoe"})
    assert joined.status_code == 200
    await api.post("/v1/calls/default:again/decline", json={"user_id": "bob"})
    await ring(api, "bob", caller="zoe", id="again")
    assert len(await pushed(site)) == 3, "nor is who has blocked its caller, by another's hand"
    await api.delete("/v1/users/bob/blocks/alice")
    await ring(api, "bob", caller="alice")
    assert len(await pushed(site)) == 4


async def test_by_whom_they_are_set_and_what_is_refused(site: Site) -> None:
    tenant, api = await made(site)
    mine = bearer(signed(tenant, "bob"))
    wants = {
        "quiet_hours": {"time_zone": "Europe/Berlin", "periods": []},
        "call_types": {"a": "ring"},
    }
    assert (await api.put("/v1/users/bob/preferences", json=wants, headers=mine)).status_code == 200
    read = (await api.get("/v1/users/bob/preferences", headers=mine)).json()
    assert (read["quiet_hours"], read["call_types"]) == (wants["quiet_hours"], {"a": "ring"})
    says(await api.put("/v1/users/bob/blocks/a%2Fb", headers=mine), BlockOut)
    assert [
        one.user_id for one in says(await api.get("/v1/users/bob/blocks"), BlocksOut).blocks
    ] == ["a/b"]
    assert (await api.delete("/v1/users/bob/blocks/a%2Fb", headers=mine)).status_code == 204
    zones = [  # the last three are files of many a system, but not of the next machine's, perhaps
        {"quiet_hours": {"time_zone": name, "periods": []}}
        for name in ("Europe/Atlantis", "right/Europe/Berlin", "localtime", "posixrules")
    ]
    hours = {"quiet_hours": {"time_zone": "UTC", "periods": [{**ALWAYS, "start": "24:00"}]}}
    for method, path, body, status, code in (
        *(("PUT", "bob/preferences", zone, 422, "unknown_time_zone") for zone in zones),
        ("PUT", "bob/preferences", hours, 422, "invalid_field"),
        ("PUT", "bob/preferences", {"do_not_disturb_until": "2026-01-01T00:00:00"}, 422, "invalid_field"),
        ("PUT", "bob/blocks/bob", None, 422, "own_block"),
        ("DELETE", "bob/blocks/carol", None, 404, "block_not_found"),
        ("GET", "alice/preferences", None, 403, "wrong_user"),
        ("GET", "alice/blocks", None, 403, "wrong_user"),
    ):  # fmt: skip
        answer = await api.request(method, f"/v1/users/{path}", json=body, headers=mine)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
    async with site.runtime.database.transaction() as session:  # as an older version took it
        await session.execute(text(
            "UPDATE preferences SET settings = jsonb_set("
            "settings, '{quiet_hours,time_zone}', '\"localtime\"')"))  # fmt: skip
    read = (await api.get("/v1/users/bob/preferences", headers=mine)).json()
    assert read["quiet_hours"]["time_zone"] == "localtime"
    await api.put("/v1/users/bob/blocks/carol")
    named = {"exceptions": {"users": ["carol", "dave"]}}
    await api.put("/v1/users/alice/preferences", json=named)
    await ring(api, "carol")
    assert (await api.delete("/v1/users/carol")).status_code == 204
    assert await rows(site, "SELECT * FROM blocks") == []
    (left,) = await rows(site, "SELECT settings FROM preferences WHERE user_id = 'alice'")
    assert left["settings"] == {"exceptions": {"users": ["dave"]}}


async def test_what_reads_as_no_call_takes_no_command(site: Site) -> None:
    """Who has blocked the caller reads 404, and so is each command; whom wishes keep may come in."""
    tenant, api = await made(site)
    await phone(api, "bob", "ab")
    await phone(api, "carol", "cd")
    await api.put("/v1/users/bob/blocks/alice")
    await api.put("/v1/users/carol/preferences", json={"do_not_disturb_until": LATER})
    call = await ring(api, "bob", "carol", "dave")
    path = f"/v1/calls/{call['session_id']}"
    mine, hers = bearer(signed(tenant, "bob")), bearer(signed(tenant, "carol"))
    for named in (path, f"/v1/calls/{call['cid']}"):
        assert (await api.get(named, headers=mine)).status_code == 404
        for act in ("accept", "join", "decline", "cancel", "leave", "end", "heartbeat"):
            for body in ({"device_id": "bob-ab"}, {"device_id": "bob-ab", "reach": "device"}):
                if "reach" in body and act != "decline":
                    continue
                answer = await api.post(f"{named}/{act}", json=body, headers=mine)
                assert (answer.status_code, answer.json()["code"]) == (404, "call_not_found"), act
    read = (await api.get(path)).json()
    assert {one["user_id"]: one["state"] for one in read["members"]}["bob"] == "ringing"
    assert (await api.get(path, headers=hers)).status_code == 200
    accepted = await api.post(f"{path}/accept", json={"device_id": "carol-cd"}, headers=hers)
    assert accepted.status_code == 200, accepted.text
    joined = await api.post(f"{path}/accept", json={"user_id": "bob"})
    assert joined.status_code == 200, "the backend may join for them"
    assert (await api.get(path, headers=mine)).status_code == 200
    assert (await api.post(f"{path}/leave", json={}, headers=mine)).status_code == 200


async def test_who_has_left_and_blocks_whoever_calls_again_has_no_call_by_any_token(
    site: Site,
) -> None:
    tenant, api = await made(site)
    await phone(api, "bob", "ab")
    call = await ring(api, "bob", "carol", id="again")
    path = f"/v1/calls/{call['session_id']}"
    mine = bearer(signed(tenant, "bob"))
    await api.post(f"{path}/accept", json={"user_id": "carol"})
    accepted = await api.post(f"{path}/accept", json={"device_id": "bob-ab"}, headers=mine)
    member = bearer(accepted.json()["member_token"])
    assert (await api.post(f"{path}/leave", headers=member)).status_code == 200
    assert (await api.get(path, headers=member)).status_code == 200
    await api.put("/v1/users/bob/blocks/alice")
    await ring(api, "bob", id="again")
    for token in (mine, member):
        read = await api.get(path, headers=token)
        left = await api.post(f"{path}/leave", headers=token)
        assert (read.status_code, left.status_code) == (404, 404)
