"""Bad input: each a problem+json with a stable code, and nothing is stored."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from tests.e2e.house import BUNDLE, Tenant, bearer, new_tenant

TABLES = (
    "calls", "members", "rings", "pushes", "events", "users", "devices", "tokens", "idempotency",
)  # fmt: skip
HEX = "ab" * 32


def token(**changes: Any) -> dict[str, Any]:
    return {"kind": "voip", "token": HEX, "app_id": BUNDLE} | changes


def device(**changes: Any) -> dict[str, Any]:
    return {"user_id": "bob", "device_id": "d1", "tokens": [token()]} | changes


def call(**changes: Any) -> dict[str, Any]:
    return {"caller": {"id": "alice"}, "callees": ["bob"]} | changes


@dataclass(frozen=True)
class Case:
    """A request that must be refused: `auth` makes the header, `body` is JSON or raw bytes."""

    name: str
    path: str
    body: Any
    status: int
    code: str
    auth: Callable[[Tenant], dict[str, str]] = lambda tenant: bearer(tenant.key)
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()


def expired(tenant: Tenant) -> dict[str, str]:
    return bearer(tenant.token_for("bob", expires_in=-5))


def forged(tenant: Tenant) -> dict[str, str]:
    claims = {"sub": "bob", "exp": int(time.time()) + 60}
    return bearer(jwt.encode(claims, "x" * 40, "HS256", headers={"kid": tenant.kid}))


def unsigned(tenant: Tenant) -> dict[str, str]:
    claims = {"sub": "bob", "exp": int(time.time()) + 60}
    return bearer(jwt.encode(claims, "", "none", headers={"kid": tenant.kid}))


def odd_subject(tenant: Tenant) -> dict[str, str]:
    return bearer(tenant.token_for("bob,carol"))


def odd_kid(tenant: Tenant) -> dict[str, str]:
    claims = {"sub": "bob", "exp": int(time.time()) + 60}
    return bearer(jwt.encode(claims, "x" * 40, "HS256", headers={"kid": "a\x00\ud800"}))


DEVICES, CALLS = "/v1/devices", "/v1/calls"
CASES = [
    Case("odd length", DEVICES, device(tokens=[token(token=HEX[:-1])]), 422, "token_odd_length"),
    Case("not hex", DEVICES, device(tokens=[token(token="zz" * 32)]), 422, "token_not_hex"),
    Case("short token", DEVICES, device(tokens=[token(token="ab")]), 422, "token_wrong_length"),
    Case("unknown kind", DEVICES, device(tokens=[token(kind="fax")]), 422, "unknown_kind"),
    Case("environment", DEVICES, device(tokens=[token(environment="x")]), 422, "invalid_field"),
    Case("bundle id", DEVICES, device(tokens=[token(app_id="a b")]), 422, "invalid_app_id"),
    *(
        Case(f"app id {odd}", DEVICES, device(tokens=[token(app_id=odd)]), 422, "invalid_app_id")
        for odd in ("com..x", ".com.x", "com.x.", "https://a..b", "https://a:99999")
    ),
    Case("no token", DEVICES, device(tokens=[]), 422, "no_tokens"),
    Case("two of a kind", DEVICES, device(tokens=[token(), token(token="cd" * 32)]), 422,
         "duplicate_token"),
    Case("expiry of 299 s", DEVICES, device(expires_in=299), 422, "expiry_out_of_bounds"),
    Case("expiry of 181 days", DEVICES, device(expires_in=181 * 86400), 422,
         "expiry_out_of_bounds"),
    Case("user id with a comma", DEVICES, device(user_id="a,b"), 422, "invalid_user_id"),
    Case("reserved device id", DEVICES, device(device_id="server"), 422, "invalid_device_id"),
    Case("key without a user", DEVICES, {"tokens": [token()]}, 422, "missing_field"),
    Case("type with a colon", CALLS, call(type="a:b"), 422, "invalid_call_type"),
    Case("id with a space", CALLS, call(id="a b"), 422, "invalid_id"),
    Case("callee with a comma", CALLS, call(callees=["a,b"]), 422, "invalid_user_id"),
    Case("no callees", CALLS, call(callees=[]), 422, "no_callees"),
    Case("1,000 callees", CALLS, call(callees=[f"u{n}" for n in range(1000)]), 422,
         "too_many_members"),
    Case("350 callees", CALLS, call(callees=[f"u{n}" for n in range(350)]), 422,
         "too_many_members"),
    Case("callee twice", CALLS, call(callees=["bob", "bob"]), 422, "duplicate_callee"),
    Case("caller among callees", CALLS, call(callees=["bob", "alice"]), 422,
         "caller_among_callees"),
    Case("no caller", CALLS, {"callees": ["bob"]}, 422, "missing_field"),
    Case("ring time of 4 s", CALLS, call(ring_time=4), 422, "ring_time_out_of_bounds"),
    Case("ring time of 181 s", CALLS, call(ring_time=181), 422, "ring_time_out_of_bounds"),
    Case("ring time is no number", CALLS, b'{"caller":{"id":"a"},"callees":["b"],"ring_time":NaN}',
         422, "ring_time_out_of_bounds"),
    Case("unknown field", CALLS, call(ringtime=30), 422, "unknown_field"),
    Case("custom too large", CALLS, call(custom={"a": "x" * 3000}), 422, "custom_too_large"),
    Case("NUL in custom", CALLS, call(custom={"a": "x\0"}), 422, "invalid_custom"),
    Case("half a surrogate pair", CALLS,
         b'{"caller":{"id":"a"},"callees":["b"],"custom":{"a":"\\ud800"}}', 422, "invalid_custom"),
    Case("huge number", CALLS, call(custom={"a": 10**30}), 422, "invalid_custom"),
    Case("name of 201 characters", CALLS, call(caller={"id": "alice", "name": "a" * 201}), 422,
         "invalid_field"),
    Case("not JSON", CALLS, b'{"caller"', 422, "invalid_json"),
    Case("invalid UTF-8", CALLS, b'{"caller":{"id":"\xff"},"callees":["b"]}', 422, "invalid_json"),
    Case("too deep", CALLS, b'{"custom":' + b"[" * 100_000, 422, "invalid_json"),
    Case("not an object", CALLS, b"[]", 422, "invalid_field"),
    Case("no body", CALLS, b"", 422, "missing_field"),
    Case("10 MB", CALLS, b'{"id":"' + b"a" * 10_000_000, 413, "body_too_large"),
    Case("empty key", CALLS, call(), 422, "invalid_idempotency_key",
         headers=(("Idempotency-Key", ""),)),
    Case("key of 256 characters", CALLS, call(), 422, "invalid_idempotency_key",
         headers=(("Idempotency-Key", "k" * 256),)),
    Case("no key", CALLS, call(), 401, "missing_credential", auth=lambda _: {"Authorization": ""}),
    Case("unknown key", CALLS, call(), 401, "invalid_api_key", auth=lambda _: bearer("rl_sk_x")),
    Case("no JWT", CALLS, call(), 401, "invalid_token", auth=lambda _: bearer("x.y.z")),
    Case("expired user token", DEVICES, device(), 401, "expired_token", auth=expired),
    Case("forged user token", DEVICES, device(), 401, "invalid_token", auth=forged),
    Case("unsigned user token", DEVICES, device(), 401, "invalid_token", auth=unsigned),
    Case("odd subject", DEVICES, device(user_id=None), 401, "invalid_token", auth=odd_subject),
    Case("odd kid", DEVICES, device(), 401, "invalid_token", auth=odd_kid),
    Case("call token of nobody", CALLS, call(), 401, "invalid_token",
         auth=lambda _: bearer("rl_ct_AAAA")),
    Case("user token for another", DEVICES, device(user_id="carol"), 403, "wrong_user",
         auth=lambda tenant: tenant.as_user("bob")),
    Case("user token erases another", "/v1/users/carol", None, 403, "wrong_user",
         auth=lambda tenant: tenant.as_user("bob"), method="DELETE"),
    Case("user token rings as another", CALLS, call(), 403, "wrong_user",
         auth=lambda tenant: tenant.as_user("bob")),
    Case("users may not ring", CALLS, call(caller={"id": "bob"}, callees=["eve"]), 403,
         "ringing_not_allowed", auth=lambda tenant: tenant.as_user("bob")),
    Case("user token makes tokens", "/v1/users/bob/tokens", {}, 403, "not_allowed",
         auth=lambda tenant: tenant.as_user("bob")),
    Case("no such call", f"{CALLS}/default:nope/accept", {"user_id": "bob"}, 404, "call_not_found"),
    Case("NUL in a reference", f"{CALLS}/default:%00/accept", {"user_id": "bob"}, 404, "call_not_found"),
    Case("no reference", f"{CALLS}/what", None, 404, "call_not_found", method="GET"),
    Case("no such device", f"{DEVICES}/d9?user_id=bob", None, 404, "device_not_found",
         method="DELETE"),
    Case("no such user", "/v1/users/nobody", None, 404, "user_not_found", method="DELETE"),
    Case("no such path", "/v1/nothing", None, 404, "not_found", method="GET"),
    Case("no such method", CALLS, None, 405, "method_not_allowed", method="PATCH"),
    Case("figure out of bounds", "/v1/settings", {"limits": {"ring": 4}}, 422,
         "limit_out_of_bounds", method="PUT"),
    Case("figure that is no number", "/v1/settings", b'{"limits":{"ring":NaN}}', 422,
         "limit_out_of_bounds", method="PUT"),
    Case("half a member", "/v1/settings", {"call_types": {"a": {"members": 2.5}}}, 422,
         "limit_out_of_bounds", method="PUT"),
    Case("unknown figure", "/v1/settings", {"limits": {"rings": 4}}, 422, "unknown_limit",
         method="PUT"),
    Case("limits that disagree", "/v1/settings", {"call_types": {"a": {"away": 200}}}, 422,
         "limits_disagree", method="PUT"),
    Case("unknown profile", "/v1/settings", {"profiles": {BUNDLE: "x"}}, 422, "unknown_profile",
         method="PUT"),
    Case("custom without template", "/v1/settings", {"profiles": {BUNDLE: "custom"}}, 422,
         "missing_template", method="PUT"),
    Case("unknown setting", "/v1/settings", {"colour": 1}, 422, "unknown_field", method="PUT"),
]  # fmt: skip


async def counts(tenant: Tenant) -> dict[str, int]:
    """Of this tenant alone: rings of other tests run out meanwhile."""
    each = (f"(SELECT count(*) FROM {name} WHERE tenant_id = :tenant) AS {name}" for name in TABLES)
    sql = ", ".join(each)
    (row,) = await tenant.rows(f"SELECT {sql}")
    return row


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_bad_input_is_a_problem_and_stores_nothing(tenant: Tenant) -> None:
    before = await counts(tenant)
    for case in CASES:
        print(case.name)  # the last one is it that failed
        content = case.body if isinstance(case.body, bytes) else None
        headers = {"Content-Type": "application/json"} | case.auth(tenant) | dict(case.headers)
        if content is None and case.body is not None:
            content = json.dumps(case.body).encode()
        answer = await tenant.api.request(case.method, case.path, content=content, headers=headers)
        problem = assert_problem(answer, case.status, case.code)
        assert HEX not in json.dumps(problem), "an error repeats no token"
        if case.status == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert await counts(tenant) == before, case.name


async def test_a_large_body_of_unknown_length_is_cut_off(tenant: Tenant) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    json_of = {"Content-Type": "application/json"}
    answer = await tenant.api.post(CALLS, content=endless(), headers=json_of)
    assert_problem(answer, 413, "body_too_large")


async def test_nothing_crosses_tenants(tenant: Tenant) -> None:
    await tenant.phone("bob", "d1")
    made = await tenant.ring("bob", id="mine")
    async with new_tenant(tenant.house) as other:
        for reference in (made["session_id"], made["cid"]):
            assert_problem(await other.api.get(f"{CALLS}/{reference}"), 404, "call_not_found")
            for action in ("accept", "decline", "cancel", "leave", "end", "heartbeat", "join"):
                answer = await other.api.post(
                    f"{CALLS}/{reference}/{action}", json={"user_id": "bob", "device_id": "d1"}
                )
                assert_problem(answer, 404, "call_not_found")
        assert (await other.api.get(f"{DEVICES}?user_id=bob")).json() == {"devices": []}
        answer = await other.api.delete(f"{DEVICES}/d1?user_id=bob")
        assert_problem(answer, 404, "device_not_found")
        assert_problem(await other.api.delete("/v1/users/bob"), 404, "user_not_found")
        crossed = await tenant.api.get(DEVICES, headers=other.as_user("bob"))
        assert crossed.json() == {"devices": []}, "a user token names its own tenant"
        theirs = await other.ring("bob", id="mine")
        assert theirs["session_id"] != made["session_id"], "the same cid is another call"
    assert (await tenant.read(made))["state"] == "ringing"
    stranger = await tenant.api.get(f"{CALLS}/{made['session_id']}", headers=tenant.as_user("eve"))
    assert_problem(stranger, 404, "call_not_found")
    stranger = await tenant.api.post(
        f"{CALLS}/{made['session_id']}/accept",
        json={"device_id": "x"},
        headers=tenant.as_user("eve"),
    )
    assert_problem(stranger, 404, "call_not_found")


async def test_settings_take_effect_on_calls_that_begin_later(tenant: Tenant) -> None:
    changed = await tenant.api.put(
        "/v1/settings",
        json={"limits": {"ring": 10}, "call_types": {"urgent": {"ring": 20, "members": 2}}},
    )
    assert changed.status_code == 200
    assert changed.json()["limits"] == {"ring": 10}
    assert (await tenant.api.get("/v1/settings")).json() == changed.json()
    await asyncio.sleep(1.1)  # for so long a process trusts what it has read of a key

    async def rings_for(**more: Any) -> float:
        made = await tenant.ring("bob", **more)
        (row,) = await tenant.rows(
            "SELECT extract(epoch FROM deadline - created_at)::float AS s FROM rings "
            "WHERE session_id = :id",
            id=made["session_id"],
        )
        seconds: float = row["s"]
        return seconds

    assert await rings_for() == 10
    assert await rings_for(type="urgent") == 20
    assert await rings_for(type="urgent", ring_time=60) == 60
    crowd = await tenant.api.post(CALLS, json=call(type="urgent", callees=["bob", "carol"]))
    assert_problem(crowd, 422, "too_many_members")
