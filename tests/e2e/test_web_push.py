"""Browsers ring by Web Push, on the path that phones ring by."""

import json
import secrets
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.devices import activation
from app.devices.schemas import DeviceIn
from app.infra.errors import Invalid
from devkit.simulator.google.accounts import Account
from tests.chance import dice, often
from tests.e2e.android import (
    PACKAGE,
    PROJECT,
    account,
    android,
    data_of,
    give_account,
    registration_token,
)
from tests.e2e.house import BUNDLE, Tenant, bearer, eventually, member
from tests.e2e.test_commands import ringline
from tests.e2e.test_notifications import by_alert, ring_without_callkit
from tests.e2e.web import (
    ORIGIN,
    Browser,
    activate,
    browser,
    notification,
    register,
    rings,
    subscribed,
    vapid_key,
)

__all__ = ["account"]


async def rung(tenant: Tenant, one: Browser, times: int = 1) -> dict[str, Any]:
    """What it shows, once so many pushes of rings have come."""

    async def there() -> bool:
        return len(rings(tenant, one)) >= times

    await eventually(there)
    shown = rings(tenant, one)
    assert len(shown) == times
    return shown[-1]


async def test_a_subscription_counts_once_its_activation_push_has_come_back(
    tenant: Tenant,
) -> None:
    await vapid_key(tenant)
    one = await subscribed(tenant, "bob")
    device = await register(tenant, one)
    assert device["warnings"] == []
    [token] = device["tokens"]
    assert (token["kind"], token["retired_reason"]) == ("webpush", "not_activated")
    call = await tenant.ring("bob", ring_time=30)
    assert member(call, "bob")["state"] == "unreachable"
    assert not rings(tenant, one)
    await activate(tenant, one)  # it is late, and rings at once
    shown = await rung(tenant, one)
    assert shown["title"] == "alice"
    assert shown["body"] == "Incoming call"
    assert shown["tag"] == shown["data"]["ring"]["uuid"]
    assert shown["navigate"] == f"/?ring_session_id={call['session_id']}"
    assert shown["data"]["call_cid"] == call["cid"]
    await activate_again_changes_nothing(tenant, one)
    found = await tenant.api.get("/v1/devices", params={"user_id": "bob"})
    assert found.json()["devices"][0]["tokens"][0]["retired_at"] is None


async def activate_again_changes_nothing(tenant: Tenant, one: Browser) -> None:
    [first, *_] = tenant.sim.deliveries(one.id)
    token = notification(first)["data"]["activation"]["token"]
    answer = await tenant.api.post("/v1/devices/activate", json={"token": token})
    assert answer.status_code == 204
    for wrong in (token[:-4] + "AAAA", "rl_ct_" + token[6:], "rl_at_x"):
        answer = await tenant.api.post("/v1/devices/activate", json={"token": wrong})
        assert (answer.status_code, answer.json()["code"]) in {
            (401, "invalid_token"), (422, "invalid_field"),
        }  # fmt: skip
    await register(tenant, one)  # at each start of the page; it has shown what it has to
    assert len([1 for push in tenant.sim.deliveries(one.id) if "activation" in str(push.raw)]) == 1


async def test_one_call_rings_a_phone_and_a_browser_and_the_other_stops(tenant: Tenant) -> None:
    await vapid_key(tenant)
    iphone, one, other = await tenant.phone("bob"), *[await browser(tenant, "bob") for _ in "ab"]
    call = await tenant.ring("bob", ring_time=30)
    ring = (await rung(tenant, one))["data"]["ring"]
    await rung(tenant, other)
    await tenant.sim.arrived(1, token=iphone.voip)
    async with httpx.AsyncClient(base_url=tenant.house.apis[0].url) as app:
        path = ring["state_url"].partition("/v1/")[2]
        answer = await app.post(f"/v1/{path}/accept", headers=bearer(ring["token"]))
        assert answer.status_code == 200, answer.text
    stop = await rung(tenant, other, 2)
    assert (stop["title"], stop["body"]) == ("alice", "Answered on another device")
    assert (stop["tag"], stop["silent"]) == (ring["uuid"], True)
    assert stop["data"]["ring"]["type"] == "stop"
    assert stop["data"]["ring"]["callkit_reason"] == 4
    topics = {push.header("topic") for push in tenant.sim.deliveries(other.id)[-2:]}
    assert len(topics) == 1  # a stop takes the place of a ring that was not fetched
    assert len(rings(tenant, one)) == 1  # who accepted is not told to stop
    story = await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")
    assert "The push service accepts the push to bob" in story.text


async def test_a_push_service_of_http_1_1_alone_is_rung_stopped_and_believed(
    tenant: Tenant,
) -> None:
    old = tenant.sim.connection_fault(environment="webpush", http1=True)
    try:
        await vapid_key(tenant)  # its connections are new ones
        one, other = [await browser(tenant, "bob") for _ in "ab"]
        tenant.sim.fault(token=one.id, times=1, status=503)
        tenant.sim.fault(token=other.id, times=1, close="rst")  # it may have arrived: once more
        call = await tenant.ring("bob", ring_time=60)
        ring = (await rung(tenant, one))["data"]["ring"]
        await rung(tenant, other)
        assert (await tenant.act(call, "accept", "bob", one.device_id)).status_code == 200
        stop = await rung(tenant, other, 2)
        assert (stop["tag"], stop["body"]) == (ring["uuid"], "Answered on another device")
        tenant.sim.web_gone(other.id)
        await tenant.act(call, "end")
        again = await tenant.ring("bob", ring_time=60)
        await rung(tenant, one, 2)

        async def retired() -> bool:
            rows = await tenant.rows("SELECT retired_reason FROM tokens WHERE tenant_id = :tenant")
            return {row["retired_reason"] for row in rows} == {None, "subscription_gone"}

        await eventually(retired)
        await tenant.act(again, "cancel")
        connections = {push.connection for each in (one, other)
                       for push in tenant.sim.arrivals(each.id)}  # fmt: skip
        assert tenant.sim.struck(old) >= len(connections) >= 3  # the API's, and the worker's two
    finally:
        tenant.sim.end_fault(old)


async def test_one_call_rings_every_kind_of_phone_one_answers_and_all_others_stop(
    tenant: Tenant, account: Account
) -> None:
    """Two iPhones, an Android phone, a browser, and an iPhone that may not use CallKit."""
    await vapid_key(tenant)
    await give_account(tenant, account)
    await ring_without_callkit(tenant)
    first, second = [await tenant.phone("bob") for _ in range(2)]
    droid, one = await android(tenant, "bob"), await browser(tenant, "bob")
    _, china = await by_alert(tenant, "bob")
    call = await tenant.ring("bob", ring_time=60)
    for token in (first.voip, second.voip, droid.token, china):
        await tenant.sim.arrived(1, token=token)
    await rung(tenant, one)
    assert (await tenant.act(call, "accept", "bob", first.device_id)).status_code == 200
    [stop] = await tenant.sim.arrived(1, token=str(second.alert))
    assert stop.payload["ring"]["callkit_reason"] == 4
    stopped = (await tenant.sim.arrived(2, token=droid.token))[1]
    assert data_of(stopped)["ring_callkit_reason"] == "4"
    assert (await rung(tenant, one, 2))["body"] == "Answered on another device"
    last = (await tenant.sim.arrived(2, token=china))[1]
    assert last.payload["ring"]["type"] == "answered_elsewhere"
    assert not tenant.sim.arrivals(str(first.alert))
    story = (await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")).text
    for service in ("Apple", "Google", "The push service"):
        assert f"{service} accepts the push to bob" in story


async def test_a_browser_says_the_tenants_words_and_is_told_of_what_does_not_ring(
    tenant: Tenant,
) -> None:
    words = {
        "activation": {"title": "Bereit"}, "ring": {"title": "{{caller_label}}", "body": "Anruf"},
        "missed": {"title": "Verpasst", "body": "{{caller_label}}"}, "ended": {"title": "Vorbei"},
        "notify": {"title": "{{call_label}}", "body": "Es wird gesprochen"},
    }  # fmt: skip
    of_meeting = await tenant.api.put(
        "/v1/settings", json={"notifications": {"meeting": {"activation": {"title": "Bereit"}}}}
    )
    assert (of_meeting.status_code, of_meeting.json()["code"]) == (422, "invalid_template")
    said = await tenant.api.put("/v1/settings", json={"notifications": {"default": words}})
    assert said.status_code == 200, said.text
    await vapid_key(tenant)
    one = await browser(tenant, "bob")
    assert notification(tenant.sim.deliveries(one.id)[0])["title"] == "Bereit"
    call = await tenant.ring("bob", ring_time=30)
    shown = await rung(tenant, one)
    assert (shown["title"], shown["body"]) == ("alice", "Anruf")
    assert shown["data"]["ring"]["token"].startswith("rl_ct_")
    # that it was missed takes the place of its stop, and of its ring if that was not fetched
    assert (await tenant.act(call, "cancel")).status_code == 200
    missed = await rung(tenant, one, 2)
    assert (missed["title"], missed["body"], missed["tag"]) == ("Verpasst", "alice", shown["tag"])
    assert missed["data"]["ring"]["callkit_reason"] == 3
    ring, end = tenant.sim.deliveries(one.id)[-2:]
    assert ring.header("topic") == end.header("topic")
    assert int(end.header("ttl") or 0) > 80_000
    other = await tenant.ring("bob", ring_time=30, mode="notify")
    told = await rung(tenant, one, 3)
    assert (told["body"], told["data"]["ring"]["type"]) == ("Es wird gesprochen", "notify")
    assert "token" not in told["data"]["ring"]
    await tenant.act(other, "cancel")
    meeting = await tenant.ring("bob", ring_time=30, type="meeting")  # nothing is said of these
    assert (await rung(tenant, one, 4))["body"] == "Incoming call"
    await tenant.act(meeting, "cancel")
    assert (await rung(tenant, one, 5))["body"] == "Call ended"
    purposes = await tenant.rows("SELECT purpose FROM pushes WHERE tenant_id = :tenant")
    assert sorted(row["purpose"] for row in purposes) == [
        "missed", "notify", "ring", "ring", "stop",
    ]  # fmt: skip


@pytest.mark.parametrize("answer", ["gone", "forgotten"])
async def test_a_subscription_that_is_gone_is_retired(tenant: Tenant, answer: str) -> None:
    await vapid_key(tenant)
    one = await browser(tenant, "bob")
    act = tenant.sim.web_gone if answer == "gone" else tenant.sim.web_forget
    act(one.id)
    call = await tenant.ring("bob")
    await tenant.becomes(call, "bob", "unreachable")
    [row] = await tenant.rows("SELECT * FROM tokens WHERE tenant_id = :tenant")
    assert row["retired_reason"] == "subscription_gone"
    anew = await subscribed(tenant, "bob")
    anew.device_id = one.device_id
    await register(tenant, anew)
    await activate(tenant, anew)
    await rung(tenant, anew)  # the call rings on for a device that may come


async def test_a_subscription_moves_to_whoever_registers_it_and_goes_with_its_user(
    tenant: Tenant,
) -> None:
    await vapid_key(tenant)
    one = await browser(tenant, "bob")
    await tenant.ring("bob")
    await rung(tenant, one)
    moved = Browser("carol", "carols", one.subscription, one.key)
    await register(tenant, moved)
    stop = await rung(tenant, one, 2)  # bob's ring is not carol's
    assert stop["data"]["ring"]["type"] == "stop"
    assert member(await tenant.ring("bob"), "bob")["state"] == "unreachable"
    await tenant.ring("carol")
    await rung(tenant, moved, 3)
    body = {"token": one.subscription["endpoint"], "user_id": "carol"}
    gone = await tenant.api.post("/v1/devices/unregister", json=body)
    assert gone.status_code == 204, gone.text
    assert await tenant.rows("SELECT 1 FROM tokens WHERE tenant_id = :tenant") == []
    again = await browser(tenant, "dora")
    assert (await tenant.api.delete("/v1/users/dora")).status_code == 204
    assert member(await tenant.ring("dora"), "dora")["state"] == "unreachable"
    assert not rings(tenant, again)


async def test_a_subscription_that_is_not_registered_again_in_time_rings_no_more(
    tenant: Tenant,
) -> None:
    await vapid_key(tenant)
    one = await browser(tenant, "bob")
    await tenant.execute(
        "UPDATE tokens SET expires_at = now() - interval '1 second' WHERE tenant_id = :tenant",
        tenant=tenant.id,
    )
    assert member(await tenant.ring("bob"), "bob")["state"] == "unreachable"
    await register(tenant, one)  # it has shown once that its pushes arrive
    await rung(tenant, one)


async def test_an_endpoint_that_is_private_as_it_is_written_is_refused(tenant: Tenant) -> None:
    settings = tenant.runtime.settings.model_copy(update={"webpush_allow_private": False})
    guarded = replace(tenant.runtime, settings=settings)
    for host in ("localhost", "10.0.0.7", "[::1]", "169.254.169.254"):
        subscription = SUBSCRIPTION | {"endpoint": f"https://{host}/push"}
        token = {"kind": "webpush", "app_id": ORIGIN, "subscription": subscription}
        request = DeviceIn.model_validate({"user_id": "bob", "tokens": [token]})
        with pytest.raises(Invalid, match="leads to a private network"):
            await activation.with_keys(guarded, tenant.id, request)


async def test_an_endpoint_has_one_owner_whatever_its_keys(tenant: Tenant) -> None:
    """A browser that has lost its keys may be given the same endpoint with others."""
    await vapid_key(tenant)
    one = await browser(tenant, "bob")
    other = await subscribed(tenant, "carol")
    other.subscription = other.subscription | {"endpoint": one.subscription["endpoint"]}
    device = await register(tenant, other)
    assert device["warnings"][0]["code"] == "activation_failed"  # it cannot open what is sealed
    rows = await tenant.rows("SELECT user_id FROM tokens WHERE tenant_id = :tenant")
    assert [row["user_id"] for row in rows] == ["carol"]
    assert member(await tenant.ring("bob"), "bob")["state"] == "unreachable"


async def test_a_new_vapid_key_strands_nobody(tenant: Tenant) -> None:
    first = await vapid_key(tenant)
    assert (first["state"], first["health"], first["kind"]) == ("active", "working", "vapid")
    early = await browser(tenant, "bob")
    second = await vapid_key(tenant)
    late = await browser(tenant, "bob")
    assert (early.key, late.key) == (first["key_id"], second["key_id"])
    states = {
        one["id"]: one["state"]
        for one in (await tenant.api.get("/v1/credentials")).json()["credentials"]
        if one["kind"] == "vapid"
    }
    assert states == {first["id"]: "standby", second["id"]: "active"}
    await tenant.ring("bob")
    await rung(tenant, early)
    await rung(tenant, late)
    path = f"/v1/credentials/{first['id']}"
    refused = await tenant.api.post(f"{path}/retire")
    assert (refused.status_code, refused.json()["code"]) == (409, "key_in_use")
    assert "1 browser subscribed" in refused.json()["detail"]
    assert (await tenant.api.delete(path)).json()["code"] == "key_in_use"
    retired = await tenant.api.post(f"{path}/retire", json={"confirm": True})
    assert retired.json()["state"] == "retired"
    call = await tenant.ring("bob")
    await rung(tenant, late, 2)

    async def refused_one() -> list[Any]:
        return await tenant.rows(
            "SELECT 1 FROM pushes WHERE tenant_id = :tenant AND session_id = :session "
            "AND reason = 'no_credential'", session=call["session_id"],
        )  # fmt: skip

    await eventually(refused_one)
    assert len(rings(tenant, early)) == 1
    early.user = "eve"
    body = {"user_id": "eve", "tokens": [early.token]}
    answer = await tenant.api.post("/v1/devices", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_vapid_key")
    assert answer.json()["errors"][0]["field"] == "tokens.0.application_server_key"


async def test_a_device_of_two_addresses_is_rung_once_by_the_best_that_is_not_refused(
    tenant: Tenant, account: Account
) -> None:
    chance = dice()
    await vapid_key(tenant)
    await give_account(tenant, account)
    devices: list[tuple[str, Browser]] = []
    for n in range(often(16, 1_000)):
        if n % 2:
            best = registration_token()
            tenant.sim.fcm_live(best, project=PROJECT)
            token = {"kind": "fcm", "token": best, "app_id": PACKAGE}
        else:
            best = secrets.token_hex(32)
            tenant.sim.live(best, topic=f"{BUNDLE}.voip")
            token = {"kind": "voip", "token": best, "app_id": BUNDLE}
        devices.append((best, await browser(tenant, f"u{n}", token)))
    refused = [(chance.random() < 0.5, chance.random() < 0.3) for _ in devices]
    for n, ((best, one), (first, second)) in enumerate(zip(devices, refused, strict=True)):
        gone: dict[str, Any] = (
            {"status": 404, "reason": "UNREGISTERED"} if n % 2
            else {"status": 410, "reason": "Unregistered", "timestamp": 1}
        )  # fmt: skip
        if first:
            tenant.sim.fault(token=best, times=1, **gone)
        if second:
            tenant.sim.fault(token=one.id, times=1, status=410, reason="Gone")
    before = max(one.number for one in tenant.sim.arrivals())
    for at in range(0, len(devices), 8):
        await tenant.ring(*(one.user for _, one in devices[at : at + 8]), ring_time=180)
    expected = [
        (0, 0) if first and second else (0, 1) if first else (1, 0) for first, second in refused
    ]

    async def as_expected() -> bool:
        given = Counter(one.token for one in tenant.sim.arrivals(after=before) if one.delivered)
        return [(given[best.lower()], given[one.id]) for best, one in devices] == expected

    await eventually(as_expected, timeout=often(60, 120), every=often(1, 10) / 20)
    rows = await tenant.rows(
        "SELECT count(*) AS n FROM pushes WHERE tenant_id = :tenant AND purpose = 'ring'"
    )
    assert rows[0]["n"] == len(devices) + sum(first for first, _ in refused)


async def test_a_key_made_by_command_rings_tests_and_probes(tenant: Tenant) -> None:
    made = json.loads(
        await ringline(
            tenant, "credential", "vapid", ORIGIN, "--tenant", str(tenant.id),
            "--subject", "https://example.com/contact", "--json",
        )
    )  # fmt: skip
    assert (made["kind"], made["subject"]) == ("vapid", "https://example.com/contact")
    one = await browser(tenant, "bob")
    body = {"user_id": "bob"}
    [tried] = (await tenant.api.post("/v1/credentials/test-push", json=body)).json()["devices"]
    assert (tried["says"], tried["status"], tried["credential_id"]) == ("accepted", 201, made["id"])
    assert one.subscription["endpoint"].endswith(tried["token"].removeprefix("..."))
    probed = await tenant.api.post(f"/v1/credentials/{made['id']}/probe")
    assert probed.json()["probe"]["production"]["says"] == "yes"


SUBSCRIPTION = {
    "endpoint": "https://push.example.net/a",
    "keys": {
        "p256dh": (
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        ),
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
}
KEYS = SUBSCRIPTION["keys"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "missing_field"),
    ({"token": "x" * 30}, "missing_field"),
    ({"subscription": SUBSCRIPTION | {"endpoint": "http://push.example.net/"}},
     "invalid_endpoint"),
    ({"subscription": SUBSCRIPTION | {"endpoint": "https://push.example.net/" + "a" * 1_000}},
     "invalid_field"),
    ({"subscription": SUBSCRIPTION | {"keys": KEYS | {"auth": "AAAA"}}}, "invalid_subscription"),
    ({"subscription": SUBSCRIPTION | {"keys": KEYS | {"p256dh": "B" * 87}}},
     "invalid_subscription"),
    ({"subscription": SUBSCRIPTION, "environment": "production"}, "no_environment"),
    ({"subscription": SUBSCRIPTION}, "no_vapid_key"),
    ({"kind": "voip", "token": "ab" * 32, "subscription": SUBSCRIPTION}, "unknown_field"),
]  # fmt: skip


async def test_what_is_no_subscription_and_no_subject_is_refused(tenant: Tenant) -> None:
    for token, code in WRONG:
        body = {"user_id": "bob", "tokens": [{"kind": "webpush", "app_id": ORIGIN, **token}]}
        answer = await tenant.api.post("/v1/devices", json=body)
        assert answer.status_code == 422, token
        assert code in answer.text, token
    for subject in ("", "push@example.com", "mailto:push", "http://example.com"):
        body = {"app_id": ORIGIN, "subject": subject}
        answer = await tenant.api.post("/v1/credentials/vapid", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_subject"), subject
    missing = await tenant.api.get("/v1/web-push/key", params={"app_id": ORIGIN})
    assert (missing.status_code, missing.json()["code"]) == (404, "credential_not_found")
