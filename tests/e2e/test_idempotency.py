"""`Idempotency-Key`: one call for one key, whoever asks at once, for 24 hours."""

import asyncio
from typing import Any

import httpx

from app.calls import ringing
from app.calls.ringer import Ringer
from app.core.call import SERVER
from app.tenants.schemas import TenantSettings
from tests.e2e.house import Tenant
from tests.e2e.test_bad_input import assert_problem
from tests.e2e.test_races import order


async def ring(tenant: Tenant, key: str, *, api: int = 0, **more: Any) -> httpx.Response:
    body = {"caller": {"id": "alice"}, "callees": ["bob"], **more}
    return await tenant.clients[api].post("/v1/calls", json=body, headers={"Idempotency-Key": key})


async def test_the_same_key_at_once_through_two_processes_is_one_call(tenant: Tenant) -> None:
    phone = await tenant.phone("bob")
    answers = await asyncio.gather(*(ring(tenant, "k", api=n % 2) for n in range(40)))
    assert {answer.status_code for answer in answers} == {202}
    assert all(answer.json() == answers[0].json() for answer in answers)
    (row,) = await tenant.rows("SELECT count(*) AS n FROM calls WHERE tenant_id = :tenant")
    assert row["n"] == 1
    await tenant.sim.arrived(1, token=phone.voip)
    await asyncio.sleep(0.3)
    assert len(tenant.sim.arrivals(phone.voip)) == 1


async def test_the_same_key_with_another_body_is_refused_and_stores_nothing(
    tenant: Tenant,
) -> None:
    first = await ring(tenant, "k", id="one")
    answer = await ring(tenant, "k", id="two")
    assert_problem(answer, 409, "idempotency_key_reused")
    rows = await tenant.rows("SELECT id FROM calls WHERE tenant_id = :tenant")
    assert [str(row["id"]) for row in rows] == [first.json()["session_id"]]


async def test_the_answer_is_repeated_as_it_was_also_when_the_call_has_ended(
    tenant: Tenant,
) -> None:
    first = await ring(tenant, "k", id="one")
    await tenant.act(first.json(), "cancel")
    again = await ring(tenant, "k", id="one")
    assert again.json() == first.json()
    other = await ring(tenant, "other", id="one")
    assert other.json()["session_id"] != first.json()["session_id"], "the cid is free again"


async def test_after_24_hours_the_key_is_new(tenant: Tenant) -> None:
    first = await ring(tenant, "k")
    await tenant.execute(
        "UPDATE idempotency SET created_at = created_at - interval '24 hours 1 second' "
        "WHERE tenant_id = :id",
        id=tenant.id,
    )
    second = await ring(tenant, "k", video=True)
    assert second.status_code == 202
    assert second.json()["session_id"] != first.json()["session_id"]
    assert (await ring(tenant, "k", video=True)).json() == second.json()


async def test_a_key_for_a_live_cid_rings_more_once(tenant: Tenant) -> None:
    made = await tenant.ring("bob", id="one")
    answers = await asyncio.gather(
        *(ring(tenant, "k", id="one", callees=["carol"], api=n % 2) for n in range(10))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json()["session_id"] for answer in answers} == {made["session_id"]}
    rows = await tenant.rows(
        "SELECT count(*) AS n FROM rings WHERE tenant_id = :tenant AND user_id = 'carol'"
    )
    assert rows[0]["n"] == 1


async def test_repeats_in_one_batch_share_the_fate_of_the_first(tenant: Tenant) -> None:
    """The first loses its cid to a live call; its twin must not answer with a call that is none."""
    live = await tenant.ring("bob", id="one")
    request = order(tenant.id, "carol", id="one").request
    twins = [
        ringing.resolve(tenant.id, TenantSettings(), request, device=SERVER, key="k")
        for _ in range(3)
    ]
    answers = await Ringer(tenant.runtime).all(twins)
    assert {answer["session_id"] for answer in answers if isinstance(answer, dict)} == {
        live["session_id"]
    }
    assert all(isinstance(answer, dict) for answer in answers)


async def test_keys_are_the_tenants_own(tenant: Tenant) -> None:
    refused = await ring(tenant, "k", callees=[])
    assert refused.status_code == 422
    taken = await ring(tenant, "k")
    assert taken.status_code == 202, "what was refused has not used its key"


async def test_users_and_the_backend_do_not_share_keys(tenant: Tenant) -> None:
    await tenant.api.put("/v1/settings", json={"users_may_ring": True})
    body = {"caller": {"id": "alice"}, "callees": ["bob"]}
    key = {"Idempotency-Key": "1"}

    async def ring_as(who: str | None) -> httpx.Response:
        headers = key if who is None else key | tenant.as_user(who)
        asked = body | {"caller": {"id": who or "alice"}}
        return await tenant.api.post("/v1/calls", json=asked, headers=headers)

    answers = [await ring_as(who) for who in (None, "alice", "carol", None, "alice")]
    assert {answer.status_code for answer in answers} == {202}, [one.text for one in answers]
    ids = [answer.json()["session_id"] for answer in answers]
    assert len(set(ids)) == 3
    assert ids[3:] == ids[:2]
