"""Nothing is given away to, and nothing is done for, whoever may not."""

import re
from uuid import uuid4

import httpx
import pytest
from argon2 import extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY
from fastapi.routing import APIRoute
from sqlalchemy import text

from app.calls import registration
from app.credentials import service as credentials
from app.credentials.parse import Upload
from app.dashboard import admins, passwords, routes_people
from app.dashboard.pages import PageRoute
from app.devices import service as devices
from app.devices.schemas import DeviceIn
from app.tenants import api_keys
from app.tenants import service as tenants
from app.tenants.schemas import TenantSettings
from tests import apps
from tests.dashboard.conftest import BUNDLE, PASSWORD, Site, post, sign_in, token_of

OPEN = {
    "/dashboard/sign-in", "/dashboard/sign-in/second", "/dashboard/static/{version}/{name}",
    "/dashboard/runbook", "/dashboard/runbook/{name}",
}  # fmt: skip


def routes(site: Site, method: str) -> list[str]:
    """Every address of the dashboard that takes this method, with ids in place."""
    found = []
    pending = list(site.app.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, PageRoute) and method in route.methods:
            found.append(route.path)
        elif not isinstance(route, APIRoute):
            inner = getattr(route, "original_router", None) or getattr(route, "routes", None)
            pending += getattr(inner, "routes", inner) or []
    return [path for path in found if path not in OPEN]


def filled(path: str, tenant: object) -> str:
    path = path.replace("{tenant_id}", str(tenant)).replace("{act}", "retire")
    return re.sub(r"\{[^}]+\}", str(uuid4()), path.replace("{path:path}", "nowhere"))


async def test_without_a_session_there_is_only_the_sign_in_page(site: Site, tenant) -> None:
    visitor = await site.visitor()
    pages = routes(site, "GET")
    assert len(pages) >= 20
    for path in pages:
        answer = await visitor.get(filled(path, tenant))
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/dashboard/sign-in"), path
        assert "acme" not in answer.text


async def test_without_a_session_nothing_can_be_changed(site: Site, tenant) -> None:
    visitor = await site.visitor()
    forms = routes(site, "POST")
    assert len(forms) > 20
    for path in forms:
        answer = await visitor.post(filled(path, tenant), data={"csrf": "x", "name": "evil"})
        assert answer.status_code == 303, path
        to, _, done = answer.headers["location"].partition("?")
        assert (to, done) in {
            ("/dashboard/sign-in", "done=nothing_saved"),
            ("/dashboard/sign-in", ""),
        }, path
    assert len(await tenants.every(site.runtime)) == 1


@pytest.mark.parametrize("wrong", [{}, {"csrf": ""}, {"csrf": "x" * 32}, "another"])
async def test_a_stolen_form_without_its_token_does_nothing(site: Site, tenant, wrong) -> None:
    owner = await site.admin()
    data = {"csrf": token_of(await site.admin())} if wrong == "another" else wrong
    for path in routes(site, "POST"):
        answer = await owner.post(filled(path, tenant), data={**data, "name": "evil"})
        assert answer.status_code == 403, (path, answer.status_code)
    assert [row["name"] for row in await tenants.every(site.runtime)] == ["acme"]


async def test_a_form_sent_by_another_site_does_nothing(site: Site) -> None:
    owner = await site.admin()
    for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        data = {"csrf": token_of(owner), "name": "evil"}
        answer = await owner.post("/dashboard/tenants", data=data, headers=header)
        assert answer.status_code == 403
        answer = await owner.post("/dashboard/sign-in", data=data, headers=header)
        assert answer.status_code == 403
    assert await tenants.every(site.runtime) == []


SHOWN_TO_VIEWERS = {
    "/settings": "/settings/tokens",
    "/settings/calls": "/settings/calls",
    "/settings/payload": "/settings/payload",
    "/settings/notifications": "/settings/notifications",
}
"""By page, a form whose fields tell what is set, and are disabled for them."""


async def test_a_viewer_looks_and_changes_nothing(site: Site, tenant) -> None:
    viewer = await site.admin("viewer")
    own = {"/dashboard/sign-out", "/dashboard/password"}
    for path in {one for one in routes(site, "POST") if not one.startswith("/dashboard/me/")} - own:
        answer = await post(viewer, filled(path, tenant), name="evil")
        assert answer.status_code == 403, path
    for part in ("", "/calls", "/users", "/credentials", "/settings", "/settings/calls",
                 "/settings/payload", "/settings/notifications", "/settings/webhooks", "/settings/audit"):  # fmt: skip
        answer = await viewer.get(f"/dashboard/t/{tenant}{part}")
        assert answer.status_code == 200, part
        forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', answer.text)
        there = (
            [f"/dashboard/t/{tenant}{SHOWN_TO_VIEWERS[part]}"] if part in SHOWN_TO_VIEWERS else []
        )
        assert [f for f in forms if not f.endswith("/sign-out")] == there
    assert (await viewer.get("/dashboard/admins")).status_code == 403


async def test_an_operator_does_not_govern(site: Site, tenant) -> None:
    operator = await site.admin("operator")
    assert (
        await post(operator, "/dashboard/admins", email="e@x.yz", role="owner")
    ).status_code == 403
    assert (await post(operator, "/dashboard/tenants", name="mine")).status_code == 403
    answer = await post(operator, f"/dashboard/t/{tenant}/settings/keys", name="k", all="yes")
    assert answer.status_code == 200
    assert "rl_sk_" in answer.text


async def test_nothing_of_another_tenant_is_under_this_one(site: Site, tenant, simulator) -> None:
    owner = await site.admin()
    other = (await tenants.create(site.runtime, "other")).id
    made = await credentials.add(
        site.runtime, other, Upload(data=simulator.voip_certificate(BUNDLE).pem), probe_now=False
    )
    body = DeviceIn(device_id="d1", tokens=[{"kind": "voip", "token": "ab" * 32, "app_id": BUNDLE}])
    await registration.register(site.runtime, other, TenantSettings(), "bob", body)
    key = (await api_keys.every(site.runtime, other))[0]["id"]
    mine = f"/dashboard/t/{tenant}"
    assert (await owner.get(f"{mine}/credentials/{made.id}")).status_code == 404
    assert (await owner.get(f"{mine}/user?id=bob")).status_code == 404
    assert (
        "bob"
        not in (await owner.get(f"{mine}/users?q=abab")).text.split("<main")[1].split("</form>")[1]
    )
    for path, fields in (
        (f"{mine}/credentials/{made.id}/delete", {"confirm": "yes"}),
        (f"{mine}/settings/keys/{key}/revoke", {}),
        (f"{mine}/user/remove", {"id": "bob", "device_id": "d1"}),
        (f"{mine}/user/rings", {"id": "bob", "device_id": "d1"}),
        (f"{mine}/user/erase", {"id": "bob"}),
    ):
        assert (await post(owner, path, **fields)).status_code == 404, path
    assert len(await credentials.list_all(site.runtime, other)) == 1
    assert len(await devices.list_of(site.runtime, other, "bob")) == 1


async def test_every_page_has_the_strict_headers(site: Site, tenant) -> None:
    owner = await site.admin()
    for path in ("/dashboard/sign-in", f"/dashboard/t/{tenant}", "/dashboard/nowhere"):
        answer = await owner.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"\sstyle=|<script>|\son[a-z]+=", answer.text)


async def test_a_session_is_new_at_each_sign_in_and_ends(site: Site) -> None:
    first = await admins.create(site.runtime, "a@example.com")
    visitor = await site.visitor()
    visitor.cookies.set("ringline_admin", "planted", domain="ringline.test", path="/dashboard")
    answer = await sign_in(visitor, "a@example.com", first)
    header = next(h for h in answer.headers.get_list("set-cookie") if "ringline_admin=" in h)
    assert "HttpOnly" in header
    assert "SameSite=lax" in header
    assert "planted" not in header
    cookie = header.partition("=")[2].partition(";")[0]
    async with site.runtime.database.autocommit() as session:
        rows = (await session.execute(text("SELECT digest FROM admin_sessions"))).scalars().all()
    assert cookie.encode() not in b"".join(rows)
    assert (await admins.recognise(site.runtime, cookie)) is not None
    fresh = await site.visitor()
    fresh.cookies.set("ringline_admin", cookie, domain="ringline.test", path="/dashboard")
    await sign_in_again(fresh, "a@example.com", first)
    assert await admins.recognise(site.runtime, cookie) is None


async def sign_in_again(client: httpx.AsyncClient, email: str, password: str) -> None:
    seed = "s" * 20
    client.cookies.set("ringline_form", seed, domain="ringline.test", path="/dashboard")
    data = {"form": routes_people._form_mark(seed), "email": email, "password": password}
    assert (await client.post("/dashboard/sign-in", data=data)).status_code == 303


async def test_signing_out_ends_the_session_on_the_server(site: Site) -> None:
    owner = await site.admin()
    cookie = owner.cookies["ringline_admin"]
    assert (await post(owner, "/dashboard/sign-out")).status_code == 303
    assert await admins.recognise(site.runtime, cookie) is None


async def test_an_old_or_idle_session_is_over(site: Site) -> None:
    for column in ("created_at", "seen_at"):
        owner = await site.admin()
        assert (await owner.get("/dashboard/tenants")).status_code == 200
        async with site.runtime.database.transaction() as session:
            await session.execute(
                text(f"UPDATE admin_sessions SET {column} = now() - interval '13 hours'")
            )
        assert (await owner.get("/dashboard/tenants")).status_code == 303


async def test_a_one_time_password_opens_only_the_password_page(site: Site) -> None:
    first = await admins.create(site.runtime, "a@example.com")
    client = await site.visitor()
    await sign_in(client, "a@example.com", first)
    answer = await client.get("/dashboard/tenants")
    assert answer.headers["location"] == "/dashboard/password"
    for new in ("short", "a@example.com", first):
        answer = await post(client, "/dashboard/password", old=first, new=new, again=new)
        assert answer.status_code == 422
    answer = await post(client, "/dashboard/password", old=first, new=PASSWORD, again=PASSWORD)
    assert answer.status_code == 303
    assert (await client.get("/dashboard/tenants")).status_code == 200


async def test_wrong_address_and_wrong_password_look_the_same_and_are_throttled(site: Site) -> None:
    await admins.create(site.runtime, "a@example.com")
    client = await site.visitor()
    known = await sign_in(client, "a@example.com", "wrong password 1")
    unknown = await sign_in(client, "b@example.com", "wrong password 1")
    assert known.status_code == unknown.status_code == 401
    assert "do not go together" in known.text
    assert "do not go together" in unknown.text
    for _ in range(4):
        await sign_in(client, "a@example.com", "wrong password 2")
    refused = await sign_in(client, "a@example.com", "wrong password 3")
    assert refused.status_code == 429
    elsewhere = await site.visitor("198.51.100.9")
    assert (await sign_in(elsewhere, "a@example.com", "wrong")).status_code == 401


async def test_the_right_password_is_refused_while_throttled(site: Site) -> None:
    first = await admins.create(site.runtime, "a@example.com")
    client = await site.visitor()
    for _ in range(5):
        await sign_in(client, "a@example.com", "wrong password")
    assert (await sign_in(client, "a@example.com", first)).status_code == 429


async def test_passwords_rest_as_argon2id(site: Site) -> None:
    await admins.create(site.runtime, "a@example.com")
    async with site.runtime.database.autocommit() as session:
        stored = (await session.execute(text("SELECT password FROM admins"))).scalar_one()
    assert stored.startswith("$argon2id$")
    assert extract_parameters(apps.HASHER.hash("x")) == RFC_9106_LOW_MEMORY
    assert await passwords.fits(None, "anything") is False


async def test_the_way_on_after_sign_in_stays_here(site: Site) -> None:
    for evil in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"):
        assert routes_people.safe_path(evil) == "/"
    assert routes_people.safe_path("/t/x/calls") == "/t/x/calls"


async def test_the_last_owner_stays(site: Site) -> None:
    owner = await site.admin()
    row = (await admins.every(site.runtime))[0]
    answer = await post(owner, f"/dashboard/admins/{row['id']}/role", role="viewer")
    assert answer.status_code == 409
    assert (await post(owner, f"/dashboard/admins/{row['id']}/remove")).status_code == 409
    assert (await admins.every(site.runtime))[0]["role"] == "owner"
