"""Devices: registering, moving, expiring, going; and who is rung because of it."""

import asyncio
import secrets
from typing import Any

import pytest

from app.calls import registration
from app.devices.schemas import DeviceIn
from app.tenants.schemas import TenantSettings
from tests.chance import dice, often
from tests.e2e.house import BUNDLE, Phone, Tenant, eventually, member, unless_busy
from tests.e2e.test_bad_input import assert_problem


async def device_ids(tenant: Tenant, user: str) -> list[str]:
    answer = await tenant.api.get("/v1/devices", params={"user_id": user})
    return [one["device_id"] for one in answer.json()["devices"]]


async def test_registering_again_refreshes_and_makes_nothing_new(tenant: Tenant) -> None:
    phone = await tenant.phone("bob", "d1")
    upper = Phone("bob", "d1", phone.voip.upper(), phone.alert)
    answer = await tenant.register(upper, expires_in=300, name="Bob's phone")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["name"], len(body["tokens"])) == ("Bob's phone", 2)
    assert {one["ends_with"] for one in body["tokens"]} == {phone.voip[-4:], str(phone.alert)[-4:]}
    rows = await tenant.rows(
        "SELECT token, extract(epoch FROM expires_at - registered_at)::int AS s FROM tokens "
        "WHERE tenant_id = :tenant AND kind = 'voip'"
    )
    assert rows == [{"token": phone.voip, "s": 300}], "lower case, one row, a new expiry"
    assert phone.voip not in answer.text


async def test_a_device_that_gets_a_new_token_forgets_the_old_one(tenant: Tenant) -> None:
    old = await tenant.phone("bob", "d1")
    new = await tenant.phone("bob", "d1")
    voip = {"kind": "voip", "token": new.voip, "app_id": BUNDLE}
    body = {"user_id": "bob", "device_id": "d1", "tokens": [voip]}
    alone = (await tenant.api.post("/v1/devices", json=body)).json()
    assert {token["kind"] for token in alone["tokens"]} == {"voip", "alert"}  # the other stays
    await tenant.ring("bob")
    await tenant.sim.arrived(1, token=new.voip)
    await asyncio.sleep(0.2)
    assert not tenant.sim.arrivals(old.voip)


async def test_a_user_has_at_most_25_devices_and_the_oldest_goes(tenant: Tenant) -> None:
    phones = [await tenant.phone("bob", f"d{n}") for n in range(25)]
    await tenant.register(phones[0])  # so that d1 is the oldest now
    await tenant.phone("bob", "d25")
    expected = {f"d{n}" for n in range(26)} - {"d1"}
    assert set(await device_ids(tenant, "bob")) == expected
    rows = await tenant.rows("SELECT count(*) AS n FROM tokens WHERE tenant_id = :tenant")
    assert rows[0]["n"] == 50


async def registered(tenant: Tenant, user: str, device_id: str, api: int) -> Phone:
    """As a client does it: told to try again (503, `Retry-After`), it does."""
    phone = Phone(user, device_id, secrets.token_hex(32), None)
    while (answer := await tenant.register(phone, api=api)).status_code == 503:
        await asyncio.sleep(int(answer.headers["Retry-After"]))
    assert answer.status_code == 200, answer.text
    return phone


async def test_concurrent_registrations_keep_the_bound(tenant: Tenant) -> None:
    await asyncio.gather(*(registered(tenant, "bob", f"d{n}", n % 2) for n in range(40)))
    assert len(await device_ids(tenant, "bob")) == 25
    same = await asyncio.gather(*(registered(tenant, "carol", "only", n % 2) for n in range(20)))
    assert await device_ids(tenant, "carol") == ["only"]
    rows = await tenant.rows(
        "SELECT token FROM tokens WHERE tenant_id = :tenant AND user_id = 'carol'"
    )
    assert len(rows) == 1
    assert rows[0]["token"] in {phone.voip for phone in same}


async def test_a_token_moves_at_once_and_drops_what_its_old_owner_was_to_get(
    tenant: Tenant,
) -> None:
    """The last account on the phone must not ring on."""
    phone = await tenant.phone("bob", "shared")
    tenant.sim.fault(token=phone.voip, status=503, reason="ServiceUnavailable", retry_after=1)
    await tenant.ring("bob")
    await tenant.sim.arrived(1, token=phone.voip)
    await eventually(
        lambda: tenant.rows("SELECT 1 FROM pushes WHERE tenant_id = :tenant AND state = 'pending'")
    )
    moved = await tenant.register(Phone("carol", "shared", phone.voip, phone.alert))
    assert moved.status_code == 200
    assert await device_ids(tenant, "bob") == [], "a device without tokens is none"
    (row,) = await tenant.rows("SELECT state, reason FROM pushes WHERE tenant_id = :tenant")
    assert (row["state"], row["reason"]) == ("dropped", "token_moved")
    await asyncio.sleep(1.5)
    assert len(tenant.sim.arrivals(phone.voip)) == 1
    tenant.sim.end_fault()
    call = await tenant.ring("carol")
    arrivals = await tenant.sim.arrived(2, token=phone.voip)
    assert arrivals[1].payload["ring"]["uuid"] == member(call, "carol")["ring"]["uuid"]


async def test_users_who_swap_and_share_tokens_at_once_do_not_deadlock(tenant: Tenant) -> None:
    tokens = [secrets.token_hex(32) for _ in range(6)]

    async def register(n: int) -> Any:
        chance = dice(n)
        some = chance.sample(tokens, 2)
        request = DeviceIn.model_validate(
            {
                "device_id": f"d{chance.randrange(2)}",
                "tokens": [
                    {"kind": kind, "token": one, "app_id": BUNDLE}
                    for kind, one in zip(chance.sample(["voip", "alert"], 2), some, strict=True)
                ],
            }
        )
        user = chance.choice(["bob", "carol", "dave"])
        return await registration.register(
            tenant.runtime, tenant.id, TenantSettings(), user, request
        )

    for start in range(0, often(120, 240), 12):
        await asyncio.gather(*(unless_busy(register(n)) for n in range(start, start + 12)))
    rows = await tenant.rows(
        "SELECT t.user_id, d.user_id AS owner, t.kind, t.token FROM tokens t "
        "JOIN devices d ON d.id = t.device_row WHERE t.tenant_id = :tenant"
    )
    assert all(row["user_id"] == row["owner"] for row in rows)
    assert len({(row["kind"], row["token"]) for row in rows}) == len(rows)


async def test_a_token_past_its_expiry_is_not_rung(tenant: Tenant) -> None:
    old, live = await tenant.phone("bob", "old"), await tenant.phone("bob", "live")
    await tenant.execute(
        "UPDATE tokens SET expires_at = clock_timestamp() WHERE token = :token", token=old.voip
    )
    await tenant.ring("bob")
    await tenant.sim.arrived(1, token=live.voip)
    assert not tenant.sim.arrivals(old.voip)
    await eventually(
        lambda: tenant.rows(
            "SELECT 1 FROM tokens WHERE token = :token AND retired_reason = 'expired'",
            token=old.voip,
        )
    )
    await tenant.register(old)
    await tenant.sim.arrived(1, token=old.voip)  # registered anew while its user rings


@pytest.mark.parametrize("early", [True, False])
async def test_a_device_that_registers_while_its_user_rings_is_rung(
    tenant: Tenant, early: bool
) -> None:
    call = await tenant.ring("bob", ring_time=30)
    if early:
        phone = await tenant.phone("bob")
    else:
        # the write skew: neither the ring nor the registration saw the other; the sweep does
        phone = await tenant.phone("carol")
        await tenant.execute(
            "WITH d AS (UPDATE devices SET user_id = 'bob' WHERE device_id = :device RETURNING id) "
            "UPDATE tokens t SET user_id = 'bob' FROM d WHERE t.device_row = d.id",
            device=phone.device_id,
        )
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    assert arrival.payload["ring"]["uuid"] == member(call, "bob")["ring"]["uuid"]
    await tenant.act(call, "accept", "bob")
    await tenant.phone("bob")
    late = await tenant.phone("bob")
    await asyncio.sleep(1.3)
    assert not tenant.sim.arrivals(late.voip), "nobody rings any more"


async def test_a_removed_device_does_not_ring(tenant: Tenant) -> None:
    gone, stays = await tenant.phone("bob", "gone"), await tenant.phone("bob", "stays")
    answer = await tenant.api.delete("/v1/devices/gone", headers=tenant.as_user("bob"))
    assert answer.status_code == 204
    answer = await tenant.api.delete("/v1/devices/gone", headers=tenant.as_user("bob"))
    assert_problem(answer, 404, "device_not_found")
    await tenant.ring("bob")
    await tenant.sim.arrived(1, token=stays.voip)
    assert not tenant.sim.arrivals(gone.voip)


async def test_apples_410_retires_a_token_only_if_it_is_later_than_the_registration(
    tenant: Tenant,
) -> None:
    dead, back = await tenant.phone("bob", "dead"), await tenant.phone("bob", "back")
    (row,) = await tenant.rows(
        "SELECT extract(epoch FROM min(registered_at))::float AS s FROM tokens "
        "WHERE tenant_id = :tenant"
    )
    tenant.sim.gone(dead.voip, since=int(row["s"] * 1000) + 60_000)
    tenant.sim.gone(back.voip, since=int(row["s"] * 1000) - 60_000)
    await tenant.ring("bob")

    async def both() -> Any:
        rows = await tenant.rows(
            "SELECT t.token, t.retired_at IS NOT NULL AS retired FROM pushes p "
            "JOIN tokens t ON t.id = p.token_id WHERE p.tenant_id = :tenant AND p.status = 410"
        )
        return {row["token"]: row["retired"] for row in rows} if len(rows) == 2 else None

    assert await eventually(both) == {dead.voip: True, back.voip: False}


async def test_an_erased_user_leaves_no_trace_of_their_id_or_tokens(tenant: Tenant) -> None:
    bob = f"bob-{secrets.token_hex(4)}"
    phones = [await tenant.phone(bob), await tenant.phone(bob)]
    await tenant.ring("carol", "dave", caller=bob)
    call = await tenant.ring(bob, "carol", id="past", caller="alice")
    await tenant.sim.arrived(1, token=phones[0].voip)
    await tenant.act(call, "accept", bob, phones[0].device_id)
    await tenant.act(call, "leave", bob)
    await tenant.clients[0].post(
        "/v1/calls",
        json={"caller": {"id": bob, "name": f"Name of {bob}"}, "callees": ["eve"],
              "custom": {"room": f"{bob}'s room"}},
        headers={"Idempotency-Key": secrets.token_hex(8)},
    )  # fmt: skip
    live = await tenant.ring(bob, "carol", id="live", caller="alice")
    answer = await tenant.api.delete(f"/v1/users/{bob}")
    assert answer.status_code == 204
    seen = await tenant.read(live)
    assert [one["state"] for one in seen["members"] if one["user_id"].startswith("erased~")] == [
        "declined"
    ]

    async def stopped() -> bool:  # the phones that rang are told so first
        named = "SELECT 1 FROM pushes WHERE tenant_id = :t AND user_id = :user"
        return not await tenant.rows(named, t=tenant.id, user=bob)

    await eventually(stopped)
    tables = await tenant.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert len(tables) > 10
    for table in tables:
        name = table["relname"]
        for secret in (bob, *(phone.voip for phone in phones), *(str(p.alert) for p in phones)):
            found = await tenant.rows(
                f'SELECT 1 FROM "{name}" AS t WHERE strpos(CAST(t AS text), :secret) > 0',
                secret=secret,
            )
            assert not found, name
    assert_problem(await tenant.api.delete(f"/v1/users/{bob}"), 404, "user_not_found")
