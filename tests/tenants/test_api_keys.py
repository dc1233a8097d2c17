"""API keys can be listed and taken back: by HTTP, by a command and on a page; no key is shown."""

import asyncio
import json
import re
import time

import httpx
import pytest

from app.tenants import api_keys, service
from tests.apns.rig import Metronome
from tests.cli.test_cli import ringline
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site, post
from tests.tenants.test_signing_secrets import api_of
from tests.tenants.test_signing_secrets import environment as environment

SECONDS = 1.0
"""How long a revoked key may be good for, at most, in any process."""


async def status_of(client: httpx.AsyncClient) -> int:
    return (await client.get("/v1/devices", params={"user_id": "bob"})).status_code


async def refused_within(client: httpx.AsyncClient, seconds: float) -> None:
    """By a clock that stands while this machine does other things."""
    metronome, began = Metronome(), time.monotonic()
    while await status_of(client) == 200:
        assert time.monotonic() - began - metronome.lost < seconds
        await asyncio.sleep(0.02)
    metronome.stop()
    assert await status_of(client) == 401


async def test_by_http_and_the_only_one_wants_a_word(site: Site) -> None:
    made, other = [await service.create(site.runtime, name) for name in ("acme", "other")]
    second = await service.add_key(site.runtime, made.id, "call backend", ["calls", "devices"])
    api, narrow, foreign = [await api_of(site, k) for k in (made.api_key, second, other.api_key)]
    shown = await api.get("/v1/api-keys")
    assert [one["name"] for one in shown.json()["api_keys"]] == ["call backend", "first key"]
    new, first = shown.json()["api_keys"]
    assert (new["scopes"], new["hint"]) == (["calls", "devices"], second[-4:])
    assert second not in shown.text
    assert made.api_key not in shown.text
    path = f"/v1/api-keys/{new['id']}"
    assert (await narrow.get("/v1/api-keys")).json()["code"] == "missing_scope"
    assert (await narrow.delete(path)).status_code == 403
    assert (await foreign.delete(path)).json()["code"] == "key_not_found"
    assert await status_of(narrow) == 200
    assert (await api.delete(path)).status_code == 204
    assert await status_of(narrow) == 401, "at once, in the process that was asked"
    assert (await api.delete(path)).json()["code"] == "key_not_found"
    last = await api.delete(f"/v1/api-keys/{first['id']}")
    assert (last.status_code, last.json()["code"]) == (409, "last_api_key")
    assert await status_of(api) == 200
    lines = (await api.get("/v1/audit")).json()["audit"]
    [line] = [one for one in lines if one["action"] == "key.revoke"]
    assert (line["target"], line["detail"]) == (f"key:...{second[-4:]}", {"name": "call backend"})
    assert line["actor"]["name"] == "first key"
    assert (await api.delete(f"/v1/api-keys/{first['id']}?confirm=true")).status_code == 204
    assert await status_of(api) == 401


async def test_two_at_the_same_moment_do_not_both_go_unasked(site: Site) -> None:
    made = await service.create(site.runtime, "acme")
    await service.add_key(site.runtime, made.id, "another", ["*"])
    ids = [row["id"] for row in await api_keys.every(site.runtime, made.id)]
    asked = [api_keys.revoke(site.runtime, made.id, one) for one in ids]
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(getattr(one, "code", "revoked") for one in ended) == ["last_api_key", "revoked"]


async def test_on_the_page(site: Site, tenant) -> None:
    owner = await site.admin()
    page = f"/dashboard/t/{tenant}/settings"
    assert "This is the only one: your backend" in (await owner.get(page)).text
    shown = await post(owner, f"{page}/keys", name="ci", all="yes")
    key = re.search(r"rl_sk_[\w-]+", shown.text)
    assert key
    assert "This is the only one: your backend" not in shown.text
    api = await api_of(site, key[0])
    assert await status_of(api) == 200
    newest = (await api_keys.every(site.runtime, tenant))[0]
    assert (await post(owner, f"{page}/keys/{newest['id']}/revoke")).status_code == 303
    assert await status_of(api) == 401


async def test_by_a_command(site: Site, environment: dict[str, str]) -> None:
    made = await service.create(site.runtime, "acme")

    async def run(*words: str, status: int = 0) -> str:
        return await asyncio.to_thread(
            ringline, environment, "key", *words, "--tenant", "acme", status=status
        )

    asked = ("create", "--name", "call backend", "--scope", "calls", "--scope", "devices")
    key = json.loads(await run(*asked, "--json"))["api_key"]
    api = await api_of(site, key)
    assert await status_of(api) == 200
    listed = await run("list")
    assert re.search(rf"call backend +\.\.\.{re.escape(key[-4:])} +live +calls, devices", listed)
    rows = json.loads(await run("list", "--json"))
    assert [row["name"] for row in rows] == ["call backend", "first key"]
    assert key not in listed + json.dumps(rows)
    assert "did you mean 'call backend'?" in await run("revoke", "cal backend", status=1)
    refused = await run("revoke", key, status=1)
    assert "shell's history" in refused
    assert key not in refused
    assert await status_of(api) == 200
    told = json.loads(await run("revoke", "..." + key[-4:], "--json"))
    assert told == {
        "id": rows[0]["id"],
        "name": "call backend",
        "hint": key[-4:],
        "state": "revoked",
    }
    await refused_within(api, SECONDS)
    assert "was revoked already" in await run("revoke", "call backend", status=1)
    assert "--confirm" in await run("revoke", "first key", status=1)
    await run("revoke", made.api_key[-4:], "--confirm")
    assert "revoked" in await run("list")


async def test_one_of_several_is_meant_by_its_id(site: Site, environment: dict[str, str]) -> None:
    made = await service.create(site.runtime, "acme")
    for _ in range(2):
        await service.add_key(site.runtime, made.id, "ci", ["*"])
    one, two, _first = await api_keys.every(site.runtime, made.id)

    async def revoke(said: str, status: int = 0) -> str:
        words = ("key", "revoke", said, "--tenant", "acme")
        return await asyncio.to_thread(ringline, environment, *words, status=status)

    refused = await revoke("ci", status=1)
    assert "2 live keys" in refused
    assert str(one["id"]) in refused
    assert str(two["id"]) in refused
    await revoke(str(two["id"]))
    await revoke("ci")
    states = [row["revoked_at"] is None for row in await api_keys.every(site.runtime, made.id)]
    assert states == [True, False, False]


@pytest.mark.parametrize(
    "said", ["", "\u2026", "x" * 10_000, "00000000-0000-0000-0000-000000000000"]
)
async def test_what_is_no_key_is_said_so(site: Site, said: str) -> None:
    made = await service.create(site.runtime, "acme")
    with pytest.raises(Exception, match="no live API key"):
        await api_keys.find(site.runtime, made.id, said)
