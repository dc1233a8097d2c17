"""A plain request to ring takes the short way, any other the framework's: both answer the same."""

import asyncio
import json
import re
import uuid
from typing import Any

import httpx

from tests.e2e.house import Tenant, bearer

FRAMEWORK = {"Origin": "https://example.com"}
"""A web page asks: the long way is taken. (No origins are allowed here, so no header is added.)"""

SAME_FOR_ALL = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # ids
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z"  # times
    r"|(?<=\"request_id\":\")[0-9a-f]{32}"
)

BODIES: dict[str, Any] = {
    "good": {"caller": {"id": "alice", "name": "Alice Å"}, "callees": ["bob", "carol"]},
    "all fields": {
        "type": "work", "caller": {"id": "alice", "device_id": "web"}, "callees": ["bob"],
        "video": True, "ring_time": 20, "custom": {"a": [1, 2.5, None, {"b": "ü"}]},
    },
    "names for screens": {
        "title": " Stand\nup ", "caller": {
            "id": "alice", "name": "Alice", "avatar_url": "https://müller.example/ä.png",
            "handle": {"kind": "phone", "value": "+49 30 1234567"},
        },
        "callees": ["bob", {"id": "carol", "name": "Carol", "handle": {"kind": "email", "value": "c@d"}}],
    },
    "a picture by http": {"caller": {"id": "alice", "avatar_url": "http://a.example/"}, "callees": ["bob"]},
    "a handle that is none": {"caller": {"id": "a", "handle": {"kind": "phone", "value": "x"}}, "callees": ["b"]},
    "a wrong one among named ones": {"caller": {"id": "alice"}, "callees": ["", {"id": "bob", "nam": ""}, 5]},
    "loose types": {"caller": {"id": "alice"}, "callees": ["bob"], "video": "true", "ring_time": "9"},
    "number for text": {"caller": {"id": 5}, "callees": ["bob"]},
    "unknown field": {"caller": {"id": "alice"}, "callees": ["bob"], "vidio": True},
    "caller rung": {"caller": {"id": "alice"}, "callees": ["alice"]},
    "too many": {"caller": {"id": "alice"}, "callees": [f"u{n}" for n in range(350)]},
    "no object": [1, 2],
    "huge number": {"caller": {"id": "alice"}, "callees": ["bob"], "custom": {"n": 10**30}},
    "null": None,
    "odd names": {"caller": {"id": "@a/b:c.org", "name": " \x00Ela\u202era\u2028\u00a0"}, "callees": ["o'b|x"]},
    "a dot": {"caller": {"id": "."}, "callees": ["bob"]},
    "1,000 empty": {"caller": {"id": "alice"}, "callees": [""] * 1000},
    "many wrong": {"caller": {"id": "alice"}, "callees": [""] * 500},
    "many fields": {"caller": {"id": "alice"}, "callees": ["bob"]} | {f"f{n}": 1 for n in range(60)},
    "a huge time": {"caller": {"id": "alice"}, "callees": ["bob"], "ring_time": 10**400},
}  # fmt: skip
RAW = {
    "no JSON": b"{nope",
    "empty": b"",
    "not UTF-8": b'{"caller": {"id": "\xff"}}',
    "twice the same key": b'{"caller": {"id": "a"}, "caller": {"id": "b"}, "callees": ["bob"]}',
    "twice in a callee": b'{"caller": {"id": "a"}, "callees": [{"id": "b", "id": "c"}]}',
    "twice in what is passed on": b'{"caller": {"id": "a"}, "callees": ["b"], "custom": {"x": {"y": 1, "y": 2}}}',
    "not a number": b'{"caller": {"id": "alice"}, "callees": ["bob"], "ring_time": NaN}',
    "lone surrogate": b'{"caller": {"id": "alice", "name": "\\ud800"}, "callees": ["bob"]}',
    "a byte order mark": b'\xef\xbb\xbf{"caller": {"id": "alice"}, "callees": ["bob"]}',
}


async def both(
    tenant: Tenant, body: bytes, **headers: str
) -> tuple[httpx.Response, httpx.Response]:
    """The answers of the short and of the long way to the same request."""
    plain = bearer(tenant.key) | {"Content-Type": "application/json"} | headers
    return (
        await tenant.api.post("/v1/calls", content=body, headers=plain),
        await tenant.api.post("/v1/calls", content=body, headers=plain | FRAMEWORK),
    )


def without_chance(answer: httpx.Response) -> tuple[int, str, str]:
    """An answer with every id and time taken out."""
    text = SAME_FOR_ALL.sub("~", answer.text)
    return answer.status_code, answer.headers["content-type"], text


CASES = {name: json.dumps(body).encode() for name, body in BODIES.items()} | RAW


TAKEN = {
    "good", "all fields", "a byte order mark", "lone surrogate", "odd names", "names for screens",
}  # fmt: skip


async def test_bodies(tenant: Tenant) -> None:
    for name, body in CASES.items():
        short, long = await both(tenant, body)
        assert without_chance(short) == without_chance(long), name
        assert short.status_code == (202 if name in TAKEN else 422), name


async def test_who_may_not(tenant: Tenant) -> None:
    for given in ("Bearer rl_sk_unknown", "Bearer nonsense", "Basic abc", "", "Bearer rl_ct_AAAA"):
        short, long = await both(tenant, CASES["good"], Authorization=given)
        assert without_chance(short) == without_chance(long), given
        assert short.status_code in {401, 403}, given
        assert short.headers.get("www-authenticate") == long.headers.get("www-authenticate"), given


async def test_a_user_token_of_a_tenant_whose_users_may_not_ring(tenant: Tenant) -> None:
    token = f"Bearer {tenant.token_for('alice')}"
    short, long = await both(tenant, CASES["good"], Authorization=token)
    assert without_chance(short) == without_chance(long)
    assert short.json()["code"] == "ringing_not_allowed"


async def test_a_bad_idempotency_key(tenant: Tenant) -> None:
    for key in ("k" * 256, "k" * 300):
        short, long = await both(tenant, CASES["good"], **{"Idempotency-Key": key})
        assert without_chance(short) == without_chance(long)
        assert short.json()["code"] == "invalid_idempotency_key"


async def test_a_key_used_on_one_way_is_known_on_the_other(tenant: Tenant) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    short, long = await both(tenant, CASES["good"], **key)
    assert short.status_code == 202
    assert short.json() == long.json()
    reused = await tenant.api.post(
        "/v1/calls",
        content=CASES["all fields"],
        headers=bearer(tenant.key) | {"Content-Type": "application/json"} | key,
    )
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")


async def test_a_live_call_of_another_is_in_the_way_on_both(tenant: Tenant) -> None:
    first = json.dumps({"id": "x", "caller": {"id": "alice"}, "callees": ["bob"]}).encode()
    other = json.dumps({"id": "x", "caller": {"id": "carol"}, "callees": ["bob"]}).encode()
    plain = bearer(tenant.key) | {"Content-Type": "application/json"}
    assert (await tenant.api.post("/v1/calls", content=first, headers=plain)).status_code == 202
    short, long = await both(tenant, other)
    assert without_chance(short) == without_chance(long)
    assert (short.status_code, short.json()["code"]) == (409, "call_in_progress")


async def test_a_body_in_pieces_and_one_that_is_too_large(tenant: Tenant) -> None:
    async def pieces() -> Any:
        for at in range(0, len(CASES["good"]), 20):
            yield CASES["good"][at : at + 20]

    plain = bearer(tenant.key) | {"Content-Type": "application/json"}
    answer = await tenant.api.post("/v1/calls", content=pieces(), headers=plain)
    assert answer.status_code == 202
    large = json.dumps(BODIES["good"] | {"custom": {"a": "x" * 300_000}}).encode()
    short, long = await both(tenant, large)
    assert without_chance(short) == without_chance(long)
    assert short.status_code == 413


HEADERS: tuple[tuple[dict[str, str], int, str | None], ...] = (
    ({"Content-Encoding": "gzip"}, 415, "unsupported_encoding"),
    ({"Content-Encoding": "identity"}, 202, None),
    ({"Content-Range": "bytes 0-1/9"}, 400, "unsupported_header"),
    ({"If-Match": '"x"'}, 400, "unsupported_header"),
    ({"If-None-Match": "*"}, 400, "unsupported_header"),
    ({"X-HTTP-Method-Override": "DELETE"}, 400, "unsupported_header"),
    ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/json; charset=utf-8"}, 202, None),
    ({"Expect": "100-continue", "Range": "bytes=0-1", "Accept": "text/html"}, 202, None),
)


async def test_headers_that_mean_something(tenant: Tenant) -> None:
    for headers, status, code in HEADERS:
        short, long = await both(tenant, CASES["good"], **headers)
        assert without_chance(short) == without_chance(long), headers
        assert (short.status_code, short.json().get("code")) == (status, code), headers


async def test_a_header_given_twice_and_a_parameter(tenant: Tenant) -> None:
    plain = [("Authorization", f"Bearer {tenant.key}"), ("Content-Type", "application/json")]
    keys = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await tenant.api.post("/v1/calls", content=CASES["good"], headers=[*plain, *keys])
    assert (answer.status_code, answer.json()["code"]) == (400, "repeated_header")
    answer = await tenant.api.post("/v1/calls?dry_run=1", content=CASES["good"], headers=plain)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")


async def test_a_transfer_coding_that_is_not_known(tenant: Tenant) -> None:
    """By hand: no client of ours sends one. The chunk is whole and good, as the short way likes."""
    reader, writer = await asyncio.open_connection(
        tenant.api.base_url.host, tenant.api.base_url.port
    )
    body = CASES["good"]
    head = (
        "POST /v1/calls HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {tenant.key}\r\nContent-Type: application/json\r\n"
        f"Transfer-Encoding: gzip, chunked\r\n\r\n{len(body):x}\r\n"
    )
    writer.write(head.encode() + body + b"\r\n0\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert b"unsupported_encoding" in answer
