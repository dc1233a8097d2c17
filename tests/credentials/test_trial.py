"""The test push: one marked ring of a user's phones, and Apple's answer for each."""

import base64
import secrets

APP = "com.example.app"
TEST = "/v1/credentials/test-push"


async def register(api, device: str, *, environment="production", bundle=APP) -> str:
    token = secrets.token_hex(32)
    body = {
        "user_id": "bob",
        "device_id": device,
        "name": f"bob's {device}",
        "tokens": [{"kind": "voip", "token": token, "app_id": bundle, "environment": environment}],
    }
    answer = await api.post("/v1/devices", json=body)
    assert answer.status_code in {200, 201}, answer.text
    return token


async def add(api, simulator) -> str:
    file = base64.b64encode(simulator.voip_certificate(APP).p12()).decode()
    return (await api.post("/v1/credentials", json={"file": file})).json()["id"]


async def test_each_phone_and_what_apple_says_of_it(api, simulator):
    credential = await add(api, simulator)
    live = await register(api, "phone")
    gone = await register(api, "old-phone")
    wrong = await register(api, "xcode-build", environment="sandbox")
    await register(api, "other-app", bundle="com.example.other")
    simulator.live(live, topic=f"{APP}.voip", environment="production")
    simulator.gone(gone)
    simulator.live(wrong, topic=f"{APP}.voip", environment="production")
    answer = await api.post(TEST, json={"user_id": "bob"})
    assert answer.status_code == 200, answer.text
    said = {one["device_id"]: one for one in answer.json()["devices"]}
    assert said["phone"]["says"] == "accepted"
    assert said["phone"]["status"] == 200
    assert said["phone"]["credential_id"] == credential
    assert said["phone"]["token"] == f"...{live[-4:]}"
    assert said["phone"]["name"] == "bob's phone"
    assert 0 < said["phone"]["milliseconds"] < 5_000
    assert (said["old-phone"]["says"], said["old-phone"]["words"]) == ("refused", "Unregistered")
    assert "removed from the phone" in said["old-phone"]["hint"]
    assert said["xcode-build"]["words"] == "BadDeviceToken"
    assert "other environment" in said["xcode-build"]["hint"]
    assert said["other-app"]["credential_id"] is None
    assert "no credential" in said["other-app"]["words"]


async def test_one_device_gets_one_marked_push_and_nothing_is_stored(api, simulator, query):
    await add(api, simulator)
    one, two = await register(api, "one"), await register(api, "two")
    for token in (one, two):
        simulator.live(token, topic=f"{APP}.voip", environment="production")
    answer = await api.post(TEST, json={"user_id": "bob", "device_id": "one"})
    assert [device["device_id"] for device in answer.json()["devices"]] == ["one"]
    assert simulator.arrivals(two) == []
    (arrival,) = simulator.arrivals(one)
    assert arrival.delivered
    assert arrival.header("apns-expiration") == "0"
    ring = arrival.payload["ring"]
    assert ring["caller"]["name"] == "Ringline test"
    assert ring["custom"] == {"ringline_test": True}
    assert arrival.payload["aps"]["alert"]["call_cid"].startswith("test:")
    assert await query("SELECT id FROM calls") == []
    assert await query("SELECT id FROM pushes") == []
    (line,) = (await api.get("/v1/audit", params={"target": "user:bob"})).json()["audit"]
    assert line["action"] == "credential.test_push"


async def test_nobody_to_ring(api, simulator):
    answer = await api.post(TEST, json={"user_id": "nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "nothing_to_ring")
