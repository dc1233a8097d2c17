"""Nobody can be reached: the caller is told as soon as it is known, not when the ring is over."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.calls import reach
from tests.e2e.house import Tenant, eventually, member
from tests.live.listener import listening


async def told(tenant: Tenant, call: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return await tenant.rows(
        "SELECT data FROM events WHERE session_id = :id AND type = :kind", id=call["id"], kind=kind
    )


async def test_who_has_no_device_is_unreachable_at_once_and_may_still_answer(
    tenant: Tenant,
) -> None:
    await tenant.phone("carol")
    async with listening(tenant.house.apis[1].url, tenant.token_for("alice")) as alice:
        await alice.wait_for("snapshot")
        call = await tenant.ring("bob", "carol")
        assert member(call, "bob")["state"] == "unreachable"
        assert member(call, "carol")["state"] == "ringing"
        (warning,) = call["warnings"]
        assert (warning["code"], warning["user_id"]) == ("unreachable", "bob")
        event = await alice.wait_for("member.unreachable")
        assert event.data["data"]["user_id"] == "bob"
    # a device that comes while the ring is open rings
    phone = await tenant.phone("bob")
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    assert arrival.payload["ring"]["uuid"] == member(call, "bob")["ring"]["uuid"]
    assert member(await tenant.read(call), "bob")["state"] == "ringing"
    assert await told(tenant, call, "member.reachable")
    other = await tenant.ring("dave")
    assert (await tenant.act(other, "accept", "dave")).status_code == 200


async def test_a_call_that_reached_nobody_ends_as_unreachable(tenant: Tenant) -> None:
    call = await tenant.ring("bob")
    await tenant.execute(
        "UPDATE rings SET deadline = clock_timestamp() WHERE session_id = :id", id=call["id"]
    )
    await tenant.execute(
        "UPDATE calls SET due_at = clock_timestamp() WHERE id = :id", id=call["id"]
    )

    async def ended() -> bool:
        return (await tenant.read(call))["state"] == "ended"

    assert await eventually(ended)
    seen = await tenant.read(call)
    assert (seen["reason"], member(seen, "bob")["state"]) == ("unreachable", "unreachable")


async def test_a_tenant_may_have_it_end_at_once(tenant: Tenant) -> None:
    await tenant.api.put("/v1/settings", json={"end_unreachable": True})

    async def ended() -> dict[str, Any] | None:
        call = await tenant.ring("bob")
        return call if call["state"] == "ended" else None

    call = await eventually(ended, every=0.3)  # a process may go by what was set a second ago
    assert call["reason"] == "unreachable"
    ring = member(call, "bob")["ring"]
    assert (ring["state"], ring["callkit_reason"]) == ("unreachable", 1)
    assert (await tenant.read(call))["reason"] == "unreachable"
    # somebody else is rung: it goes on, and ends when they have declined
    await tenant.phone("carol")
    call = await tenant.ring("bob", "carol")
    assert call["state"] == "ringing"
    await tenant.act(call, "decline", "carol")
    assert (await tenant.read(call))["reason"] == "declined"


async def test_the_last_token_that_is_refused_makes_unreachable(tenant: Tenant) -> None:
    dead, alive = await tenant.phone("bob"), await tenant.phone("carol")
    tenant.sim.gone(dead.voip, since=datetime.now(UTC) + timedelta(seconds=1))
    call = await tenant.ring("bob", "carol")
    assert member(call, "bob")["state"] == "ringing"
    assert not call["warnings"]
    await tenant.becomes(call, "bob", "unreachable")
    assert len(await told(tenant, call, "member.unreachable")) == 1
    await tenant.sim.arrived(1, token=alive.voip)
    assert member(await tenant.read(call), "carol")["state"] == "ringing"


async def test_what_a_worker_left_unsaid_the_sweep_says(backend: Tenant) -> None:
    await backend.phone("bob")
    call = await backend.ring("bob")
    await backend.execute(
        "UPDATE pushes SET state = 'refused' WHERE session_id = :id", id=call["id"]
    )
    other = await backend.ring("carol")
    await reach.sweep(backend.runtime)
    assert member(await backend.read(call), "bob")["state"] == "unreachable"
    await backend.act(call, "end")
    await backend.act(other, "end")


async def test_who_listens_to_a_live_stream_can_be_reached(tenant: Tenant) -> None:
    async with listening(tenant.house.apis[0].url, tenant.token_for("bob")) as bob:
        await bob.wait_for("snapshot")
        call = await tenant.ring("bob")
        assert member(call, "bob")["state"] == "ringing"
        assert call["warnings"] == []
        await bob.wait_for("ring.started")
