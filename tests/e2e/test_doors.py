"""Every entry point: names, ids, texts, numbers and cursors that others bring."""

import asyncio
import json
import secrets
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import jwt
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.core.cursor import cursor_of
from app.credentials import service as credentials
from app.credentials.parse import Upload
from tests.e2e.house import BUNDLE, Tenant, bearer, eventually, member

ODD_NAMES = {
    "Elara \U0001f3f3\ufe0f\u200d\u26a7\ufe0f": "Elara \U0001f3f3\ufe0f\u200d\u26a7\ufe0f",
    "അനിവര്‍": "അനിവര്‍",
    "Anne\u00a0Marie": "Anne\u00a0Marie",
    "\u2068Bob\u2069": "\u2068Bob\u2069",
    " a\r\n\tb\x00": "a b",
    "\ud83dBob\u202e": "Bob",
    "": None,
    "\x00\u2028": None,
}
ODD_IDS = [
    "@foo/bar:matrix.org",
    "o'brien@example.com",
    "8:acs:a/b",
    "auth0|5f+7c~",
    "a/tokens",
    "/",
    "user_id",
]
NUL = "a\x00b"


def body_of(value: Any) -> dict[str, Any]:
    """Keyword arguments of a request whose JSON may hold half a surrogate pair."""
    return {
        "content": json.dumps(value, separators=(",", ":")),
        "headers": {"Content-Type": "application/json"},
    }


async def test_a_name_never_refuses_a_ring_or_a_device(tenant: Tenant) -> None:
    for name in ODD_NAMES:
        await name_stands_everywhere(tenant, name)


async def name_stands_everywhere(tenant: Tenant, name: str) -> None:
    tokens = [{"kind": "voip", "token": secrets.token_hex(32), "app_id": BUNDLE}]
    device = {"user_id": "bob", "name": name, "platform": name, "tokens": tokens}
    answer = await tenant.api.post("/v1/devices", **body_of(device))
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == ODD_NAMES[name]
    call = {"caller": {"id": "alice", "name": name}, "callees": ["carol"]}
    answer = await tenant.api.post("/v1/calls", **body_of(call))
    assert answer.status_code == 202, answer.text
    assert answer.json()["caller"]["name"] == ODD_NAMES[name]
    hook = {"url": "https://example.com/hook", "description": name}
    answer = await tenant.api.post("/v1/webhooks", **body_of(hook))
    assert answer.status_code == 201, answer.text
    assert answer.json()["description"] == (ODD_NAMES[name] or "")


async def test_length_is_counted_after_cleaning(tenant: Tenant) -> None:
    call = {"caller": {"id": "alice", "name": " " * 300 + "a" * 200 + "\n" * 300}, "callees": ["b"]}
    assert (await tenant.api.post("/v1/calls", json=call)).status_code == 202


async def test_ids_of_other_systems_at_every_door(tenant: Tenant) -> None:
    for user in ODD_IDS:
        await user_lives_and_is_erased(tenant, user)


async def user_lives_and_is_erased(tenant: Tenant, user: str) -> None:
    part = quote(user, safe="")
    phone = await tenant.phone(user, f"{user}~d")
    call = await tenant.ring(user, caller="@al/ice:x.org")
    assert member(call, user)["state"] == "ringing"
    made = await tenant.api.post(f"/v1/users/{part}/tokens")
    assert made.status_code == 201, made.text
    mine = bearer(made.json()["token"])
    found = await tenant.api.get("/v1/devices", headers=mine)
    assert [one["user_id"] for one in found.json()["devices"]] == [user]
    act = {"device_id": phone.device_id}
    accepted = await tenant.api.post(
        f"/v1/calls/{call['session_id']}/accept", json=act, headers=mine
    )
    assert accepted.status_code == 200, accepted.text
    member_token = bearer(accepted.json()["member_token"])
    left = await tenant.api.post(f"/v1/calls/{call['session_id']}/leave", headers=member_token)
    assert left.status_code == 200, left.text
    there = f"/v1/devices/{quote(phone.device_id, safe='')}"
    assert (await tenant.api.delete(there, headers=mine)).status_code == 204
    assert (await tenant.api.delete(f"/v1/users/{part}")).status_code == 204
    assert (await tenant.api.delete(f"/v1/users/{part}")).json()["code"] == "user_not_found"


async def test_one_app_however_it_is_spelled(tenant: Tenant) -> None:
    for typed in ("COM.Example.App", f"{BUNDLE}.voip", f" {BUNDLE}.voip.voip\n", f"{BUNDLE}.VoIP"):
        await phone_rings(tenant, typed)


async def phone_rings(tenant: Tenant, typed: str) -> None:
    token = secrets.token_hex(32)
    tenant.sim.live(token, topic=f"{BUNDLE}.voip")
    user = f"bob-{secrets.token_hex(3)}"
    device = {"user_id": user, "tokens": [{"kind": "voip", "token": token, "app_id": typed}]}
    for _ in range(2):
        answer = await tenant.api.post("/v1/devices", json=device | {"device_id": "d"})
        assert answer.status_code == 200, answer.text
        assert [one["app_id"] for one in answer.json()["tokens"]] == [BUNDLE]
    settings = {
        "profiles": {typed: "custom"},
        "templates": {typed: {"id": "{{uuid}}", "own": True}},
    }
    answer = await tenant.api.put("/v1/settings", json=settings)
    assert answer.json()["profiles"] == {BUNDLE: "custom"}
    listed = await tenant.api.get("/v1/credentials", params={"app_id": typed})
    assert len(listed.json()["credentials"]) == 1
    call = await tenant.ring(user)

    async def rung() -> Any:
        return tenant.sim.arrivals(token)

    (arrival, *_) = await eventually(rung)
    assert dict(arrival.headers)["apns-topic"] == f"{BUNDLE}.voip"
    assert arrival.payload["own"] is True
    await tenant.act(call, "cancel")


async def test_a_topic_is_spelled_as_apple_has_it(tenant: Tenant) -> None:
    async with tenant.house.runtime() as runtime:
        pem = tenant.sim.voip_certificate("com.Mixed.App").pem
        added = await credentials.add(
            runtime, tenant.id, Upload(data=pem, app_id="com.mixed.APP.voip")
        )
    assert (added.app_id, added.state) == ("com.mixed.app", "active")
    token = secrets.token_hex(32)
    tenant.sim.live(token, topic="com.Mixed.App.voip")
    tokens = [{"kind": "voip", "token": token, "app_id": "com.mixed.app"}]
    await tenant.api.post("/v1/devices", json={"user_id": "mia", "tokens": tokens})
    await tenant.ring("mia")

    async def rung() -> Any:
        return tenant.sim.deliveries(token)

    assert len(await eventually(rung)) == 1


async def test_a_trailing_slash_leads_nowhere_else(tenant: Tenant) -> None:
    for path in ("/v1/calls/", "/v1/devices/", "/v1/webhooks/", "/v1/settings/"):
        answer = await tenant.api.get(path)
        assert answer.status_code in {404, 405}, answer.headers
        assert "location" not in answer.headers


async def test_an_app_that_knows_only_its_token(tenant: Tenant) -> None:
    phone = await tenant.phone("bob")
    body = {"token": phone.voip.upper()}
    there = "/v1/devices/unregister"
    stranger = await tenant.api.post(there, json=body, headers=tenant.as_user("eve"))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "device_not_found")
    assert (await tenant.api.post(there, json=body)).json()["code"] == "missing_field"
    gone = await tenant.api.post(there, json=body, headers=tenant.as_user("bob"))
    assert gone.status_code == 204, gone.text
    assert (await tenant.api.get("/v1/devices?user_id=bob")).json() == {"devices": []}
    again = await tenant.phone("bob")
    answer = await tenant.api.post(there, json={"token": again.alert, "user_id": "bob"})
    assert answer.status_code == 204, answer.text


def claims(tenant: Tenant, **more: Any) -> dict[str, str]:
    said = {"sub": "bob", "exp": int(time.time()) + 60} | more
    return bearer(jwt.encode(said, tenant.secret, "HS256", headers={"kid": tenant.kid}))


async def test_clocks_of_others(tenant: Tenant) -> None:
    now = int(time.time())
    for more, status, says in (
        ({"nbf": now + 2}, 200, ""),
        ({"nbf": now + 50, "iat": now + 50}, 200, ""),
        ({"nbf": now + 100}, 401, "`nbf`"),
        ({"exp": 10**400}, 401, "`exp`"),
        ({"exp": 2**70}, 401, "`exp`"),
        ({"exp": now * 1000}, 401, "milliseconds"),
    ):
        answer = await tenant.api.get("/v1/devices", headers=claims(tenant, **more))
        assert answer.status_code == status, answer.text
        assert says in answer.text


ODD_REQUESTS: list[tuple[str, str, Any]] = [
    ("POST", "/v1/webhooks", {"url": "https://example.com/a\x00b"}),
    ("POST", "/v1/webhooks", {"url": "https://example.com/", "events": ["call.*"] * 9_000}),
    ("GET", "/v1/audit?target=a%00b", None),
    ("GET", "/v1/audit?cursor=%00", None),
    ("GET", f"/v1/audit?limit={10**30}", None),
    ("GET", "/v1/devices?user_id=%00", None),
    ("GET", "/v1/credentials?app_id=%00", None),
    ("DELETE", "/v1/devices/%00?user_id=bob", None),
    ("DELETE", "/v1/users/..%2F..", None),
    ("DELETE", "/v1/users/%2E%2E", None),
    ("DELETE", "/v1/users/%2e", None),
    ("DELETE", "/v1/users/a%FF", None),
    ("POST", "/v1/users/a%00b/tokens", None),
    ("POST", "/v1/users/bob/tokens", {"expires_in": 2**70}),
    ("POST", "/v1/users/bob/tokens", {"expires_in": 10**400}),
    ("GET", "/v1/calls/default:a%00", None),
    ("GET", "/v1/calls/a%2Fb", None),
    ("GET", "/v1/calls/default:a/timeline%00", None),
    ("GET", "/v1/events?user_id=a%00b", None),
    ("POST", "/v1/calls", {"caller": {"id": "a"}, "callees": ["b"], "ring_time": 10**400}),
    ("POST", "/v1/calls", {"caller": {"id": "a"}, "callees": ["b"], "\ud800": 1}),
    ("POST", "/v1/calls", {"caller": {"id": "a"}, "callees": ["b"], "custom": {"\ud800": 1}}),
    ("POST", "/v1/calls", {"caller": {"id": "a"}, "callees": ["b"], "custom": {"n": [float("nan")]}}),
    ("POST", "/v1/calls", {"caller": {"id": "a"}, "callees": ["b"], "custom": {"n": float("inf")}}),
    ("PUT", "/v1/settings", {"templates": {BUNDLE: {"id": "{{uuid}}", "n": float("-inf")}}}),
    ("POST", "/v1/calls", {"caller": {"id": "a"}, "callees": ["b"], "type": "\ud800"}),
    ("POST", "/v1/calls", {"caller": {"id": "a"}, "callees": [""] * 80_000}),
    ("POST", "/v1/calls", {"caller": {"id": "a"}, "callees": ["b"], **{f"f{n}": 1 for n in range(20_000)}}),
    ("POST", "/v1/devices", {"user_id": "bob", "tokens": [{}] * 80_000}),
    ("POST", "/v1/devices", {"user_id": "bob", "tokens": [""] * 60_000}),
    ("POST", "/v1/devices", {"user_id": "bob", "expires_in": 2**70, "tokens": []}),
    ("PUT", "/v1/settings", {"templates": {BUNDLE: {"id": "{{uuid}}", "x": NUL}}}),
    ("PUT", "/v1/settings", {"templates": {BUNDLE: {"id": "{{uuid}}", "\ud800": 1}}}),
    ("PUT", "/v1/settings", {"templates": {BUNDLE: {"id": "{{uuid}}", "n": 2**70}}}),
    ("PUT", "/v1/settings", {"templates": {BUNDLE: json.loads("[" * 300 + "]" * 300)}}),
    ("PUT", "/v1/settings", {"templates": {BUNDLE: {"a": json.loads("[" * 300 + "]" * 300)}}}),
    ("PUT", "/v1/settings", {"call_types": {NUL: {}}}),
    ("PUT", "/v1/settings", {"call_types": {f"t{n}": {} for n in range(5_000)}}),
    ("PUT", "/v1/settings", {"profiles": {NUL: "ringline", "\udfff": "custom"}}),
    ("PUT", "/v1/settings", {"limits": {"\ud800": 1, "ring": 10**400}}),
    ("PUT", "/v1/settings", {"keep_calls_days": 10**400}),
    ("POST", "/v1/credentials/preview", {"file": "\ud800"}),
    ("POST", "/v1/credentials/preview", {"file": "AAAA", "password": "\ud800"}),
    ("POST", "/v1/credentials/preview", {"file": "AAAA", "key_id": "\x00", "team_id": "\ud800"}),
    ("POST", "/v1/credentials/preview", {"file": "AAAA", "environments": ["sandbox"] * 60_000}),
    ("POST", "/v1/credentials/requests", {"app_id": NUL}),
    ("POST", "/v1/credentials/test-push", {"user_id": NUL}),
]  # fmt: skip


async def test_what_nothing_can_hold_is_refused(tenant: Tenant) -> None:
    for method, path, body in ODD_REQUESTS:
        more = {} if body is None else body_of(body)
        answer = await tenant.api.request(method, path, **more)
        about = f"{method} {path} {str(body)[:80]!a}: {answer.text[:300]}"
        assert answer.status_code in {404, 422}, about
        assert answer.json()["code"], about
        assert len(answer.content) < 12_000, about
        assert len(answer.json().get("errors", [])) <= 20, about


async def test_cursors_of_far_years(tenant: Tenant) -> None:
    hook = await tenant.api.post("/v1/webhooks", json={"url": "https://example.com/"})
    there = f"/v1/webhooks/{hook.json()['id']}/deliveries"
    cursors = ["~", "", "2026-01-01T00:00:00+00:00~\x00"]
    for year in ("0001", "9999", "1969"):
        for rest in (
            "-01-01T00:00:00+00:00",
            "-12-31T23:59:59-23:59",
            "-01-01T00:00:00+23:59",
            "-06-01",
        ):
            cursors.append(f"{year}{rest}~x")
    for cursor in cursors:
        answer = await tenant.api.get(there, params={"cursor": cursor})
        assert answer.status_code == 422, cursor
        assert answer.json()["code"] in {"invalid_cursor", "invalid_text"}, cursor
    of = ("deliveries", tenant.id, hook.json()["id"])
    good = cursor_of(datetime(2026, 1, 1, tzinfo=UTC), "x", *of)
    kept = await tenant.api.get(there, params={"cursor": good})
    assert kept.status_code == 200, kept.text


async def said_to(tenant: Tenant, message: str | bytes) -> int | str:
    """What a WebSocket answers to this as its first message: a close code, or text."""
    url = str(tenant.api.base_url).replace("http", "ws") + "/v1/ws"
    async with connect(url, max_size=None) as socket:
        try:
            await socket.send(message)
            return str(await socket.recv())
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 0


ODD_HELLOS: list[dict[str, Any]] = [
    {"last_event_id": 2**63}, {"last_event_id": 10**400}, {"last_event_id": -1}, {"user_id": NUL},
    {"device_id": "\x00"}, {"token": "\x00"}, {"user_id": "\ud800"}, {"x": [[]] * 4_000},
]  # fmt: skip


async def test_a_web_socket_that_says_odd_things(tenant: Tenant) -> None:
    for more in ODD_HELLOS:
        hello = {"type": "authenticate", "token": tenant.key, "user_id": "bob"} | more
        assert await said_to(tenant, json.dumps(hello)) in {4400, 4401, 4422}, more


async def test_a_web_socket_message_of_15_mb(tenant: Tenant) -> None:
    before = time.monotonic()
    assert await said_to(tenant, "x" * 15_000_000) in {1009, 4400}
    assert time.monotonic() - before < 10


async def test_answers_that_carry_secrets_are_kept_by_nobody(tenant: Tenant) -> None:
    for answer in (
        await tenant.api.post("/v1/users/bob/tokens"),
        await tenant.api.post("/v1/webhooks", json={"url": "https://example.com/"}),
    ):
        assert answer.headers["cache-control"] == "no-store"


async def test_a_slow_pattern_holds_nobody_up(tenant: Tenant) -> None:
    """131,000 spaces took 66 s with Python's lock held."""
    text = "A" + " " * 131_000 + "!"
    asked = asyncio.create_task(
        tenant.api.post("/v1/credentials/preview", json={"file": "QQ" + "ICAg" * 40_000 + "IQ=="})
    )
    other = await tenant.api.post("/v1/credentials/preview", json={"file": text})
    answers: list[httpx.Response] = [await asked, other]
    assert {answer.status_code for answer in answers} == {422}
    assert max(answer.elapsed.total_seconds() for answer in answers) < 5


async def test_a_device_that_nothing_can_ring_is_told_at_once(tenant: Tenant) -> None:
    voip = {"kind": "voip", "token": secrets.token_hex(32)}
    for app, warned in ((BUNDLE, []), ("com.example.ap", ["com.example.ap"])):
        body = {"user_id": "bob", "tokens": [voip | {"app_id": app}]}
        answer = await tenant.api.post("/v1/devices", json=body)
        assert answer.status_code == 200, answer.text
        warnings = answer.json()["warnings"]
        assert [one["app_id"] for one in warnings] == warned
        assert all(one["code"] == "no_credential" for one in warnings)
    assert f"there is one for {BUNDLE}" in warnings[0]["detail"]
