"""Every act that changes anything is in the audit log, with who did it and from where."""

import base64
import re
import secrets
from typing import Any
from uuid import UUID

import httpx
import pyotp
from fastapi.routing import APIRoute
from sqlalchemy import text

from app.infra import clock
from app.infra.ids import uuid7
from app.tenants import service as tenants
from tests.dashboard.authenticator import Authenticator
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site, simulator)
from tests.dashboard.conftest import BUNDLE, PASSWORD, Site, post, sign_in, token_of

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
BACKEND, PERSON = "192.0.2.77", "192.0.2.1"
EVENTS = "what members do to a call, many times a second: the call's events say who and when"
NOTHING = "it looks, and changes nothing"
UNAUDITED = {
    ("POST", "/v1/calls"): EVENTS,
    **{
        ("POST", f"/v1/calls/{{reference}}/{act}"): EVENTS
        for act in ("accept", "join", "decline", "leave", "heartbeat", "report")
    },
    ("POST", "/v1/users/{user_id}/calls/seen"): "what somebody has seen concerns nobody else",
    ("POST", "/v1/devices"): "apps do so at each start: the device's row says when and what",
    ("POST", "/v1/devices/activate"): "a browser does so once: the token's row says when",
    ("POST", "/v1/credentials/preview"): NOTHING,
    ("POST", "/dashboard/t/{tenant_id}/credentials/preview"): NOTHING,
    ("POST", "/dashboard/me/totp"): "the app counts, and is told of, once a code of it has come",
    ("POST", "/dashboard/me/passkeys/options"): NOTHING,
    ("POST", "/dashboard/t/{tenant_id}/settings/payload/preview"): NOTHING,
    ("POST", "/dashboard/t/{tenant_id}/settings/notifications/preview"): NOTHING,
}


def changing_routes(site: Site) -> set[tuple[str, str]]:
    """Every (method, path) of the API and the dashboard that may change something."""
    found = set()
    pending = list(site.app.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, APIRoute):
            path = re.sub(r":\w+}", "}", route.path)  # without its converter
            found |= {(method, path) for method in route.methods & CHANGING}
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "routes", None)
            pending += getattr(inner, "routes", inner) or []
    return found


class Walk:
    """Acts, and looks what the log says of each."""

    def __init__(self, site: Site, api: httpx.AsyncClient, owner: httpx.AsyncClient) -> None:
        self.site, self.api, self.owner = site, api, owner
        self.done: set[tuple[str, str]] = set()

    async def lines(self) -> list[dict[str, Any]]:
        async with self.site.runtime.database.autocommit() as session:
            found = await session.execute(text("SELECT * FROM audit ORDER BY id"))
            return [dict(row) for row in found.mappings()]

    async def look(self, before: int, route: tuple[str, str], action: str, *who: str) -> dict:
        lines = (await self.lines())[before:]
        assert [line["action"] for line in lines].count(action) == 1, (route, lines)
        line = next(line for line in lines if line["action"] == action)
        assert [line["actor"]["kind"], line["source"]] == list(who), (route, line)
        self.done.add(route)
        return line

    async def http(
        self,
        method: str,
        path: str,
        action: str,
        body: Any = None,
        params: dict[str, str] | None = None,
        **ids: Any,
    ) -> Any:
        """An act by HTTP with the API key."""
        before = len(await self.lines())
        answer = await self.api.request(method, path.format(**ids), json=body, params=params)
        assert answer.status_code < 300, answer.text
        line = await self.look(before, (method, path), action, "api_key", BACKEND)
        assert line["actor"]["name"] == "first key"
        return answer.json() if answer.content else None

    async def form(
        self, path: str, action: str, ids: dict, client=None, files=None, **fields
    ) -> str:
        """An act on a page."""
        before = len(await self.lines())
        client = client or self.owner
        data = {"csrf": token_of(client), **fields}
        answer = await client.post(path.format(**ids), data=data, files=files)
        told = re.findall(r'role="alert"[^>]*>(.*?)</', answer.text)
        assert answer.status_code in {200, 303}, (path, told)
        await self.look(before, ("POST", path), action, "dashboard", PERSON)
        return answer.text


async def test_every_changing_route_leaves_a_line(site: Site, simulator) -> None:
    made = await tenants.create(site.runtime, "acme")
    api = await site.visitor(BACKEND)
    api.headers["Authorization"] = f"Bearer {made.api_key}"
    walk = Walk(site, api, await site.admin())
    await by_http(walk, simulator)
    await by_forms(walk, made.id, simulator)
    await people(walk)
    routes = changing_routes(site)
    assert len(routes) > 50
    assert walk.done | UNAUDITED.keys() == routes
    assert not walk.done & UNAUDITED.keys()


async def by_http(walk: Walk, simulator) -> None:
    api = walk.api
    await walk.http("PUT", "/v1/settings", "settings.change", {"users_may_ring": True})
    path, off = "/v1/settings/ringing", {"stopped": False}
    await walk.http("PUT", path, "ringing.resume", off)
    tenant = await tenants.find(walk.site.runtime, "acme")
    other = await tenants.add_key(walk.site.runtime, tenant, "another", ["calls"])
    keys = (await api.get("/v1/api-keys")).json()["api_keys"]
    key = next(one["id"] for one in keys if other.endswith(one["hint"]))
    await walk.http("DELETE", "/v1/api-keys/{key_id}", "key.revoke", key_id=key)
    kid = (await walk.http("POST", "/v1/signing-secrets", "secret.create"))["kid"]
    await walk.http("DELETE", "/v1/signing-secrets/{kid}", "secret.revoke", kid=kid)
    await walk.http("POST", "/v1/users/{user_id}/tokens", "token.create", user_id="bob")
    await walk.http("POST", "/v1/users/{user_id}/revoke", "user.revoke", user_id="bob")
    here, mallory = "/v1/users/{user_id}", {"user_id": "bob", "blocked_id": "mallory"}
    wants = {"call_types": {"default": "ring"}}
    await walk.http("PUT", here + "/preferences", "preferences.change", wants, user_id="bob")
    known = {"handles": [{"kind": "email", "value": "bob@example.com"}]}
    await walk.http("PUT", here + "/handles", "handles.change", known, user_id="bob")
    await walk.http("PUT", here + "/blocks/{blocked_id}", "block.add", **mallory)
    await walk.http("DELETE", here + "/blocks/{blocked_id}", "block.remove", **mallory)
    await credentials_by_http(walk, simulator)
    body = {"user_id": "bob", "device_id": "d1", "tokens": [phone_token(simulator)]}
    assert (await api.post("/v1/devices", json=body)).status_code == 200
    pushed = {"user_id": "bob"}
    await walk.http("POST", "/v1/credentials/test-push", "credential.test_push", pushed)
    path = "/v1/devices/{device_id}"
    off = {"user_id": "bob", "rings": False}
    await walk.http("PATCH", path, "device.change", off, device_id="d1")
    before = len(await walk.lines())
    answer = await api.delete("/v1/devices/d1", params={"user_id": "bob"})
    assert answer.status_code == 204
    await walk.look(before, ("DELETE", path), "device.remove", "api_key", BACKEND)
    assert (await api.post("/v1/devices", json=body)).status_code == 200
    gone = {"user_id": "bob", "token": body["tokens"][0]["token"]}
    await walk.http("POST", "/v1/devices/unregister", "device.remove", gone)
    for act in ("cancel", "end"):
        ring = {"id": act, "caller": {"id": "alice"}, "callees": ["bob"]}
        call = (await api.post("/v1/calls", json=ring)).json()["session_id"]
        if act == "end":
            await api.post(f"/v1/calls/{call}/accept", json={"user_id": "bob"})
        path = "/v1/calls/{reference}/" + act
        await walk.http("POST", path, f"call.{act}", reference=call)
    hook = {"url": "https://example.com/hook"}
    webhook = (await walk.http("POST", "/v1/webhooks", "webhook.create", hook))["id"]
    one = {"webhook_id": webhook}
    path = "/v1/webhooks/{webhook_id}"
    await walk.http("PATCH", path, "webhook.change", {"description": "x"}, **one)
    await walk.http("POST", path + "/rotate", "webhook.rotate", {}, **one)
    event = await failed_delivery(walk.site, webhook)
    path += "/deliveries/{event_id}/resend"
    await walk.http("POST", path, "webhook.resend", event_id=event, **one)
    await walk.http("DELETE", "/v1/webhooks/{webhook_id}", "webhook.remove", **one)
    await walk.http("DELETE", "/v1/users/{user_id}", "user.erase", user_id="bob")


def phone_token(simulator) -> dict[str, str]:
    token = secrets.token_hex(32)
    simulator.live(token, topic=f"{BUNDLE}.voip")
    return {"kind": "voip", "token": token, "app_id": BUNDLE, "environment": "sandbox"}


VAPID = {"app_id": "https://app.example.com", "subject": "mailto:push@example.com"}


async def credentials_by_http(walk: Walk, simulator) -> None:
    path = "/v1/credentials"
    await walk.http("POST", path + "/vapid", "credential.add", VAPID)
    asked = await walk.http("POST", path + "/requests", "credential.request", {"app_id": BUNDLE})
    issued = simulator.voip_certificate(BUNDLE, csr_pem=asked["request"].encode())
    one = {"credential_id": asked["id"]}
    file = {"file": base64.b64encode(issued.der).decode()}
    path += "/{credential_id}"
    await walk.http("POST", path + "/certificate", "credential.complete", file, **one)
    await walk.http("POST", path + "/probe", "credential.probe", **one)
    yes = {"confirm": True}
    await walk.http("POST", path + "/retire", "credential.retire", yes, **one)
    await walk.http("POST", path + "/activate", "credential.activate", **one)
    other = simulator.voip_certificate(BUNDLE).pem.decode()
    two = await walk.http("POST", "/v1/credentials", "credential.add", {"file": other})
    await walk.http(
        "DELETE", path, "credential.delete", params={"confirm": "true"}, credential_id=two["id"]
    )


async def failed_delivery(site: Site, webhook: str) -> str:
    """A delivery that may be made again."""
    values = {"webhook": UUID(webhook), "event": str(uuid7())}
    async with site.runtime.database.transaction() as session:
        await session.execute(
            text("""INSERT INTO deliveries (webhook_id, event_id, tenant_id, type, state,
                        created_at, due_at, finished_at)
                    SELECT :webhook, :event, tenant_id, 'push.alarm', 'failed', now(), now(), now()
                    FROM webhooks WHERE id = :webhook"""),
            values,
        )
    return values["event"]


async def by_forms(walk: Walk, tenant: UUID, simulator) -> None:
    here = "/dashboard/t/{tenant_id}"
    ids = {"tenant_id": tenant}
    settings = here + "/settings"
    page = await walk.form(settings + "/keys", "key.create", ids, name="ci", all="yes")
    key = re.search(r"/settings/keys/([0-9a-f-]{36})/revoke", page)
    assert key
    await walk.form(settings + "/keys/{key_id}/revoke", "key.revoke", ids | {"key_id": key[1]})
    page = await walk.form(settings + "/secrets", "secret.create", ids)
    kid = re.findall(r"/settings/secrets/(\w+)/revoke", page)[-1]
    await walk.form(settings + "/secrets/{kid}/revoke", "secret.revoke", ids | {"kid": kid})
    await walk.form(settings + "/tokens", "settings.change", ids, longest_life="3600")
    await walk.form(settings + "/ringing", "ringing.resume", ids)
    await walk.form(settings + "/calls", "settings.change", ids, users_may_ring="yes")
    await walk.form(settings + "/payload", "settings.change", ids, app_id=BUNDLE, profile="stream")
    said = {"call_type": "default", "event": "missed", "texts": '{"title": "Missed"}'}
    await walk.form(settings + "/notifications", "settings.change", ids, **said)
    rings = {"app_id": BUNDLE, "every": "5"}
    await walk.form(settings + "/notifications/rings", "settings.change", ids, **rings)
    await webhooks_by_forms(walk, settings + "/webhooks", ids)
    await walk.form(here + "/credentials/vapid", "credential.add", ids, **VAPID)
    await credentials_by_forms(walk, here + "/credentials", ids, simulator)
    await users_by_forms(walk, here, ids, simulator)


async def webhooks_by_forms(walk: Walk, path: str, ids: dict[str, Any]) -> None:
    page = await walk.form(path, "webhook.create", ids, url="https://example.com/hook")
    found = re.search(r"/settings/webhooks/([0-9a-f-]{36})", page)
    assert found
    ids = ids | {"webhook_id": found[1]}
    event = await failed_delivery(walk.site, found[1])
    await walk.form(path + "/{webhook_id}/resend", "webhook.resend", ids, event=event)
    await walk.form(path + "/{webhook_id}/switch", "webhook.change", ids)
    await walk.form(path + "/{webhook_id}/rotate", "webhook.rotate", ids)
    await walk.form(path + "/{webhook_id}/delete", "webhook.remove", ids)


async def credentials_by_forms(walk: Walk, path: str, ids: dict[str, Any], simulator) -> None:
    await walk.form(path + "/request", "credential.request", ids, app_id="com.example.two")
    async with walk.site.runtime.database.autocommit() as session:
        found = await session.execute(
            text("SELECT id, request FROM credentials WHERE app_id = 'com.example.two'")
        )
        row = found.one()
    issued = simulator.voip_certificate("com.example.two", csr_pem=row.request.encode())
    one = ids | {"credential_id": row.id}
    files = {"file": ("voip.cer", issued.der)}
    await walk.form(path + "/{credential_id}/certificate", "credential.complete", one, files=files)
    files = {"file": ("voip.pem", simulator.voip_certificate("com.example.two").pem)}
    await walk.form(path + "/add", "credential.add", ids, files=files)
    act = one | {"act": "retire"}
    await walk.form(path + "/{credential_id}/{act}", "credential.retire", act, confirm="yes")


async def users_by_forms(walk: Walk, here: str, ids: dict[str, Any], simulator) -> None:
    body = {"user_id": "carol", "device_id": "d2", "tokens": [phone_token(simulator)]}
    assert (await walk.api.post("/v1/devices", json=body)).status_code == 200
    await walk.form(here + "/user/test", "credential.test_push", ids, id="carol")
    await walk.form(here + "/user/ring", "call.test", ids, id="carol")
    async with walk.site.runtime.database.autocommit() as session:
        found = await session.execute(text("SELECT id FROM calls ORDER BY id DESC LIMIT 1"))
        call = found.scalar_one()
    await walk.form(here + "/calls/{session_id}/end", "call.end", ids | {"session_id": call})
    await walk.form(here + "/user/rings", "device.change", ids, id="carol", device_id="d2")
    await walk.form(here + "/user/remove", "device.remove", ids, id="carol", device_id="d2")
    wants = '{"call_types": {"default": "nothing"}}'
    await walk.form(
        here + "/user/preferences", "preferences.change", ids, id="carol", preferences=wants
    )
    await walk.form(here + "/user/block", "block.add", ids, id="carol", blocked_id="dave")
    known = "phone:+49 30 1234\n\nemail: c@example.com"
    await walk.form(here + "/user/handles", "handles.change", ids, id="carol", handles=known)
    assert (await walk.api.put("/v1/users/carol/blocks/eve")).status_code == 200
    await walk.form(here + "/user/unblock", "block.remove", ids, id="carol", blocked_id="eve")
    await walk.form(here + "/user/revoke", "user.revoke", ids, id="carol")
    await walk.form(here + "/user/erase", "user.erase", ids, id="carol")


async def people(walk: Walk) -> None:
    site = walk.site
    await walk.form("/dashboard/tenants", "tenant.create", {}, name="another")
    other = {"tenant_id": await tenants.find(site.runtime, "another")}
    at = "/dashboard/tenants/{tenant_id}/delete"
    await walk.form(at, "tenant.delete", other, confirm="another")
    page = await walk.form(
        "/dashboard/admins", "admin.create", {}, email="eve@example.org", role="viewer"
    )
    one = {"admin_id": re.findall(r"/admins/([0-9a-f-]{36})/role", page)[0]}
    async with site.runtime.database.autocommit() as session:
        found = await session.execute(text("SELECT id FROM admins WHERE email LIKE 'eve%'"))
        one = {"admin_id": found.scalar_one()}
    path = "/dashboard/admins/{admin_id}"
    await walk.form(path + "/role", "admin.role", one, role="operator")
    page = await walk.form(path + "/reset", "admin.reset", one)
    password = re.search(r"<code>((?:\w{5}-){3}\w{5})</code>", page)
    assert password
    eve = await site.visitor(PERSON)
    for given, action in (("wrong", "admin.sign_in_failed"), (password[1], "admin.sign_in")):
        before = len(await walk.lines())
        await sign_in(eve, "eve@example.org", given)
        await walk.look(before, ("POST", "/dashboard/sign-in"), action, "dashboard", PERSON)
    await walk.form(
        "/dashboard/password",
        "admin.password",
        {},
        eve,
        old=password[1],
        new=PASSWORD,
        again=PASSWORD,
    )
    await factors(walk, eve)
    await walk.form("/dashboard/sign-out", "admin.sign_out", {}, eve)
    await walk.form(path + "/factors", "admin.reset", one)
    await walk.form(path + "/remove", "admin.remove", one)


async def factors(walk: Walk, eve: httpx.AsyncClient) -> None:
    """What somebody signs in with, and where they are signed in."""
    at, origin = "/dashboard/me", "http://localhost:8000"
    walk.site.runtime.settings.public_url = origin
    page = await post(eve, at + "/totp", password=PASSWORD)
    code = pyotp.TOTP(re.findall(r'data-copy="(\w{32})"', page.text)[0]).at(clock.unix())
    await walk.form(at + "/totp/confirm", "admin.totp_add", {}, eve, code=code)
    options = (await post(eve, at + "/passkeys/options", password=PASSWORD)).json()
    made = Authenticator(origin).make(options)
    shown = await walk.form(
        at + "/passkeys", "admin.passkey_add", {}, eve, name="key", credential=made
    )
    ids = {"passkey_id": re.findall(r"/me/passkeys/([0-9a-f-]{36})/remove", shown)[0]}
    shown = await walk.form(at + "/codes", "admin.codes", {}, eve, password=PASSWORD)
    elsewhere = await walk.site.visitor(PERSON)
    await sign_in(elsewhere, "eve@example.org", PASSWORD)
    before = len(await walk.lines())
    page = await elsewhere.get("/dashboard/sign-in/second")
    mark = re.findall(r'name="form" value="([^"]+)"', page.text)[0]
    given = {"form": mark, "code": re.findall(r"<li>([A-Z2-7-]{29})</li>", shown)[0]}
    await elsewhere.post("/dashboard/sign-in/second", data=given)
    route = ("POST", "/dashboard/sign-in/second")
    await walk.look(before, route, "admin.sign_in", "dashboard", PERSON)
    await walk.form(at + "/sessions/end", "admin.session_end", {}, eve, session="others")
    gone = at + "/passkeys/{passkey_id}/remove"
    await walk.form(gone, "admin.passkey_remove", ids, eve, password=PASSWORD)
    await walk.form(at + "/totp/remove", "admin.totp_remove", {}, eve, password=PASSWORD)


async def test_no_line_names_a_user_who_has_been_erased(site: Site) -> None:
    made = await tenants.create(site.runtime, "acme")
    api = await site.visitor(BACKEND)
    api.headers["Authorization"] = f"Bearer {made.api_key}"
    mine = (await api.post("/v1/users/mallory@example.com/tokens")).json()["token"]
    user = await site.visitor("198.51.100.20")
    user.headers["Authorization"] = f"Bearer {mine}"
    token = {"kind": "voip", "token": "ab" * 32, "app_id": BUNDLE}
    await user.post("/v1/devices", json={"device_id": "mallorys-phone", "tokens": [token]})
    assert (await user.delete("/v1/devices/mallorys-phone")).status_code == 204
    await api.post("/v1/users/alice/tokens")
    about = (await api.get("/v1/audit", params={"target": "user:mallory@example.com"})).json()
    assert [(one["action"], one["actor"]["kind"], one["source"]) for one in about["audit"]] == [
        ("device.remove", "user", "198.51.100.20"),
        ("token.create", "api_key", BACKEND),
    ]
    assert about["audit"][0]["actor"]["name"] == "mallory@example.com"
    owner = await site.admin()
    await post(owner, f"/dashboard/t/{made.id}/user/erase", id="mallory@example.com")
    log = (await api.get("/v1/audit")).text
    page = (await owner.get(f"/dashboard/t/{made.id}/settings/audit")).text
    async with site.runtime.database.autocommit() as session:
        rows = (await session.execute(text("SELECT a::text FROM audit a"))).scalars().all()
    for shown in (log, page, "".join(rows)):
        assert "mallory" not in shown
    assert log.count("user:erased") == 3
    assert "user:alice" in log
