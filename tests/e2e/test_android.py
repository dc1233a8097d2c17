"""Android phones ring by FCM, on the path that iPhones ring by."""

import secrets
from base64 import b64encode
from collections import Counter

import httpx
import pytest

from app.credentials import service as credentials
from app.credentials.files.refusals import Refused
from devkit.simulator.google.accounts import Account
from tests.chance import dice, often
from tests.e2e.android import (
    PACKAGE,
    PROJECT,
    Android,
    account,
    android,
    data_of,
    give_account,
    register,
    registration_token,
)
from tests.e2e.house import BUNDLE, Phone, Tenant, bearer, eventually, member

__all__ = ["account"]


async def test_one_call_rings_every_phone_and_the_others_stop(
    tenant: Tenant, account: Account
) -> None:
    await give_account(tenant, account)
    iphone = await tenant.phone("bob")
    droids = [await android(tenant, "bob") for _ in range(2)]
    call = await tenant.ring("bob", ring_time=30)
    await tenant.sim.arrived(1, token=iphone.voip)
    for droid in droids:
        await tenant.sim.arrived(1, token=droid.token)
    [ring] = tenant.sim.deliveries(droids[0].token)
    said, message = data_of(ring), ring.payload["message"]
    assert said["call_cid"] == call["cid"]
    assert (said["ring_type"], said["user_ids"], said["ring_video"]) == ("ring", "alice", "false")
    assert message["android"]["priority"] == "HIGH"
    assert 20 <= int(message["android"]["ttl"][:-1]) <= 30
    # the app answers by the call token of its message, before anybody has logged in
    async with httpx.AsyncClient(base_url=tenant.house.apis[0].url) as app:
        path = said["ring_state_url"].partition("/v1/")[2]
        token = bearer(said["ring_token"])
        answer = await app.post(f"/v1/{path}/accept", headers=token)
        assert answer.status_code == 200, answer.text
    await tenant.sim.arrived(2, token=droids[1].token)
    stop = tenant.sim.deliveries(droids[1].token)[1]
    assert data_of(stop)["ring_type"] == "stop"
    assert data_of(stop)["ring_uuid"] == said["ring_uuid"]
    assert data_of(stop)["ring_callkit_reason"] == "4"
    assert stop.payload["message"]["android"]["priority"] == "NORMAL"
    await tenant.sim.arrived(1, token=str(iphone.alert))
    assert len(tenant.sim.deliveries(droids[0].token)) == 1  # who accepted is not told to stop
    story = await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")
    assert "Google accepts the push to bob" in story.text
    assert "Apple accepts the push" in story.text


async def test_an_app_that_is_switched_to_it_is_sent_android_v2(
    tenant: Tenant, account: Account
) -> None:
    await give_account(tenant, account)
    missed = {"default": {"missed": {"title": "Missed", "body": "{{caller_label}}"}}}
    settings = {"android_v2": [PACKAGE], "notifications": missed}
    said = await tenant.api.put("/v1/settings", json=settings)
    assert said.status_code == 200, said.text
    droid = await android(tenant, "bob")
    call = await tenant.ring("bob", ring_time=30)
    await tenant.sim.arrived(1, token=droid.token)
    await tenant.act(call, "cancel")
    sent = [one.payload["message"] for one in await tenant.sim.arrived(3, token=droid.token)]
    assert all("android" not in one for one in sent)
    ring, *after = sent
    shown = ring["android_v2"]["remote_notification"]
    assert shown["use_as_v1_data_message"] is shown["mutable_content"] is True
    assert (shown["notification"]["title"], ring["data"]["ring_uuid"]) == (
        "alice", shown["notification"]["tag"],
    )  # fmt: skip
    ends = {one["data"]["ring_type"]: one["android_v2"] for one in after}
    assert ends["stop"]["background_sync"] == {}
    assert ends["missed"]["remote_notification"]["notification"]["title"] == "Missed"
    assert len(tenant.sim.deliveries(droid.token)) == 3  # Google has taken each


async def test_a_token_that_is_unregistered_is_retired(tenant: Tenant, account: Account) -> None:
    await give_account(tenant, account)
    droid = await android(tenant, "bob")
    tenant.sim.fcm_gone(droid.token)
    call = await tenant.ring("bob")
    await tenant.becomes(call, "bob", "unreachable")
    [row] = await tenant.rows("SELECT * FROM tokens WHERE tenant_id = :tenant AND kind = 'fcm'")
    assert row["retired_reason"] == "UNREGISTERED"
    # registered anew it rings again: the very same text may live on
    tenant.sim.fcm_live(droid.token, project=PROJECT)
    again = await register(tenant, droid)
    assert again["tokens"][0]["environment"] is None
    await tenant.ring("bob")
    await tenant.sim.arrived(2, token=droid.token)


async def test_an_account_of_another_project_than_the_one_in_use_is_refused(
    tenant: Tenant, account: Account
) -> None:
    in_use = await give_account(tenant, account)
    other = tenant.sim.google_account("another-project")
    with pytest.raises(Refused) as caught:
        await give_account(tenant, other)
    assert caught.value.code == "google_other_project"
    assert all(project in str(caught.value) for project in (PROJECT, "another-project"))
    await give_account(tenant, other, "com.example.second")
    await credentials.retire(tenant.runtime, tenant.id, in_use, confirm=True)
    await give_account(tenant, other)


async def test_another_projects_token_and_a_disabled_account(
    tenant: Tenant, account: Account
) -> None:
    credential = await give_account(tenant, account)
    stranger = await android(tenant, "bob", project="another")
    await tenant.ring("bob")
    await tenant.sim.arrived(1, token=stranger.token)

    async def refused() -> list[object]:
        return await tenant.rows(
            "SELECT 1 FROM pushes WHERE tenant_id = :tenant AND reason = 'SENDER_ID_MISMATCH'"
        )

    await eventually(refused)
    [row] = await tenant.rows("SELECT * FROM tokens WHERE tenant_id = :tenant AND kind = 'fcm'")
    assert row["retired_at"] is None  # one phone's strange build is not its token's end
    droid = await android(tenant, "carol")
    tenant.sim.change_account(account.client_email, may_send=False)
    try:
        await tenant.ring("carol")

        async def failing() -> bool:
            path = f"/v1/credentials/{credential}"
            found = (await tenant.api.get(path)).json()
            return (found["health"], found["reason"]) == ("failing", "PERMISSION_DENIED")

        await eventually(failing)
    finally:
        tenant.sim.change_account(account.client_email, may_send=True)
    probed = await tenant.api.post(f"/v1/credentials/{credential}/probe")
    assert probed.json()["health"] == "working"
    assert tenant.sim.deliveries(droid.token) == []


async def both(tenant: Tenant, user: str) -> tuple[Phone, str]:
    """An iPhone as cross-platform apps register it: for PushKit, and for FCM."""
    phone = Phone(user, f"d-{secrets.token_hex(4)}", secrets.token_hex(32), None)
    fcm = registration_token()
    tenant.sim.live(phone.voip, topic=f"{BUNDLE}.voip")
    tenant.sim.fcm_live(fcm, project=PROJECT)
    answer = await tenant.api.post(
        "/v1/devices",
        json={
            "user_id": user,
            "device_id": phone.device_id,
            "tokens": [
                {"kind": "fcm", "token": fcm, "app_id": PACKAGE},
                {"kind": "voip", "token": phone.voip, "app_id": BUNDLE},
            ],
        },
    )
    assert answer.status_code == 200, answer.text
    return phone, fcm


async def test_a_phone_of_two_addresses_is_rung_once_by_the_best_that_is_not_refused(
    tenant: Tenant, account: Account
) -> None:
    chance = dice()
    await give_account(tenant, account)
    phones = [await both(tenant, f"u{n}") for n in range(often(30, 1_000))]
    refused = [(chance.random() < 0.5, chance.random() < 0.3) for _ in phones]
    for (phone, fcm), (first, second) in zip(phones, refused, strict=True):
        if first:
            tenant.sim.fault(
                token=phone.voip, reason="Unregistered", status=410, timestamp=1, times=1
            )
        if second:
            tenant.sim.fault(token=fcm, status=404, reason="UNREGISTERED", times=1)
    before = max((one.number for one in tenant.sim.arrivals()), default=0)
    for at in range(0, len(phones), 10):
        await tenant.ring(*(phone.user for phone, _ in phones[at : at + 10]), ring_time=180)

    expected = [
        (0, 0) if first and second else (0, 1) if first else (1, 0) for first, second in refused
    ]

    async def as_expected() -> bool:
        given = Counter(one.token for one in tenant.sim.arrivals(after=before) if one.delivered)
        return [(given[phone.voip], given[fcm.lower()]) for phone, fcm in phones] == expected

    await eventually(as_expected, timeout=often(60, 120), every=often(1, 10) / 20)
    rows = await tenant.rows(
        "SELECT count(*) AS n FROM targets WHERE tenant_id = :tenant AND purpose = 'ring'"
    )
    assert rows[0]["n"] == len(phones) + sum(first for first, _ in refused)


async def test_a_token_past_its_expiry_is_not_rung_until_it_is_registered_anew(
    tenant: Tenant, account: Account
) -> None:
    await give_account(tenant, account)
    old, live = await android(tenant, "bob"), await android(tenant, "bob")
    await tenant.execute(
        "UPDATE tokens SET expires_at = clock_timestamp() WHERE token = :token", token=old.token
    )
    await tenant.ring("bob")
    await tenant.sim.arrived(1, token=live.token)
    assert not tenant.sim.arrivals(old.token)
    await eventually(
        lambda: tenant.rows(
            "SELECT 1 FROM tokens WHERE token = :token AND retired_reason = 'expired'",
            token=old.token,
        )
    )
    await register(tenant, old)
    await tenant.sim.arrived(1, token=old.token)  # its user still rings


@pytest.mark.parametrize("end", ["erased", "moved"])
async def test_what_rings_is_told_to_stop_when_its_user_goes_or_the_token_moves(
    tenant: Tenant, account: Account, end: str
) -> None:
    await give_account(tenant, account)
    droid = await android(tenant, "bob")
    await tenant.ring("bob", "carol")
    await tenant.sim.arrived(1, token=droid.token)
    await eventually(
        lambda: tenant.rows("SELECT 1 FROM pushes WHERE tenant_id = :tenant AND state = 'accepted'")
    )
    if end == "erased":
        assert (await tenant.api.delete("/v1/users/bob")).status_code == 204
    else:
        await register(tenant, Android("dave", "daves", droid.token))
    stop = (await tenant.sim.arrived(2, token=droid.token))[1]
    said = stop.payload["message"]["data"]
    assert (said["ring_type"], stop.payload["message"]["android"]["priority"]) == ("stop", "NORMAL")
    left = await tenant.rows("SELECT user_id FROM tokens WHERE tenant_id = :tenant")
    assert [row["user_id"] for row in left] == ([] if end == "erased" else ["dave"])


async def test_a_token_moves_to_whoever_registers_it_and_goes_with_its_user(
    tenant: Tenant, account: Account
) -> None:
    await give_account(tenant, account)
    droid = await android(tenant, "bob")
    await register(tenant, Android("carol", "carols", droid.token))
    call = await tenant.ring("bob")
    assert member(call, "bob")["state"] == "unreachable"
    await tenant.ring("carol")
    await tenant.sim.arrived(1, token=droid.token)
    gone = await tenant.api.post(
        "/v1/devices/unregister", json={"token": droid.token, "user_id": "carol"}
    )
    assert gone.status_code in {200, 204}, gone.text
    assert (
        await tenant.rows("SELECT 1 FROM tokens WHERE tenant_id = :tenant AND kind = 'fcm'") == []
    )


NO_TOKENS: tuple[tuple[dict[str, str], str], ...] = (
    ({"kind": "fcm", "token": "short"}, "token_wrong_length"),
    ({"kind": "fcm", "token": "x" * 30 + " y"}, "token_malformed"),
    ({"kind": "fcm", "token": "x" * 30, "environment": "sandbox"}, "no_environment"),
    ({"kind": "voip", "token": "x" * 64}, "token_not_hex"),
    ({"kind": "gcm", "token": "x" * 64}, "unknown_kind"),
)


async def test_what_is_no_token_is_refused(tenant: Tenant) -> None:
    for token, code in NO_TOKENS:
        body = {"user_id": "bob", "tokens": [{"app_id": PACKAGE, **token}]}
        answer = await tenant.api.post("/v1/devices", json=body)
        assert answer.status_code == 422, token
        assert code in answer.text, token


async def test_what_an_app_says_of_its_phone_is_kept(tenant: Tenant) -> None:
    droid: Android = await android(tenant, "bob", report={"full_screen": False})
    found = (await tenant.api.get("/v1/devices", params={"user_id": "bob"})).json()["devices"][0]
    assert found["device_id"] == droid.device_id
    assert found["report"]["full_screen"] is False


async def test_an_account_goes_every_step_of_a_certificate(
    tenant: Tenant, account: Account
) -> None:
    path = "/v1/credentials"

    def body(one: Account) -> dict[str, str]:
        return {"file": b64encode(one.json.encode()).decode(), "app_id": PACKAGE}

    seen = (await tenant.api.post(f"{path}/preview", json=body(account))).json()
    assert (seen["kind"], seen["project_id"]) == ("google_service_account", PROJECT), seen
    assert seen["subject"] == account.client_email, seen
    first = (await tenant.api.post(path, json=body(account))).json()
    assert (first["state"], first["health"]) == ("active", "working"), first
    assert (first["subject"], first["key_id"]) == (account.client_email, seen["key_id"])
    twice = await tenant.api.post(path, json=body(account))
    assert (twice.status_code, twice.json()["code"]) == (409, "credential_exists"), twice.text

    next_one = tenant.sim.google_account(PROJECT)
    second = (await tenant.api.post(path, json=body(next_one))).json()
    assert second["state"] == "active"
    assert (await tenant.api.get(f"{path}/{first['id']}")).json()["state"] == "standby"
    droid = await android(tenant, "bob")
    tenant.sim.change_account(next_one.client_email, disabled=True)
    refused = (await tenant.api.post(f"{path}/{second['id']}/probe")).json()
    assert refused["health"] == "failing", refused
    await tenant.ring("bob")  # by the one on standby
    await tenant.sim.arrived(1, token=droid.token)
    back = (await tenant.api.post(f"{path}/{first['id']}/activate")).json()
    assert (back["state"], back["health"]) == ("active", "working")
    without = await tenant.api.post(f"{path}/{second['id']}/activate")
    assert without.status_code == 409, without.text

    gone = await tenant.api.post(f"{path}/{second['id']}/retire")
    assert gone.json()["state"] == "retired", gone.text
    asked = await tenant.api.post(f"{path}/{first['id']}/retire")
    assert asked.status_code == 409, asked.text
    last = await tenant.api.post(f"{path}/{first['id']}/retire", json={"confirm": True})
    assert last.json()["state"] == "retired"
    for one in (first, second):
        assert (await tenant.api.delete(f"{path}/{one['id']}")).status_code == 204
    kinds = [row["kind"] for row in (await tenant.api.get(path)).json()["credentials"]]
    assert "google_service_account" not in kinds
