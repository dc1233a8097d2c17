"""What Apple's answers do to tokens, credentials and rings, through the whole system."""

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.credentials import service as credentials
from app.credentials.parse import Upload
from tests.e2e.house import House, Phone, Tenant, eventually, new_tenant
from tests.houses import HouseMaker

BUNDLE = "com.example.app"


async def pushes(tenant: Tenant, ring: str | None = None) -> list[dict[str, Any]]:
    return await tenant.rows(
        "SELECT * FROM targets WHERE tenant_id = :tenant AND purpose = 'ring' "
        "AND (CAST(:call AS uuid) IS NULL OR session_id = :call) ORDER BY id",
        call=ring,
    )


async def ended(tenant: Tenant, call: dict[str, Any], timeout: float = 60) -> list[dict[str, Any]]:
    """The call's pushes once each has come to its end."""

    async def all_ended() -> list[dict[str, Any]] | None:
        rows = await pushes(tenant, call["session_id"])
        return (
            rows if rows and all(r["state"] not in {"pending", "sending"} for r in rows) else None
        )

    found: list[dict[str, Any]] = await eventually(all_ended, timeout=timeout)
    return found


async def token_row(tenant: Tenant, token: str) -> dict[str, Any]:
    (row,) = await tenant.rows(
        "SELECT * FROM tokens WHERE tenant_id = :tenant AND token = :token", token=token
    )
    return row


async def alarms(tenant: Tenant, kind: str) -> list[dict[str, Any]]:
    return await tenant.rows(
        "SELECT data FROM tenant_events WHERE tenant_id = :tenant AND type = :kind", kind=kind
    )


async def test_a_token_that_apple_says_is_gone_is_retired_and_rings_no_more(
    tenant: Tenant,
) -> None:
    phone = await tenant.phone("bob")
    tenant.sim.gone(phone.voip, since=datetime.now(UTC) + timedelta(seconds=1))
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert (push["state"], push["status"], push["reason"]) == ("refused", 410, "Unregistered")
    row = await token_row(tenant, phone.voip)
    assert row["retired_at"] is not None
    assert row["retired_reason"] == "Unregistered"
    call = await tenant.ring("bob")
    await asyncio.sleep(0.5)
    assert await pushes(tenant, call["session_id"]) == []
    # first, since the ring that is still on reaches a device that comes late at once
    tenant.sim.live(phone.voip, topic=f"{BUNDLE}.voip")
    await tenant.register(phone)
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert push["state"] == "accepted"


async def test_a_token_registered_after_it_was_gone_is_kept(tenant: Tenant) -> None:
    phone = await tenant.phone("bob")
    tenant.sim.gone(phone.voip, since=datetime.now(UTC) - timedelta(hours=1))
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert push["status"] == 410
    assert (await token_row(tenant, phone.voip))["retired_at"] is None


async def test_a_token_of_the_other_environment_is_healed_and_remembered(tenant: Tenant) -> None:
    phone = await tenant.phone("bob")
    tenant.sim.forget(phone.voip)
    tenant.sim.live(phone.voip, topic=f"{BUNDLE}.voip", environment="sandbox")
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert (push["state"], push["attempts"], push["environment"]) == ("accepted", 2, "sandbox")
    arrivals = tenant.sim.arrivals(phone.voip)
    assert [one.environment for one in arrivals] == ["production", "sandbox"]
    assert len({one.apns_id for one in arrivals}) == 1
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert (push["attempts"], push["environment"]) == (1, "sandbox")
    # the app says again what it always said: the environment that was found stays
    await tenant.register(phone)
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert (push["attempts"], push["environment"]) == (1, "sandbox")


async def test_a_token_bad_in_both_environments_is_retired_if_the_credential_works(
    tenant: Tenant,
) -> None:
    good, bad = await tenant.phone("carol"), await tenant.phone("bob")
    tenant.sim.live(good.voip, topic=f"{BUNDLE}.voip", environment=None)
    (push,) = await ended(tenant, await tenant.ring("carol"))
    assert push["state"] == "accepted"
    # and the credential has been seen to work in the sandbox, too
    other = await tenant.phone("dave")
    tenant.sim.forget(other.voip)
    tenant.sim.live(other.voip, topic=f"{BUNDLE}.voip", environment="sandbox")
    await ended(tenant, await tenant.ring("dave"))
    tenant.sim.forget(bad.voip)
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert (push["state"], push["reason"], push["attempts"]) == ("refused", "BadDeviceToken", 2)
    assert (await token_row(tenant, bad.voip))["retired_reason"] == "BadDeviceToken"


async def test_a_burst_of_bad_tokens_retires_nobody_and_alarms_once(tenant: Tenant) -> None:
    phones = [await tenant.phone(f"user{n}") for n in range(12)]
    for phone in phones:
        tenant.sim.forget(phone.voip)
    for _ in range(2):
        rows = await ended(tenant, await tenant.ring(*(phone.user for phone in phones)))
        assert {row["state"] for row in rows} == {"refused"}
    for phone in phones:
        assert (await token_row(tenant, phone.voip))["retired_at"] is None
    (alarm,) = await alarms(tenant, "push.alarm")
    assert alarm["data"]["alarm"] == "bad_token_burst"


@pytest.fixture
async def lone(make_house: HouseMaker) -> AsyncIterator[tuple[House, Tenant]]:
    """A house of this test's own, with a tenant whose certificate the test may revoke."""
    house = make_house(apis=1, workers=1)
    async with new_tenant(house) as tenant:
        yield house, tenant


async def test_a_refused_credential_alarms_once_and_other_apps_go_on(
    lone: tuple[House, Tenant],
) -> None:
    house, tenant = lone
    other = f"com.example.other{secrets.token_hex(3)}"
    (row,) = await credentials.list_all(tenant.runtime, tenant.id)
    revoked = house.sim.voip_certificate(BUNDLE)
    await credentials.add(tenant.runtime, tenant.id, Upload(data=revoked.pem))
    await credentials.retire(tenant.runtime, tenant.id, row.id)
    works = house.sim.voip_certificate(other)
    await credentials.add(tenant.runtime, tenant.id, Upload(data=works.pem))
    phone = await tenant.phone("bob")
    assert (await ended(tenant, await tenant.ring("bob")))[0]["state"] == "accepted"
    house.sim.revoke_certificate(revoked)
    house.sim.close_connections()
    for _ in range(3):
        (push,) = await ended(tenant, await tenant.ring("bob"))
        assert push["state"] == "refused"
        assert push["reason"] in {"BadCertificate", "credential_stopped"}
    assert len(await alarms(tenant, "credential.failing")) == 1
    assert len(house.sim.arrivals(phone.voip)) <= 3
    token = secrets.token_hex(32)
    house.sim.live(token, topic=f"{other}.voip")
    answer = await tenant.api.post(
        "/v1/devices",
        json={"user_id": "erin", "tokens": [{"kind": "voip", "token": token, "app_id": other}]},
    )
    assert answer.status_code == 200, answer.text
    assert (await ended(tenant, await tenant.ring("erin")))[0]["state"] == "accepted"


async def test_a_ring_goes_by_another_credential_when_one_is_refused(
    lone: tuple[House, Tenant],
) -> None:
    """The old certificate is refused in the middle of things: the new one rings the phone."""
    house, tenant = lone
    revoked = house.sim.voip_certificate(BUNDLE)
    await credentials.add(tenant.runtime, tenant.id, Upload(data=revoked.pem))
    await tenant.phone("bob")
    assert (await ended(tenant, await tenant.ring("bob")))[0]["state"] == "accepted"
    house.sim.revoke_certificate(revoked)
    house.sim.close_connections()
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert push["state"] == "accepted"
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert (push["state"], push["attempts"]) == ("accepted", 1)


async def test_sigterm_with_500_pushes_in_flight_loses_none_and_repeats_none(
    make_house: HouseMaker,
) -> None:
    house = make_house(apis=1, workers=1)
    async with new_tenant(house) as tenant:
        phones = await tenant.phones(*(f"u{n // 20}" for n in range(500)))
        slow = house.sim.fault(delay=1.0)
        call = await tenant.ring(*(f"u{n}" for n in range(25)))
        mine = {phone.voip for phone in phones}

        async def all_arrived() -> bool:
            return len([a for a in house.sim.arrivals() if a.token in mine]) >= 450

        await eventually(all_arrived, every=0.02)
        first, house.workers = house.workers[0], house.workers[1:]
        first.send(signal.SIGTERM)
        house.start(workers=1)
        rows = await ended(tenant, call)
        house.sim.end_fault(slow)
        first.stop()
        assert len(rows) == 500
        assert {row["state"] for row in rows} == {"accepted"}
        arrived = [a for a in house.sim.arrivals() if a.token in mine]
        # whose answer a busy machine did not read in 3 s is repeated, as is right: its stream was reset
        heard = [a for a in arrived if a.outcome != "abandoned"]
        assert len(heard) == len({a.apns_id for a in arrived}) == 500


async def test_a_clock_two_hours_wrong_makes_one_alarm_and_no_storm_of_tokens(
    make_house: HouseMaker,
) -> None:
    house = make_house(apis=1, workers=1)
    async with new_tenant(house) as tenant:
        (row,) = await credentials.list_all(tenant.runtime, tenant.id)
        key = house.sim.provider_key(team_id="TEAM123456", key_id="KEY1234567")
        await credentials.add(tenant.runtime, tenant.id, Upload(data=key.p8.encode() if isinstance(key.p8, str) else key.p8, app_id=BUNDLE, key_id=key.key_id, team_id=key.team_id))  # fmt: skip
        await credentials.retire(tenant.runtime, tenant.id, row.id)
        await tenant.phone("bob")
        assert (await ended(tenant, await tenant.ring("bob")))[0]["state"] == "accepted"
        house.sim.set_conduct(clock_offset=7200)
        try:
            seen: set[str] = set()
            begun = time.time_ns()
            for _ in range(5):
                (push,) = await ended(tenant, await tenant.ring("bob"))
                assert push["state"] in {"refused", "expired"}, push["reason"]
            for arrival in house.sim.arrivals():
                if arrival.received_ns > begun:
                    seen |= {value for name, value in arrival.headers if name == "authorization"}
        finally:
            house.sim.set_conduct(clock_offset=0)
        # one, and a second where the first was 20 minutes old: never one for each push
        assert 1 <= len(seen) <= 2
        raised = await alarms(tenant, "push.alarm")
        assert [one["data"]["alarm"] for one in raised] == ["clock_skew"]


async def test_a_phone_that_says_sandbox_rings_by_the_only_credential_there_is(
    tenant: Tenant,
) -> None:
    await tenant.execute(
        "UPDATE credentials SET environments = '[\"production\"]' WHERE tenant_id = :t", t=tenant.id
    )
    phone = Phone("bob", "d1", secrets.token_hex(32), None)
    tenant.sim.live(phone.voip, topic=f"{BUNDLE}.voip", environment="production")
    body = {
        "user_id": "bob",
        "tokens": [
            {"kind": "voip", "token": phone.voip, "app_id": BUNDLE, "environment": "sandbox"}
        ],
    }
    assert (await tenant.api.post("/v1/devices", json=body)).status_code == 200
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert (push["state"], push["attempts"], push["environment"]) == ("accepted", 1, "production")
    assert (await token_row(tenant, phone.voip))["environment"] == "production"
    # one that is bad there may be good in the other: nothing is proven of it
    tenant.sim.forget(phone.voip)
    (push,) = await ended(tenant, await tenant.ring("bob"))
    assert (push["state"], push["reason"]) == ("refused", "BadDeviceToken")
    assert (await token_row(tenant, phone.voip))["retired_at"] is None
