"""Rate limits through the API: what is too often is 429 and says until when, whoever does it."""

import itertools
import json

import httpx
import websockets

from tests.e2e.house import Tenant, bearer, eventually, new_tenant
from tests.live.listener import RefusedToListen, listening


async def settings(backend: Tenant, **rates: int) -> None:
    answer = await backend.api.put(
        "/v1/settings", json={"users_may_ring": True, "rate_limits": rates}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["rate_limits"] == rates


def body(caller: str, *callees: str) -> dict[str, object]:
    return {"caller": {"id": caller}, "callees": callees, "ring_time": 5}


async def refused(answer_of) -> httpx.Response:
    """The first 429 of those; the settings are in force within a second."""

    async def one() -> httpx.Response | None:
        answer = await answer_of()
        return answer if answer.status_code == 429 else None

    return await eventually(one, every=0.01)


def check(answer: httpx.Response, code: str, limit: str, most: int) -> None:
    told = answer.json()
    assert (told["code"], told["rate_limit"]) == (code, limit)
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= 120
    assert answer.headers["ratelimit-policy"] == f'"{limit}";q={most};w=60'
    assert answer.headers["ratelimit"] == f'"{limit}";r=0;t={wait}'


async def test_rings_are_counted_of_the_callee_the_caller_and_the_key(
    backend: Tenant, quiet_house
) -> None:
    await settings(backend, rings_per_callee=3, rings_per_caller=6)
    names = (f"u{n}" for n in itertools.count())

    async def ring(caller: str, callee: str, **headers: str) -> httpx.Response:
        return await backend.api.post("/v1/calls", json=body(caller, callee), headers=headers)

    check(await refused(lambda: ring(next(names), "bob")), "too_many_rings", "rings_per_callee", 3)
    # the long way of a request with an Origin is the same
    long = await ring("zoe", "bob", Origin="https://app.example.com")
    check(long, "too_many_rings", "rings_per_callee", 3)
    # by handle it is the same user, however the handle is spelled
    handle = {"kind": "email", "value": "bob@example.com"}
    told = await backend.api.put("/v1/users/bob/handles", json={"handles": [handle]})
    assert told.is_success, told.text
    named = {
        "caller": {"id": "yuri"},
        "callees": [{"handle": handle | {"value": "BOB@Example.com"}}],
    }
    by_handle = await backend.api.post("/v1/calls", json=named)
    check(by_handle, "too_many_rings", "rings_per_callee", 3)
    by_token = await refused(
        lambda: backend.api.post(
            "/v1/calls",
            json=body("dora", next(names)),
            headers=bearer(backend.token_for("dora")),
        )
    )
    check(by_token, "too_many_rings", "rings_per_caller", 6)
    # who may not ring as dora uses up nothing of eve's
    for _ in range(8):
        odd = await backend.api.post(
            "/v1/calls", json=body("eve", "frank"), headers=bearer(backend.token_for("mallory"))
        )
        assert odd.json()["code"] == "wrong_user"
    own = bearer(backend.token_for("eve"))
    assert (await backend.api.post("/v1/calls", json=body("eve", "gil"), headers=own)).is_success
    await settings(backend, rings_per_key=12)
    of_key = await refused(lambda: ring(next(names), next(names)))
    check(of_key, "too_many_rings", "rings_per_key", 12)
    async with new_tenant(quiet_house) as other:
        assert (await other.api.post("/v1/calls", json=body("alice", "bob"))).status_code == 202
    metrics = (await backend.api.get("/metrics")).text
    assert 'ringline_rate_limited_total{limit="rings_per_callee"}' in metrics


async def test_registrations_are_counted_of_the_user(backend: Tenant) -> None:
    await settings(backend, registrations_per_user=2)
    token = {"kind": "voip", "app_id": "com.example.app", "environment": "production"}

    async def register(user: str) -> httpx.Response:
        tokens = [token | {"token": "ab" * 32}]
        return await backend.api.post(
            "/v1/devices", json={"user_id": user, "device_id": "d", "tokens": tokens}
        )

    answer = await refused(lambda: register("bob"))
    check(answer, "too_many_registrations", "registrations_per_user", 2)
    assert (await register("carol")).is_success


async def test_streams_are_counted_of_the_user_and_of_all(backend: Tenant) -> None:
    await settings(backend, streams_per_user=2, streams_per_tenant=40)
    token = backend.token_for("bob")

    async def refused_to_listen() -> str:
        try:
            async with listening(backend.house.apis[0].url, token):
                return ""
        except RefusedToListen as error:
            return str(error)

    said = await eventually(refused_to_listen)
    assert said.startswith("429")
    assert '"rate_limit":"streams_per_user"' in said
    address = backend.house.apis[0].url.replace("http", "ws") + "/v1/ws"
    async with websockets.connect(address) as socket:
        await socket.send(json.dumps({"type": "authenticate", "token": token}))
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (4429, "too_many_streams")


async def test_what_is_no_rate_limit_is_told(backend: Tenant) -> None:
    async def code(**rates: object) -> str:
        answer = await backend.api.put("/v1/settings", json={"rate_limits": rates})
        assert answer.status_code == 422
        return answer.json()["code"]

    assert await code(rings=5) == "unknown_rate_limit"
    assert await code(rings_per_key=0) == "rate_limit_out_of_bounds"
    assert await code(rings_per_key=10_000_001) == "rate_limit_out_of_bounds"
