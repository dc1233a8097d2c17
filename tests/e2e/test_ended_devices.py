"""What ends a device settles its screen; what its call token says counts to the end of the token."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.e2e.house import BUNDLE, Phone, Tenant, bearer, eventually, member
from tests.e2e.test_bad_input import assert_problem


async def remove(tenant: Tenant, phone: Phone) -> None:
    answer = await tenant.api.delete(f"/v1/devices/{phone.device_id}?user_id={phone.user}")
    assert answer.status_code == 204


async def evict(tenant: Tenant, phone: Phone) -> None:
    await tenant.api.put("/v1/settings", json={"limits": {"devices": 1}})
    other = await tenant.phone(phone.user)

    async def evicted() -> bool:  # a process may go by the settings of a second ago
        await tenant.register(other)
        answer = await tenant.api.get(f"/v1/devices?user_id={phone.user}")
        return len(answer.json()["devices"]) == 1

    assert await eventually(evicted, every=0.3)


async def move(tenant: Tenant, phone: Phone) -> None:
    other = Phone("carol", "hers", phone.voip, phone.alert)
    assert (await tenant.register(other)).status_code == 200


async def move_voip_only(tenant: Tenant, phone: Phone) -> None:
    other = Phone("carol", "hers", phone.voip, None)
    assert (await tenant.register(other)).status_code == 200


async def ringing(tenant: Tenant) -> tuple[Phone, dict[str, Any], dict[str, str]]:
    """A phone of bob's that rings, the call, and its call token."""
    phone = await tenant.phone("bob", "d1")
    call = await tenant.ring("bob", "dave")
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    await eventually(
        lambda: tenant.rows("SELECT 1 FROM pushes WHERE tenant_id = :tenant AND state = 'accepted'")
    )
    return phone, call, bearer(arrival.payload["ring"]["token"])


End = Callable[[Tenant, Phone], Awaitable[None]]


@pytest.mark.parametrize("end", [remove, evict, move, move_voip_only])
async def test_a_device_that_ends_while_it_rings_is_told_to_stop(tenant: Tenant, end: End) -> None:
    phone, call, token = await ringing(tenant)
    await end(tenant, phone)
    (stop,) = await tenant.sim.arrived(1, token=str(phone.alert))
    ring = member(call, "bob")["ring"]["uuid"]
    assert (stop.payload["ring"]["type"], stop.payload["ring"]["uuid"]) == ("stop", ring)
    state = f"/v1/calls/{call['session_id']}"
    seen = (await tenant.api.get(state, headers=token)).json()
    assert seen["state"] == "ringing"
    assert (seen["ring"]["state"], seen["ring"]["callkit_reason"]) == ("cancelled", 2)
    refused = await tenant.api.post(f"{state}/accept", headers=token)
    assert_problem(refused, 410, "device_removed")
    reported = await tenant.api.post(f"{state}/report", headers=token, json={"status": "delivered"})
    assert reported.status_code == 204
    declined = await tenant.api.post(f"{state}/decline", headers=token)
    assert declined.status_code == 200
    assert declined.json()["ring"]["state"] == "declined"
    assert member(await tenant.read(call), "bob")["state"] == "declined"
    assert len(tenant.sim.arrivals(str(phone.alert))) == 1


async def test_a_removed_device_stays_quiet_and_hears_nothing_twice(tenant: Tenant) -> None:
    phone, call, token = await ringing(tenant)
    other = await tenant.phone("bob", "d2")
    await tenant.sim.arrived(1, token=other.voip)
    await remove(tenant, phone)
    await tenant.sim.arrived(1, token=str(phone.alert))
    await tenant.act(call, "accept", "bob", "d2")
    seen = (await tenant.api.get(f"/v1/calls/{call['session_id']}", headers=token)).json()
    assert (seen["ring"]["state"], seen["ring"]["callkit_reason"]) == ("accepted", 4)
    assert len(tenant.sim.arrivals(str(phone.alert))) == 1
    assert not tenant.sim.arrivals(str(other.alert))


async def test_a_token_that_is_replaced_on_its_device_stops_nothing(tenant: Tenant) -> None:
    phone, call, token = await ringing(tenant)
    fresh = "ab" * 32
    tenant.sim.live(fresh, topic=f"{BUNDLE}.voip")
    assert (await tenant.register(Phone("bob", "d1", fresh, phone.alert))).status_code == 200
    seen = (await tenant.api.get(f"/v1/calls/{call['session_id']}", headers=token)).json()
    assert seen["ring"]["state"] == "ringing"
    accepted = await tenant.api.post(f"/v1/calls/{call['session_id']}/accept", headers=token)
    assert accepted.status_code == 200
    assert not tenant.sim.arrivals(str(phone.alert))


async def test_a_call_token_is_answered_about_its_own_ring(tenant: Tenant) -> None:
    phone, call, first = await ringing(tenant)
    await tenant.act(call, "accept", "dave")
    assert (await tenant.act(call, "decline", "bob")).status_code == 200
    again = {"id": call["session_id"], "caller": {"id": "alice"}, "callees": ["bob"]}
    assert (await tenant.api.post("/v1/calls", json=again)).status_code == 202
    arrivals = await tenant.sim.arrived(2, token=phone.voip)
    second = bearer(arrivals[1].payload["ring"]["token"])
    path = f"/v1/calls/{call['session_id']}"

    async def post(what: str, token: dict[str, str]) -> httpx.Response:
        return await tenant.api.post(f"{path}/{what}", headers=token)

    late = await post("decline", first)
    assert late.status_code == 200
    assert (late.json()["ring"]["state"], late.json()["ring"]["callkit_reason"]) == ("declined", 5)
    problem = assert_problem(await post("accept", first), 410, "ring_settled")
    assert (problem["reason"], problem["callkit_reason"]) == ("declined", 5)
    assert member(await tenant.read(call), "bob")["state"] == "ringing"
    assert (await post("accept", second)).json()["ring"]["state"] == "accepted"
    await tenant.act(call, "end")
    problem = assert_problem(await post("accept", first), 410, "call_ended")
    assert problem["callkit_reason"] == 5
