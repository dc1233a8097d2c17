"""Each request has an id, on its log lines, in its answer and in problem documents; one line each."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from structlog.contextvars import clear_contextvars
from structlog.testing import capture_logs

from app.infra.settings import Settings
from tests.apps import app_of
from tests.e2e.house import Tenant, eventually


@pytest.fixture
async def client(database: str, redis: str) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(
        Settings(
            environment="development",
            database_url=database.replace("postgresql+asyncpg", "postgresql"),
            redis_url=redis,
            log_level="debug",
        )
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client,
    ):
        yield client
    clear_contextvars()


def requests(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "request"]


async def test_a_request_leaves_one_line_without_what_it_asked_for(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with capture_logs() as logs:
        answer = await client.get(
            "/v1/users/bob-the-secret/devices?cursor=hidden",
            headers={"Authorization": "Bearer rl_sk_nothing"},
        )
    assert answer.status_code in {401, 404}
    (line,) = requests(logs)
    assert (line["method"], line["status"]) == ("GET", answer.status_code)
    assert line["ms"] >= 0
    for secret in ("bob-the-secret", "hidden", "rl_sk_nothing"):
        assert secret not in repr(logs)


async def test_what_was_refused_says_whose_it_was(backend: Tenant) -> None:
    minted = await backend.api.post("/v1/users/bob-the-user/tokens", json={"scopes": ["calls"]})
    token = {"Authorization": f"Bearer {minted.json()['token']}"}
    api = backend.house.apis[0]
    for headers, status in ((token, 403), ({"Authorization": "Bearer rl_sk_nothing"}, 401)):
        async with httpx.AsyncClient(base_url=api.url, headers=headers) as stranger:
            answer = await stranger.get("/v1/settings")
        assert answer.status_code == status
        own = f'"request_id":"{answer.headers["x-request-id"]}"'
        line = await eventually(lambda own=own: _line(api.output(), own))
        said = json.loads(line)
        assert (said["event"], said["status"], said["route"]) == ("request", status, "/v1/settings")
        assert ("tenant" in said) is (status == 403)
        assert said.get("tenant", str(backend.id)) == str(backend.id)
        assert "bob-the-user" not in line


async def _line(output: str, own: str) -> str | None:
    return next((line for line in output.splitlines() if own in line), None)


async def test_the_id_is_told_everywhere(client: httpx.AsyncClient) -> None:
    for given, kept in (
        ("abc-123", True), ("a" * 64, True), ("a" * 65, False), ("two words", False), ("", False),
    ):  # fmt: skip
        await is_told_everywhere(client, given, kept)


async def is_told_everywhere(client: httpx.AsyncClient, given: str, kept: bool) -> None:
    answer = await client.post("/v1/calls", json={}, headers={"X-Request-ID": given})
    own = answer.headers["x-request-id"]
    assert (own == given) is kept
    assert answer.json()["request_id"] == own
    plain = {"Authorization": "Bearer rl_sk_nothing", "X-Request-ID": given}
    ring = {"type": "default", "id": "a", "caller": {"id": "a"}, "callees": ["b"]}
    answer = await client.post("/v1/calls", json=ring, headers=plain)
    assert (answer.headers["x-request-id"] == given) is kept
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_every_answer_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    ids = {(await client.get("/healthz")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


async def test_a_ring_leaves_its_line_too(backend: Tenant) -> None:
    """Its answer is written past all that sees to others', and says and leaves the same."""
    api = backend.house.apis[0]
    body = {"caller": {"id": "alice"}, "callees": ["bob"]}
    short = await backend.api.post("/v1/calls", json=body)
    long = await backend.api.post("/v1/calls", json=body, headers={"Origin": "https://a.example"})
    assert set(short.headers) == set(long.headers)
    for answer in (short, long):
        own = f'"request_id":"{answer.headers["x-request-id"]}"'
        line = json.loads(await eventually(lambda own=own: _line(api.output(), own)))
        assert (line["event"], line["status"], line["route"]) == ("request", 202, "/v1/calls")
        assert (line["tenant"], line["method"]) == (str(backend.id), "POST")
