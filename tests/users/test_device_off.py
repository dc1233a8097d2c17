"""A device that is off: not rung and not notified, off until it is turned on, and able to answer."""

from typing import Any

import httpx
from sqlalchemy import text

from app.api.models.devices import DeviceOut
from app.calls import service as calls
from app.devices import service as devices
from app.live import feeds
from tests.api.test_responses import says
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import bearer, member
from tests.tenants.test_revocations import made, rows, signed
from tests.users.test_preferences import past_its_time, ring

MISSED = {"default": {"missed": {"title": "Missed", "body": "{{caller_label}}"}}}


async def register(
    api: httpx.AsyncClient, device: str | None, token: str, user: str = "bob"
) -> dict[str, Any]:
    """Register a device with a VoIP token and an alert token; as it reads."""
    of = {"app_id": "com.example.app"}
    tokens = [of | {"kind": kind, "token": token * 32} for kind in ("voip", "alert")]
    body = {"user_id": user, "device_id": device, "tokens": tokens}
    answer = await api.post("/v1/devices", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def turn(api: httpx.AsyncClient, device: str, *, on: bool) -> DeviceOut:
    body = {"user_id": "bob", "rings": on}
    return says(await api.patch(f"/v1/devices/{device}", json=body), DeviceOut)


async def pushed(site: Site, call: dict[str, Any], purpose: str = "ring") -> set[str]:
    """The first digits of the tokens to which there is a push of a call."""
    found = await rows(
        site,
        f"SELECT token FROM pushes WHERE session_id = '{call['session_id']}'"
        f" AND purpose = '{purpose}'",
    )
    return {row["token"][:2] for row in found}


async def test_a_device_that_is_off_is_not_rung_or_notified_until_it_is_on(site: Site) -> None:
    tenant, api = await made(site)
    owner = await site.admin()
    assert (await api.put("/v1/settings", json={"notifications": MISSED})).status_code == 200
    assert (await register(api, "one", "ab"))["rings"] is True
    await register(api, "two", "cd")
    mine = bearer(signed(tenant, "bob"))
    off = await api.patch("/v1/devices/one", json={"rings": False}, headers=mine)
    assert says(off, DeviceOut).rings is False
    call = await ring(api, "bob")
    assert (await register(api, "one", "ef"))["rings"] is False, "with another token"
    assert await pushed(site, call) == {"cd"}, "nor late"
    await past_its_time(site)
    assert await pushed(site, call, "missed") == {"cd"}
    listed = (await api.get("/v1/devices", params={"user_id": "bob"})).json()["devices"]
    assert {one["device_id"]: one["rings"] for one in listed} == {"one": False, "two": True}

    call = await ring(api, "bob")
    assert (await turn(api, "one", on=True)).rings is True
    assert await pushed(site, call) == {"cd", "ef"}, "turned on while it rings elsewhere"
    await turn(api, "two", on=False)
    assert await pushed(site, call) == {"cd", "ef"}, "what rings goes on"
    await rows(site, "UPDATE pushes SET state = 'accepted', answered_at = now() RETURNING id")
    page = (await owner.get(f"/dashboard/t/{tenant.id}/user?id=bob")).text
    assert page.count(f'/calls/{call["session_id"]}">') == 3, "what both had last, and the list"
    assert await pushed(site, await ring(api, "bob")) == {"ef"}


async def test_a_device_that_is_turned_on_as_a_ring_passes_it_by_is_rung(site: Site) -> None:
    """The ring had read who rings before, and was committed after: the sweep finds the device."""
    tenant, api = await made(site)
    await register(api, "one", "ab")
    await register(api, "two", "cd")
    await turn(api, "one", on=False)
    call = await ring(api, "bob")
    async with site.runtime.database.transaction() as session:  # nobody looks for the ring here
        await session.execute(
            text("UPDATE tokens SET registered_at = registered_at - interval '1 h'")
        )
        await devices.set_rings(session, tenant.id, "bob", "one", rings=True)
    assert await pushed(site, call) == {"cd"}
    await calls.ring_late_devices(site.runtime)
    assert await pushed(site, call) == {"ab", "cd"}


async def test_what_moves_and_what_answers(site: Site) -> None:
    tenant, api = await made(site)
    await register(api, "one", "ab")
    await turn(api, "one", on=False)
    again = await register(api, None, "ab")
    assert (again["device_id"] != "one", again["rings"]) == (True, False), "it goes on as another"
    call = await ring(api, "bob")
    assert member(call, "bob")["state"] == "ringing"
    accept = {"user_id": "bob", "device_id": again["device_id"]}
    path = f"/v1/calls/{call['session_id']}"
    answered = await api.post(f"{path}/accept", json=accept)
    assert answered.status_code == 200, answered.text
    assert member((await api.get(path)).json(), "bob")["state"] == "joined"

    assert (await register(api, "one", "ab", user="carol"))["rings"] is True, "another user's"
    assert await pushed(site, await ring(api, "carol")) == {"ab"}
    alices = bearer(signed(tenant, "alice"))
    for device, body, headers, status, code in (
        ("one", {"rings": False, "user_id": "carol"}, alices, 403, "wrong_user"),
        ("one", {"rings": False}, alices, 404, "device_not_found"),
        ("one", {"rings": False}, bearer(signed(tenant, "carol", scopes=["calls"])), 403,
         "missing_scope"),
        ("one", {"user_id": "carol"}, None, 422, "missing_field"),
    ):  # fmt: skip
        refused = await api.patch(f"/v1/devices/{device}", json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_a_stream_hears_what_no_device_rings_and_no_urgency_turns_one_on(site: Site) -> None:
    tenant, api = await made(site)
    await api.put("/v1/settings", json={"urgent_allowed": True})
    await register(api, "one", "ab")
    await turn(api, "one", on=False)
    urgent = await ring(api, "bob", urgent=True)
    more = await ring(api, "zoe", id="more")
    await ring(api, "bob", id="more")
    for call in (urgent, more):
        assert await pushed(site, call) == set()
    history = (await api.get("/v1/users/bob/calls")).json()["calls"]
    assert [one["suppressed"] for one in history] == ["devices_off", "devices_off"]
    async with site.runtime.database.transaction() as session:
        await feeds.open_feeds(session, [(tenant.id, "bob")])
    await ring(api, "bob")
    heard = await rows(site, "SELECT user_id FROM user_events")
    assert {one["user_id"] for one in heard} == {"bob"}
    history = (await api.get("/v1/users/bob/calls")).json()["calls"]
    assert [one["suppressed"] for one in history] == [None, "devices_off", "devices_off"]
    owner = await site.admin()
    page = (await owner.get(f"/dashboard/t/{tenant.id}/user?id=bob")).text
    assert ("Turn on" in page, "Turn off" in page) == (True, False)
