"""What nobody here would read is refused by every operation, and named."""

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.api.openapi import OF_NOBODY
from app.http.unread import HARMLESS, header_fault, repeated_member
from clients.generator.document import openapi
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.declared import declared
from tests.e2e.house import bearer
from tests.tenants.test_revocations import made

JSON = {"Content-Type": "application/json"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, a path, what the OpenAPI says) of each operation but the health pages."""
    for path, methods in openapi()["paths"].items():
        for method, said in methods.items():
            if path.startswith("/v1/"):
                yield method.upper(), re.sub(r"{[^}]+}", "x", path), said


async def asked(site: Site) -> httpx.AsyncClient:
    _, api = await made(site)
    api.event_hooks["response"].append(declared)
    return api


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def test_a_parameter_that_there_is_none_of(site: Site) -> None:
    api = await asked(site)
    stranger = await site.visitor()
    done = 0
    for method, path, said in operations():
        known = [one["name"] for one in said.get("parameters", ()) if one["in"] == "query"]
        answer = await api.request(method, path, params={"colour": "red"})
        assert code_of(answer) == (422, "unknown_parameter"), (method, path, answer.text)
        (fault,) = answer.json()["errors"]
        assert fault["field"] == "colour"
        assert set(re.findall(r"`(\w+)`", fault["detail"])) == set(known)
        unknown = await stranger.request(method, path, params={"colour": "red"})
        first = said["operationId"] in OF_NOBODY
        assert unknown.status_code == (422 if first else 401), (method, path, unknown.text)
        for name in known:
            twice = await api.request(method, path, params=[(name, "1"), (name, "2")])
            assert code_of(twice) == (422, "repeated_parameter"), (method, path, name)
        done += 1
    assert done > 50


async def test_the_nearest_is_named_and_all_that_is_wrong_is_told(site: Site) -> None:
    api = await asked(site)
    query = {"stat": "ended", "userid": "bob", "x\x00": "1", "y" * 5_000: ""}
    answer = await api.get("/v1/calls", params=query)
    told = {one["field"]: one["detail"] for one in answer.json()["errors"]}
    assert "did you mean `state`?" in told["stat"]
    assert "did you mean `user_id`?" in told["userid"]
    assert "did you mean" not in told["y" * 200]
    assert len(told) == 4
    assert len(answer.content) < 4_000
    many = await api.get("/v1/calls", params={f"p{n}": 1 for n in range(1_000)})
    assert len(many.json()["errors"]) == 20


async def test_pages_and_what_monitors_ask_are_left_alone(site: Site) -> None:
    visitor = await site.visitor()
    for path in ("/healthz", "/dashboard/sign-in", "/docs", "/openapi.json", "/metrics"):
        packed = {"Content-Encoding": "gzip", "If-Match": "x"}
        answer = await visitor.get(path, params={"nocache": "1"}, headers=packed)
        assert answer.status_code == 200, path


async def test_a_body_that_is_packed_or_of_another_kind(site: Site) -> None:
    api = await asked(site)
    ring = json.dumps({"caller": {"id": "alice"}, "callees": ["bob"]}).encode()
    for method, path, said in operations():
        if "requestBody" not in said:
            continue
        answer = await api.request(
            method, path, content=gzip.compress(ring), headers=JSON | {"Content-Encoding": "gzip"}
        )
        assert code_of(answer) == (415, "unsupported_encoding"), (method, path)
        assert answer.headers["accept-encoding"] == "identity"
        assert "Content-Encoding" in answer.json()["detail"]
        other = await api.request(
            method, path, content=ring, headers={"Content-Type": "text/plain"}
        )
        assert code_of(other) == (415, "unsupported_media_type"), (method, path)
        assert other.headers["accept"] == "application/json"
        assert "accept-encoding" not in other.headers
    taken = await api.post(
        "/v1/calls", content=ring, headers=JSON | {"Content-Encoding": "identity"}
    )
    assert taken.status_code == 202


async def test_a_body_that_no_operation_reads(site: Site) -> None:
    api = await asked(site)
    done = 0
    for method, path, said in operations():
        if "requestBody" in said or said["operationId"] == "stream_events":
            continue
        answer = await api.request(method, path, json={"state": "ended"})
        assert code_of(answer) == (422, "unexpected_body"), (method, path, answer.text)
        for nothing in (b"", b"{}", b" {} ", b"null"):
            answer = await api.request(method, path, content=nothing, headers=JSON)
            assert answer.json().get("code") != "unexpected_body" if answer.content else True
        done += 1
    assert done > 30


async def test_a_body_of_a_stream_is_refused_and_an_empty_one_is_none(site: Site) -> None:
    api = await asked(site)
    answer = await api.request("GET", "/v1/events", params={"user_id": "bob"}, json={"a": 1})
    assert code_of(answer) == (422, "unexpected_body")


async def test_a_key_to_repeat_by_where_it_is_not_heeded(site: Site) -> None:
    api = await asked(site)
    keyed = {"Idempotency-Key": "k"}
    refused = []
    for method, path, said in operations():
        if method != "POST":
            continue
        answer = await api.post(path, headers=keyed)
        if code_of(answer) == (400, "unsupported_header"):
            assert said["tags"][0] not in HARMLESS
            refused.append(said["operationId"])
        else:
            assert said["tags"][0] in HARMLESS, (path, answer.text)
    assert {"create_webhook", "add_credential", "create_signing_secret"} <= set(refused)


async def test_a_name_twice_in_one_object(site: Site) -> None:
    api = await asked(site)
    head = {"Content-Type": "application/json; charset=UTF-8"}
    for body, field in (
        (b'{"stopped": true, "stopped": false}', "stopped"),
        (b'{"stopped": true, "x": {"y": 1, "y": 1}}', "y"),
    ):
        answer = await api.put("/v1/settings/ringing", content=body, headers=head)
        assert code_of(answer) == (422, "duplicate_field")
        assert answer.json()["errors"][0]["field"] == field
    read = await api.get("/v1/settings/ringing")
    assert read.json() == {"stopped_at": None}


def test_of_two_the_name_is_found_wherever_it_stands() -> None:
    assert repeated_member(b'{"a": 1, "b": [{"a": 1}, {"c": 1, "\\u0063": 2}]}') == "c"
    for plain in (b'{"a": {"a": {"a": 1}}}', b"[1]", b"", b"{", b'"\xff"', b"[" * 100_000):
        assert repeated_member(plain) is None


@pytest.mark.parametrize(
    ("method", "headers", "code"),
    [
        ("GET", {}, None),
        ("GET", {"accept": "text/html", "range": "bytes=0-1", "if-none-match": '"x"'}, None),
        ("POST", {"content-length": "2", "content-type": "application/json"}, None),
        ("POST", {"content-length": "2", "content-type": "Application/JSON; charset=utf8"}, None),
        ("POST", {"content-length": "2", "content-type": 'application/json;charset="UTF-8"'}, None),
        ("PATCH", {"content-length": "2", "content-type": "application/merge-patch+json"}, None),
        ("POST", {"content-length": "0", "content-type": "text/plain"}, None),
        ("POST", {"transfer-encoding": "chunked", "content-type": "application/json"}, None),
        ("POST", {"content-length": "2"}, "unsupported_media_type"),
        ("POST", {"transfer-encoding": "chunked"}, "unsupported_media_type"),
        ("POST", {"content-length": "2", "content-type": "json"}, "unsupported_media_type"),
        ("POST", {"content-length": "2", "content-type": "text/json"}, "unsupported_media_type"),
        ("POST", {"content-length": "2", "content-type": "application/jsonp"}, "unsupported_media_type"),
        ("PUT", {"content-length": "2", "content-type": "application/json; charset=utf-16"},
         "unsupported_media_type"),
        ("PUT", {"content-length": "2", "content-type": "application/json; charset=latin-1"},
         "unsupported_media_type"),
        ("POST", {"content-encoding": "gzip"}, "unsupported_encoding"),
        ("POST", {"content-encoding": "identity, br"}, "unsupported_encoding"),
        ("POST", {"content-encoding": " Identity "}, None),
        ("POST", {"transfer-encoding": "gzip, chunked"}, "unsupported_encoding"),
        ("PUT", {"content-range": "bytes 0-1/9"}, "unsupported_header"),
        ("PUT", {"if-match": '"x"'}, "unsupported_header"),
        ("PUT", {"if-none-match": "*"}, "unsupported_header"),
        ("DELETE", {"if-none-match": '"x"'}, "unsupported_header"),
        ("POST", {"x-http-method-override": "DELETE"}, "unsupported_header"),
    ],
)  # fmt: skip
def test_headers(method: str, headers: dict[str, str], code: str | None) -> None:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    fault = header_fault({"type": "http", "method": method, "headers": pairs})
    assert (fault and fault.code) == code
    if fault is not None and "content-type" not in headers:
        assert fault.detail.lower().startswith((*headers, "content-type"))


@pytest.mark.parametrize(
    "name", ["authorization", "content-type", "host", "idempotency-key", "last-event-id"]
)
def test_a_header_twice(name: str) -> None:
    for second, code in ((b"application/json", None), (b"other", "repeated_header")):
        pairs = [(name.encode(), b"application/json"), (name.encode(), second)]
        fault = header_fault({"type": "http", "method": "POST", "headers": pairs})
        assert (fault and fault.code) == code


async def test_two_keys_are_nobodys(site: Site) -> None:
    tenant, _ = await made(site)
    visitor = await site.visitor()
    for first, second in ((tenant.api_key, "rl_sk_other"), ("rl_sk_other", tenant.api_key)):
        pairs = [*bearer(first).items(), *bearer(second).items()]
        answer = await visitor.get("/v1/settings", headers=pairs)
        assert code_of(answer) == (400, "repeated_header")
        assert tenant.api_key not in answer.text


async def test_a_path_that_there_is_none_of_says_why(site: Site) -> None:
    api = await asked(site)
    for path, says in (
        ("/v1/calls/", "without the slash"),
        ("/v1/nothing/", "/docs"),
        ("/v1/x", "/docs"),
    ):
        answer = await api.get(path)
        assert code_of(answer) == (404, "not_found")
        assert says in answer.json()["detail"]
    answer = await api.patch("/v1/calls")
    assert answer.status_code == 405
    assert answer.json()["detail"].endswith("GET, HEAD, POST")


async def test_json_is_utf_8_whatever_python_reads(site: Site) -> None:
    api = await asked(site)
    ring = json.dumps({"caller": {"id": "alice"}, "callees": ["bob"]})
    for charset, code in (("utf-16", 422), ("utf-32-le", 422), ("utf-8-sig", 202)):
        answer = await api.post("/v1/calls", content=ring.encode(charset), headers=JSON)
        assert answer.status_code == code, charset
        assert code == 202 or answer.json()["code"] == "invalid_json"


async def test_a_time_is_written_as_one(site: Site) -> None:
    api = await asked(site)
    for wrong in ("1700000000", "1700000000000", "2026-11-21", "2026-11-21T08:00:00", "soon",
                  "2026-11-21T08:00:00+01:00"):  # fmt: skip
        answer = await api.get(f"/v1/calls?since={wrong}")
        assert code_of(answer) == (422, "invalid_field"), wrong
        assert "RFC 3339" in answer.json()["detail"]
        assert "%2B" in answer.json()["detail"]
    for number in (5, 1_800_000_000, 1_800_000_000_000.5, True):
        seen = await api.post("/v1/users/bob/calls/seen", json={"until": number})
        wish = {"do_not_disturb_until": number}
        wishes = await api.put("/v1/users/bob/preferences", json=wish)
        assert code_of(seen) == code_of(wishes) == (422, "invalid_field"), number
    for good in ("2026-11-21T08:00Z", "2026-11-21t08:00:00.123456z", "2026-11-21 08:00:00%2B01:00"):
        assert (await api.get(f"/v1/calls?since={good}")).status_code == 200, good
    wish = {"do_not_disturb_until": "2036-11-21T08:00:00+01:00"}
    assert (await api.put("/v1/users/bob/preferences", json=wish)).status_code == 200
    read = (await api.get("/v1/users/bob/preferences")).json()
    assert read["do_not_disturb_until"] == "2036-11-21T08:00:00+01:00"


async def test_an_encoded_slash_is_part_of_an_id_in_every_path(site: Site) -> None:
    api = await asked(site)
    for path, methods in openapi()["paths"].items():
        for method in methods:
            if "{" in path and path.startswith("/v1/"):
                there = re.sub(r"{[^}]+}", "a%2Fb", path)
                answer = await api.request(method, there)
                assert answer.status_code < 500
                assert "unicode" not in answer.text, there
                assert "surrogate" not in answer.text, there
