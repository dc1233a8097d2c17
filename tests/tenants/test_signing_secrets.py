"""Signing secrets can be replaced and taken back: by HTTP, by a command and on a page."""

import asyncio
import json
import re
import time

import httpx
import pytest

from app.access import sign_user_token
from app.tenants import api_keys, service, signing_secrets
from tests.apns.rig import Metronome
from tests.cli.test_cli import ringline
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site, post

SECONDS = 2.0
"""How long a revoked secret may be good for, at most, in any process."""


async def api_of(site: Site, key: str) -> httpx.AsyncClient:
    client = await site.visitor("192.0.2.77")
    client.headers["Authorization"] = f"Bearer {key}"
    return client


def token(kid: str, secret: str, user: str = "bob") -> str:
    now = time.time()
    return sign_user_token(secret.encode(), kid, user, now=now, expires=now + 600)


async def status_of(client: httpx.AsyncClient, token: str) -> int:
    answer = await client.get("/v1/devices", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def refused_within(client: httpx.AsyncClient, token: str, seconds: float) -> None:
    """By a clock that stands while this machine does other things."""
    metronome, began = Metronome(), time.monotonic()
    while await status_of(client, token) == 200:
        assert time.monotonic() - began - metronome.lost < seconds
        await asyncio.sleep(0.05)
    metronome.stop()
    assert await status_of(client, token) == 401


async def test_two_may_live_and_the_old_one_is_taken_back(site: Site) -> None:
    made = await service.create(site.runtime, "acme")
    api = await api_of(site, made.api_key)
    old = token(made.kid, made.signing_secret)
    assert await status_of(api, old) == 200
    new = (await api.post("/v1/signing-secrets")).json()
    assert set(new) == {"kid", "secret"}
    assert await status_of(api, token(new["kid"], new["secret"])) == 200
    assert await status_of(api, old) == 200, "both are live"
    third = await api.post("/v1/signing-secrets")
    assert (third.status_code, third.json()["code"]) == (409, "too_many_signing_secrets")
    assert made.kid in third.json()["detail"]
    shown = await api.get("/v1/signing-secrets")
    assert made.signing_secret not in shown.text
    assert [one["kid"] for one in shown.json()["signing_secrets"]] == [new["kid"], made.kid]
    assert (await api.delete(f"/v1/signing-secrets/{made.kid}")).status_code == 204
    assert await status_of(api, old) == 401, "at once, in the process that was asked"
    assert await status_of(api, token(new["kid"], new["secret"])) == 200
    minted = (await api.post("/v1/users/bob/tokens")).json()["token"]
    assert await status_of(api, minted) == 200
    last = await api.delete(f"/v1/signing-secrets/{new['kid']}")
    assert (last.status_code, last.json()["code"]) == (409, "last_signing_secret")
    gone = await api.delete(f"/v1/signing-secrets/{new['kid']}?confirm=true")
    assert gone.status_code == 204
    assert (await api.post("/v1/users/bob/tokens")).json()["code"] == "no_signing_secret"
    lines = (await api.get("/v1/audit")).json()["audit"]
    acts = [(line["action"], line["actor"]["kind"], line["source"]) for line in lines]
    assert [one for one in acts if one[0].startswith("secret.")] == [
        ("secret.revoke", "api_key", "192.0.2.77"),
        ("secret.revoke", "api_key", "192.0.2.77"),
        ("secret.create", "api_key", "192.0.2.77"),
    ]
    assert lines[0]["actor"]["name"] == "first key"


async def test_nobody_else_may(site: Site) -> None:
    made, other = [await service.create(site.runtime, name) for name in ("acme", "other")]
    key = await service.add_key(site.runtime, made.id, "calls only", ["calls", "users"])
    narrow = await api_of(site, key)
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{made.kid}")):
        assert (await narrow.request(method, f"/v1/signing-secrets{path}")).status_code == 403
    foreign = await api_of(site, other.api_key)
    assert (await foreign.delete(f"/v1/signing-secrets/{made.kid}")).status_code == 404
    user = await api_of(site, token(made.kid, made.signing_secret))
    assert (await user.post("/v1/signing-secrets")).status_code == 403
    for odd in ("%00", "x" * 65, "a%20b"):
        assert (await foreign.delete(f"/v1/signing-secrets/{odd}")).status_code == 422


async def test_at_the_same_moment_only_two_become_live(site: Site) -> None:
    made = await service.create(site.runtime, "acme")
    api = await api_of(site, made.api_key)
    answers = await asyncio.gather(*(api.post("/v1/signing-secrets") for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [201] + [409] * 5


async def test_on_the_page(site: Site, tenant) -> None:
    owner, viewer = await site.admin(), await site.admin("viewer")
    page = f"/dashboard/t/{tenant}/settings"
    shown = await post(owner, f"{page}/secrets")
    kids = re.findall(r'mono small whole">(rl_kid_[0-9a-f]+)', shown.text)
    assert len(kids) == 2
    assert "Make another signing secret" not in shown.text
    assert (await post(owner, f"{page}/secrets")).status_code == 409
    assert (await post(viewer, f"{page}/secrets/{kids[0]}/revoke")).status_code == 403
    assert (await post(owner, f"{page}/secrets/{kids[1]}/revoke")).status_code == 303
    live = [
        row["kid"]
        for row in await signing_secrets.every(site.runtime, tenant)
        if not row["revoked_at"]
    ]
    assert live == [kids[0]]
    assert (
        "Revoke"
        not in (await viewer.get(page)).text.split("Signing secrets")[1].split("Revoked")[0]
    )


async def test_what_is_taken_back_on_a_page_is_refused_at_once_by_its_process(site: Site) -> None:
    """It was good for a second more: secrets, and each setting that judges tokens."""
    made = await service.create(site.runtime, "acme")
    owner, api = await site.admin(), await api_of(site, made.api_key)
    page, old = f"/dashboard/t/{made.id}/settings", token(made.kid, made.signing_secret)
    assert await status_of(api, old) == 200
    assert (await post(owner, f"{page}/tokens", longest_life="60")).status_code == 303
    assert await status_of(api, old) == 401
    assert (await post(owner, f"{page}/tokens", longest_life="")).status_code == 303
    assert await status_of(api, old) == 200
    assert (await post(owner, f"{page}/secrets/{made.kid}/revoke")).status_code == 303
    assert await status_of(api, old) == 401
    assert (await api.get("/v1/devices?user_id=bob")).status_code == 200
    (key,) = await api_keys.every(site.runtime, made.id)
    assert (await post(owner, f"{page}/keys/{key['id']}/revoke")).status_code == 303
    assert (await api.get("/v1/devices?user_id=bob")).status_code == 401


@pytest.fixture
def environment(settings, database: str) -> dict[str, str]:
    import os

    return os.environ | {
        "RINGLINE_ENVIRONMENT": "development",
        "RINGLINE_DATABASE_URL": database,
        "RINGLINE_REDIS_URL": settings.redis_url,
    }


async def test_by_a_command(site: Site, environment: dict[str, str]) -> None:
    made = await service.create(site.runtime, "acme")
    api = await api_of(site, made.api_key)
    old = token(made.kid, made.signing_secret)
    assert await status_of(api, old) == 200

    async def run(*words: str, status: int = 0) -> str:
        return await asyncio.to_thread(
            ringline, environment, "secret", *words, "--tenant", "acme", status=status
        )

    assert "--confirm" in await run("revoke", made.kid, status=1)
    new = json.loads(await run("rotate", "--json"))
    assert await status_of(api, token(new["signing_key_id"], new["signing_secret"])) == 200
    await run("revoke", made.kid)
    await refused_within(api, old, SECONDS)
    listed = await run("list")
    assert f"{made.kid}  revoked" in listed
    assert f"{new['signing_key_id']}  live" in listed
    assert new["signing_secret"] not in listed


async def test_a_key_for_nothing_is_refused_with_the_nearest_name(
    site: Site, environment: dict[str, str]
) -> None:
    await service.create(site.runtime, "acme")
    words = ("key", "create", "--tenant", "acme", "--scope", "cals")
    said = await asyncio.to_thread(ringline, environment, *words, status=1)
    assert "did you mean 'calls'" in said
