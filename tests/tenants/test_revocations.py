"""Every token of a user can be taken back at once, and a token may do no more than its maker."""

import asyncio
import time
from typing import Any

import httpx
import jwt

from app.access import call_token, member_token
from app.tenants import service
from tests.apns.rig import Metronome
from tests.cli.test_cli import ringline
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import bearer, eventually, new_tenant
from tests.houses import HouseMaker
from tests.live.listener import listening
from tests.tenants.test_signing_secrets import environment  # noqa: F401


async def made(site: Site) -> tuple[service.NewTenant, httpx.AsyncClient]:
    tenant = await service.create(site.runtime, "acme")
    api = await site.visitor()
    api.headers["Authorization"] = f"Bearer {tenant.api_key}"
    return tenant, api


def signed(tenant: service.NewTenant, user: str, **claims: Any) -> str:
    said = {"sub": user, "exp": int(time.time()) + 600, **claims}
    return jwt.encode(said, tenant.signing_secret, "HS256", headers={"kid": tenant.kid})


async def code_of(api: httpx.AsyncClient, token: str, path: str = "/v1/devices") -> str | None:
    answer = await api.get(path, headers=bearer(token))
    return None if answer.is_success else answer.json()["code"]


async def test_every_token_of_the_user_dies_and_no_other(site: Site) -> None:
    tenant, api = await made(site)
    now = int(time.time())
    before, silent = signed(tenant, "bob", iat=now), signed(tenant, "bob")
    alices = signed(tenant, "alice", iat=now)
    push = {"kind": "voip", "token": "ab" * 32, "app_id": "com.example.app"}
    body = {"device_id": "d1", "tokens": [push]}
    answer = await api.post("/v1/devices", json=body, headers=bearer(before))
    assert answer.status_code == 200, answer.text
    ring = {"caller": {"id": "alice"}, "callees": ["bob"]}
    call = (await api.post("/v1/calls", json=ring)).json()
    path = f"/v1/calls/{call['session_id']}"
    (row,) = await rows(site, "SELECT d.id, r.uuid FROM devices d, rings r WHERE d.user_id = 'bob'")
    keyring, of = site.runtime.keyring, {"tenant_id": tenant.id}
    in_push = call_token(
        keyring, ring=row["uuid"], device_row=row["id"], now=now, expires=now + 60, **of
    )
    answer = await api.post(f"{path}/accept", headers=bearer(in_push))
    assert answer.status_code == 200, answer.text
    member = answer.json()["member_token"]
    assert (await api.post(f"{path}/heartbeat", headers=bearer(member))).status_code == 200

    revoked = await api.post("/v1/users/bob/revoke")
    assert revoked.status_code == 200, revoked.text
    for token in (before, silent):
        assert await code_of(api, token) == "token_revoked"
    for token in (in_push, member):
        assert await code_of(api, token, path) == "token_revoked"
    changed = await api.put("/v1/settings", json={"users_may_ring": True})
    assert changed.status_code == 200, "whatever is known of tokens at that moment"
    beat = await api.post(f"{path}/heartbeat", headers=bearer(member))
    assert (beat.status_code, beat.json()["code"]) == (401, "token_revoked")
    assert await code_of(api, alices) is None
    minted = (await api.post("/v1/users/bob/tokens")).json()["token"]
    assert await code_of(api, minted) is None, "made after, though in the same second"
    answer = await api.post(f"{path}/accept", json={"device_id": "d1"}, headers=bearer(minted))
    assert answer.status_code == 200, "the member is as it was"
    later = signed(tenant, "bob", iat=int(time.time()) + 1)
    assert await code_of(api, later) is None
    assert (await api.delete("/v1/users/bob")).status_code == 204
    assert await rows(site, "SELECT * FROM revocations") == []


async def test_a_member_token_of_before_this_version_is_dead_once_revoked(site: Site) -> None:
    tenant, api = await made(site)
    call = (await api.post("/v1/calls", json={"caller": {"id": "a"}, "callees": ["b"]})).json()
    path = f"/v1/calls/{call['session_id']}"
    (row,) = await rows(site, "SELECT id FROM calls")
    now, keyring = time.time(), site.runtime.keyring
    new = member_token(
        keyring, tenant_id=tenant.id, session_id=row["id"], user_id="b", device_id="d",
        now=now, expires=now + 60,
    )  # fmt: skip
    old = as_of_before(keyring, new)
    assert [await code_of(api, one, path) for one in (new, old)] == [None, None]
    await api.post("/v1/users/b/revoke")
    assert [await code_of(api, one, path) for one in (new, old)] == ["token_revoked"] * 2


def as_of_before(keyring: Any, token: str) -> str:
    """The same token without the time of its making."""
    import base64

    from app.access import MAC, MEMBER_PREFIX

    raw = base64.urlsafe_b64decode(token.removeprefix(MEMBER_PREFIX) + "==")
    body = raw[: -MAC - 5]
    body += keyring.token_mac(MEMBER_PREFIX.encode() + body, MAC)
    return MEMBER_PREFIX + base64.urlsafe_b64encode(body).rstrip(b"=").decode()


async def test_a_token_may_do_what_its_scopes_say(site: Site) -> None:
    tenant, api = await made(site)
    await api.put("/v1/settings", json={"users_may_ring": True})
    now = int(time.time())
    ring = {"caller": {"id": "bob"}, "callees": ["carol"]}
    for scopes, may in (
        (["devices"], {"devices"}),
        (["calls", "openid"], {"calls"}),
        (["ring"], {"ring"}),
        ([], set()),
        (None, {"devices", "calls", "ring", "erase"}),
    ):
        claims = {} if scopes is None else {"scopes": scopes}
        head = bearer(signed(tenant, "bob", iat=now, **claims))
        answers = {
            "devices": await api.get("/v1/devices", headers=head),
            "ring": await api.post("/v1/calls", json=ring, headers=head),
            "calls": await api.get("/v1/calls/default:none", headers=head),
            "erase": await api.delete("/v1/users/bob", headers=head),
        }
        refused = {
            name
            for name, answer in answers.items()
            if answer.status_code == 403 and answer.json()["code"] == "missing_scope"
        }
        assert answers.keys() - refused == may, scopes


async def test_a_key_makes_no_token_that_may_do_more_than_itself(site: Site) -> None:
    tenant, api = await made(site)

    async def minted(key_scopes: list[str], **body: Any) -> list[str] | str | None:
        key = await service.add_key(site.runtime, tenant.id, "one", key_scopes)
        answer = await api.post("/v1/users/bob/tokens", json=body, headers=bearer(key))
        if answer.status_code != 201:
            return str(answer.json()["code"])
        said = jwt.decode(answer.json()["token"], options={"verify_signature": False})
        return said.get("scopes")

    assert await minted(["*"]) is None
    assert await minted(["*"], scopes=["ring"]) == ["ring"]
    assert await minted(["users", "devices"]) == ["devices"]
    assert await minted(["users", "calls"]) == ["calls", "history", "ring"]
    assert await minted(["users", "calls"], scopes=["history"]) == ["history"]
    assert await minted(["users", "calls"], scopes=["history", "devices"]) == "missing_scope"
    assert await minted(["users"]) == "missing_scope"
    assert await minted(["calls"]) == "missing_scope"
    assert await minted(["*"], scopes=["users"]) == "invalid_field"


async def test_a_tenants_rules_for_tokens(site: Site) -> None:
    tenant, api = await made(site)
    rules = {"longest_life": 300, "issuer": "https://id.example/", "audience": "ring"}
    assert (await api.put("/v1/settings", json={"user_tokens": rules})).status_code == 200
    minted = (await api.post("/v1/users/bob/tokens", json={"expires_in": 3600})).json()["token"]
    assert await code_of(api, minted) is None, "what Ringline makes keeps the rules"
    now = int(time.time())
    good = {"iat": now, "exp": now + 300, "iss": "https://id.example/", "aud": ["x", "ring"]}
    assert await code_of(api, signed(tenant, "bob", **good)) is None
    for wrong, code in (
        ({"exp": now + 301}, "token_lives_too_long"),
        ({"iss": "https://evil.example/"}, "wrong_issuer"),
        ({"aud": "x"}, "wrong_audience"),
    ):
        assert await code_of(api, signed(tenant, "bob", **good | wrong)) == code


async def test_by_a_command(site: Site, environment: dict[str, str]) -> None:  # noqa: F811
    _, api = await made(site)

    async def run(*words: str) -> str:
        words = ("user", *words, "--tenant", "acme")
        return await asyncio.to_thread(ringline, environment, *words)

    token = await run("token", "bob", "--scope", "ring")
    assert jwt.decode(token.strip(), options={"verify_signature": False})["scopes"] == ["ring"]
    assert await code_of(api, token.strip()) == "missing_scope"
    assert "revoked at" in await run("revoke", "bob")

    metronome, began = Metronome(), time.monotonic()
    while await code_of(api, token.strip()) != "token_revoked":
        assert time.monotonic() - began - metronome.lost < 2, "the machine's own share left out"
        await asyncio.sleep(0.05)
    metronome.stop()


async def test_a_thousand_streams_without_redis(make_house: HouseMaker) -> None:
    """Of ten users through two processes; two are revoked at one of these."""
    house = make_house(redis_url="redis://127.0.0.1:1/0", apis=2, workers=0)
    async with new_tenant(house) as tenant, asyncio.TaskGroup() as opening:
        users = [f"u{n}" for n in range(10)]
        tokens = {user: tenant.token_for(user) for user in users}
        done, opened = asyncio.Event(), []

        async def listen(user: str, n: int) -> None:
            async with listening(house.apis[n % 2].url, tokens[user]) as one:
                await one.wait_for("snapshot", timeout=30)
                opened.append((user, one))
                await done.wait()

        for n in range(1_000):
            opening.create_task(listen(users[n % 10], n // 10))
        await eventually(lambda: _is(len(opened) == 1_000), timeout=60)
        gone = {}
        for user in users[:2]:
            assert (await tenant.api.post(f"/v1/users/{user}/revoke")).status_code == 200
            gone[user] = time.monotonic()
        theirs = [(user, one) for user, one in opened if user in gone]
        await asyncio.gather(*(one.until_ended() for _, one in theirs))
        for _, one in theirs:
            assert one.heard[-1].data == {"type": "closing", "reason": "token_revoked"}
        assert max(one.heard[-1].at - gone[user] for user, one in theirs) < 2.0
        assert not any(one.ended for user, one in opened if user not in gone)
        done.set()


async def _is(value: bool) -> bool:
    return value


async def rows(site: Site, sql: str) -> list[dict[str, Any]]:
    from sqlalchemy import text

    async with site.runtime.database.autocommit() as session:
        return [dict(row) for row in (await session.execute(text(sql))).mappings()]
