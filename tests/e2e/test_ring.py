"""The main job: a ring reaches every phone, and an answer stops the others."""

from app.core.payload.facts import CALLKIT_REASONS
from tests.e2e.house import BUNDLE, Tenant, eventually, member


async def test_a_ring_reaches_each_phone_of_the_callee_and_an_accept_stops_the_other(
    tenant: Tenant,
) -> None:
    first, second = await tenant.phone("bob"), await tenant.phone("bob")
    other = await tenant.phone("carol")

    call = await tenant.ring("bob", id="abc", caller="alice", video=True)
    ring = member(call, "bob")["ring"]
    for phone in (first, second):
        (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
        assert (arrival.status, arrival.topic) == (200, f"{BUNDLE}.voip")
        assert arrival.payload["aps"]["alert"] == {"call_cid": "default:abc", "user_ids": "alice"}
        assert arrival.payload["ring"]["uuid"] == ring["uuid"]
        assert arrival.payload["ring"]["session_id"] == call["session_id"]

    accepted = await tenant.act(call, "accept", "bob", first.device_id)
    assert accepted.status_code == 200
    assert accepted.json()["state"] == "active"
    assert member(accepted.json(), "bob")["device_id"] == first.device_id
    assert second.alert is not None
    (stop,) = await tenant.sim.arrived(1, token=second.alert)
    assert stop.header("apns-push-type") == "background"
    assert stop.header("apns-priority") == "5"
    assert 4 in CALLKIT_REASONS
    assert 4 in _integers(stop.payload), "the CallKit reason: answered elsewhere"

    await eventually(lambda: _all_settled(tenant))
    assert not tenant.sim.arrivals(first.alert), "never a stop to the device that accepted"
    assert not tenant.sim.arrivals(other.voip)
    assert len(tenant.sim.arrivals(second.voip)) == 1, "a stop is no VoIP push"


async def _all_settled(tenant: Tenant) -> bool:
    rows = await tenant.rows("SELECT state FROM pushes WHERE tenant_id = :tenant")
    return all(row["state"] not in {"pending", "sending"} for row in rows)


def _integers(value: object) -> set[int]:
    if isinstance(value, dict):
        return set().union(*(_integers(one) for one in value.values()))
    return {value} if isinstance(value, int) else set()
