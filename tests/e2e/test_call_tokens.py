"""The tokens in pushes and of accepts: what a killed app can do without a login, and no more."""

from typing import Any

import httpx
import pytest

from tests.e2e.house import BUNDLE, Phone, Tenant, bearer, eventually, member


class Killed:
    """A phone whose app has not logged in: it has its push, and plain HTTPS."""

    def __init__(self, tenant: Tenant, phone: Phone, payload: dict[str, Any]) -> None:
        self.phone = phone
        self.ring = payload["ring"]
        self._path = self.ring["state_url"].partition("8000")[2]
        self._api = tenant.api
        self.auth = bearer(self.ring["token"])

    async def state(self, **headers: str) -> httpx.Response:
        return await self._api.get(self._path, headers=self.auth | headers)

    async def post(self, action: str, auth: str | None = None, **body: str) -> httpx.Response:
        headers = self.auth if auth is None else bearer(auth)
        return await self._api.post(f"{self._path}/{action}", json=body, headers=headers)


async def rung(tenant: Tenant, user: str = "bob", *, count: int = 1) -> list[Killed]:
    """That many phones of a user, rung by alice, each with its push."""
    phones = [await tenant.phone(user) for _ in range(count)]
    await tenant.ring(user, "carol", caller="alice")
    found = []
    for phone in phones:
        (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
        found.append(Killed(tenant, phone, arrival.payload))
    return found


async def test_a_killed_app_declines_with_the_call_token_alone(tenant: Tenant) -> None:
    first, second = await rung(tenant, count=2)
    declined = await first.post("decline")
    assert declined.status_code == 200
    assert declined.json()["ring"]["state"] == "declined"
    assert (await first.post("decline")).status_code == 200, "again: no harm"
    state = (await second.state()).json()
    assert (state["ring"]["state"], state["ring"]["callkit_reason"]) == ("declined", 5)


async def test_a_decline_on_one_device_alone(tenant: Tenant) -> None:
    first, second, third = await rung(tenant, count=3)
    alone = await first.post("decline", reach="device")
    assert (alone.status_code, alone.json()["ring"]["state"]) == (200, "declined")
    assert (await first.post("decline", reach="device")).status_code == 200, "again: no harm"
    assert (await first.state()).json()["ring"]["state"] == "declined"
    assert (await second.state()).json()["ring"]["state"] == "ringing"
    await tenant.api.put("/v1/settings", json={"decline_reach": "device"})
    await second.post("decline")
    assert (await third.state()).json()["ring"]["state"] == "ringing"
    assert (await third.post("decline")).json()["ring"]["state"] == "declined"
    call = (await tenant.api.get(f"/v1/calls/{third.ring['session_id']}")).json()
    assert member(call, "bob")["state"] == "declined"
    told = await tenant.rows(
        "SELECT data ->> 'device_id' AS device FROM events "
        "WHERE tenant_id = :tenant AND type = 'device.declined' ORDER BY seq"
    )
    phones = [one.phone.device_id for one in (first, second, third)]
    assert [one["device"] for one in told] == phones
    lines = (await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")).json()["timeline"]
    assert sum("on this phone alone" in line["text"] for line in lines) == 3


async def test_a_key_declines_for_the_user_where_no_device_is_named(tenant: Tenant) -> None:
    await tenant.api.put("/v1/settings", json={"decline_reach": "device"})
    call = await tenant.ring("bob", "carol")
    assert member((await tenant.act(call, "decline", "bob")).json(), "bob")["state"] == "declined"
    path = f"/v1/calls/{call['session_id']}/decline"
    body = {"user_id": "carol", "reach": "device"}
    unnamed = await tenant.api.post(path, json=body)
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "missing_field")
    answer = await tenant.api.post(path, json=body | {"device_id": "web"})
    assert member(answer.json(), "carol")["state"] == "declined", "nothing else of hers rings"


async def test_state_is_small_has_an_etag_and_tells_how_it_ended(tenant: Tenant) -> None:
    (phone,) = await rung(tenant)
    answer = await phone.state()
    body = answer.json()
    assert [one["user_id"] for one in body["members"]] == ["bob"]
    assert body["count"] == {"members": 3, "joined": 1, "ringing": 1}
    assert body["ring"]["uuid"] == phone.ring["uuid"]
    assert body["ring"]["state"] == "ringing"
    etag = answer.headers["etag"]
    same = await phone.state(**{"If-None-Match": f'"x", W/{etag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    await tenant.api.post(f"/v1/calls/{body['session_id']}/cancel", json={})
    after = await phone.state(**{"If-None-Match": etag})
    assert after.status_code == 200
    assert (after.json()["state"], after.json()["ring"]["callkit_reason"]) == ("ended", 2)


async def test_accept_gives_a_member_token_to_stay_and_leave_with(tenant: Tenant) -> None:
    first, second = await rung(tenant, count=2)
    accepted = await first.post("accept")
    assert accepted.status_code == 200
    assert [one["state"] for one in accepted.json()["members"]] == ["joined"]
    token = accepted.json()["member_token"]
    assert (await first.post("accept")).json()["ring"]["state"] == "accepted", "again: the same"
    lost = await second.post("accept")
    assert (lost.status_code, lost.json()["code"]) == (409, "answered_elsewhere")
    assert (await first.post("heartbeat", token)).status_code == 200
    for action in ("accept", "decline", "cancel", "join", "report"):
        body = {"status": "delivered"} if action == "report" else {}
        assert (await first.post(action, token, **body)).status_code == 403, action
    assert (await first.post("leave", token)).status_code == 200
    read = await tenant.api.get(f"/v1/calls/{accepted.json()['session_id']}")
    assert member(read.json(), "bob")["state"] == "left"


async def test_a_call_token_is_good_for_nothing_else(tenant: Tenant) -> None:
    (phone,) = await rung(tenant)
    for action in ("leave", "end", "heartbeat", "cancel", "join"):
        answer = await phone.post(action)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), action
    for method, path in (
        ("GET", "/v1/devices"),
        ("DELETE", "/v1/users/bob"),
        ("POST", "/v1/calls"),
    ):
        body = {"caller": {"id": "bob"}, "callees": ["eve"]} if method == "POST" else None
        answer = await tenant.api.request(method, path, headers=phone.auth, json=body)
        assert answer.status_code == 403, path
    other = await tenant.ring("dave", caller="eve")
    for path in (other["session_id"], other["cid"]):
        answer = await tenant.api.get(f"/v1/calls/{path}", headers=phone.auth)
        assert (answer.status_code, answer.json()["code"]) == (404, "call_not_found")
        answer = await tenant.api.post(f"/v1/calls/{path}/decline", headers=phone.auth)
        assert answer.status_code == 404
        answer = await tenant.api.post(
            f"/v1/calls/{path}/report", json={"status": "delivered"}, headers=phone.auth
        )
        assert answer.status_code == 404
    wrong = await phone.post("accept", user_id="carol")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_user")
    forged = phone.ring["token"][:-2] + ("AA" if phone.ring["token"][-2:] != "AA" else "BB")
    answer = await phone.post("accept", forged)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_the_token_of_a_former_ring_does_nothing_to_the_present_one(tenant: Tenant) -> None:
    (phone,) = await rung(tenant)
    call = (await phone.state()).json()
    await tenant.act(call, "accept", "carol")
    await phone.post("decline")
    again = await tenant.ring("bob", caller="carol", id=call["id"])
    assert member(again, "bob")["ring"]["uuid"] != phone.ring["uuid"]
    assert (await phone.post("decline")).status_code == 200
    stale = await phone.post("accept")
    assert (stale.status_code, stale.json()["code"]) == (410, "ring_settled")
    assert member(await tenant.read(again), "bob")["state"] == "ringing"
    state = (await phone.state()).json()
    assert (state["ring"]["uuid"], state["ring"]["state"]) == (phone.ring["uuid"], "declined")


async def test_reports_are_noted_once_and_others_ring_on(tenant: Tenant) -> None:
    first, second = await rung(tenant, count=2)
    for _ in range(2):
        assert (await first.post("report", status="delivered")).status_code == 204
        assert (await second.post("report", status="unavailable")).status_code == 204
    bad = await first.post("report", status="eaten")
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_field")
    rows = await tenant.rows(
        "SELECT d.device_id, p.delivered_at IS NOT NULL AS delivered, "
        "p.unavailable_at IS NOT NULL AS unavailable FROM pushes p "
        "JOIN devices d ON d.id = p.device_row WHERE p.tenant_id = :tenant AND purpose = 'ring'"
    )
    assert {row["device_id"]: (row["delivered"], row["unavailable"]) for row in rows} == {
        first.phone.device_id: (True, False),
        second.phone.device_id: (False, True),
    }
    events = await tenant.rows(
        "SELECT type, data ->> 'device_id' AS device FROM events "
        "WHERE tenant_id = :tenant AND type LIKE 'device.%' ORDER BY seq"
    )
    assert [(one["type"], one["device"]) for one in events] == [
        ("device.delivered", first.phone.device_id),
        ("device.unavailable", second.phone.device_id),
    ]
    assert (await first.state()).json()["ring"]["state"] == "ringing"
    by_key = await tenant.api.post(
        f"/v1/calls/{first.ring['session_id']}/report", json={"status": "delivered"}
    )
    assert by_key.json()["code"] == "missing_field", "a key says whose device it is"
    assert (await first.state()).json()["ring"]["devices"] == 1


async def test_a_ring_past_its_deadline_reads_as_missed_before_any_sweep(tenant: Tenant) -> None:
    (phone,) = await rung(tenant)
    await tenant.execute(
        "WITH r AS (UPDATE rings SET deadline = clock_timestamp() - interval '1 s' "
        "WHERE session_id = :id) UPDATE calls SET due_at = clock_timestamp() WHERE id = :id",
        id=phone.ring["session_id"],
    )
    state = (await phone.state()).json()
    assert (state["state"], state["reason"], state["ring"]["callkit_reason"]) == (
        "ended", "missed", 3,
    )  # fmt: skip


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_stop_travels_by_voip_push_only_where_the_tenant_turned_it_on(
    tenant: Tenant, allowed: bool
) -> None:
    changed = await tenant.api.put("/v1/settings", json={"voip_stops": allowed})
    assert changed.status_code == 200
    accepts, bare = await tenant.phone("bob", alert=False), await tenant.phone("bob", alert=False)
    full = await tenant.phone("bob")
    call = await tenant.ring("bob")
    for phone in (accepts, bare, full):
        await tenant.sim.arrived(1, token=phone.voip)
    await tenant.act(call, "accept", "bob", accepts.device_id)
    await tenant.sim.arrived(1, token=full.alert)

    async def quiet() -> bool:
        rows = await tenant.rows("SELECT state FROM pushes WHERE tenant_id = :tenant")
        return {row["state"] for row in rows} == {"accepted"}

    await eventually(quiet)
    assert len(tenant.sim.arrivals(accepts.voip)) == 1, "never to the device that accepted"
    assert len(tenant.sim.arrivals(full.voip)) == 1, "it has an alert token"
    stops = tenant.sim.arrivals(bare.voip)[1:]
    assert len(stops) == int(allowed)
    for stop in stops:
        assert stop.topic == f"{BUNDLE}.voip"
        assert stop.payload["ring"]["uuid"] == member(call, "bob")["ring"]["uuid"]
