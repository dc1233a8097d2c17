"""A form that makes something makes it once, however often it is sent; and an old one has a way out."""

import asyncio
import re
from html import unescape
from uuid import UUID

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from playwright.async_api import Browser, expect
from sqlalchemy import text

from app.audit.log import SERVER
from app.dashboard import once, pages
from app.tenants import api_keys
from app.tenants import service as tenants
from app.users import service as users
from app.webhooks import service as webhooks
from devkit.simulator import Simulator
from tests.dashboard.conftest import BUNDLE, Site, post, token_of
from tests.dashboard.test_in_a_browser import fits_in_both_looks, furnished, new_page, signed_in
from tests.e2e.house import House

OURS = {"Origin": "http://ringline.test"}
REPEATABLE = {
    "/sign-in", "/sign-in/second", "/sign-out", "/password",
    "/admins/{admin_id}/role", "/admins/{admin_id}/remove",
    "/me/sessions/end", "/me/totp", "/me/totp/confirm", "/me/totp/remove", "/me/passkeys",
    "/me/passkeys/options", "/me/passkeys/{passkey_id}/remove", "/me/codes",
    "/t/{tenant_id}/calls/{session_id}/end",
    "/t/{tenant_id}/user/test", "/t/{tenant_id}/user/remove", "/t/{tenant_id}/user/rings",
    "/t/{tenant_id}/user/block", "/t/{tenant_id}/user/unblock", "/t/{tenant_id}/user/handles",
    "/t/{tenant_id}/user/preferences", "/t/{tenant_id}/user/revoke", "/t/{tenant_id}/user/erase",
    "/t/{tenant_id}/credentials/preview", "/t/{tenant_id}/credentials/{credential_id}/certificate",
    "/t/{tenant_id}/credentials/{credential_id}/{act}",
    "/t/{tenant_id}/settings/keys/{key_id}/revoke", "/t/{tenant_id}/settings/secrets/{kid}/revoke",
    "/t/{tenant_id}/settings/tokens", "/t/{tenant_id}/settings/ringing",
    "/t/{tenant_id}/settings/calls", "/t/{tenant_id}/settings/payload",
    "/t/{tenant_id}/settings/payload/preview", "/t/{tenant_id}/settings/notifications",
    "/t/{tenant_id}/settings/notifications/preview", "/t/{tenant_id}/settings/notifications/rings",
    "/t/{tenant_id}/settings/webhooks/{webhook_id}/resend",
    "/t/{tenant_id}/settings/webhooks/{webhook_id}/switch",
    "/t/{tenant_id}/settings/webhooks/{webhook_id}/delete",
}  # fmt: skip
"""Forms that set, take away or ask: what is sent again is no second one, or is meant."""


def forms_of(page: str) -> list[tuple[str, dict[str, str]]]:
    """(address, hidden fields) of each form of a page."""
    found = []
    for action, inner in re.findall(
        r'<form[^>]*method="post"[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page, re.DOTALL
    ):
        hidden = re.findall(r'<input\s+type="hidden" name="([^"]+)" value="([^"]*)"', inner)
        found.append((unescape(action), {name: unescape(value) for name, value in hidden}))
    return found


async def mark_of(client: httpx.AsyncClient, page: str, action: str) -> str:
    """The id of the form of this page that goes there."""
    forms = forms_of((await client.get(page)).text)
    return next(fields["once"] for to, fields in forms if to == action)


def secret_of(answer: httpx.Response) -> str:
    found = re.search(r"whsec_[\w+/=]+|rl_sk_[\w-]+", answer.text)
    assert found, answer.text
    return found[0]


async def test_add_webhook_sent_twice_makes_one_and_shows_its_secret_to_both(
    site: Site, tenant: UUID
) -> None:
    owner = await site.admin()
    page = f"/dashboard/t/{tenant}/settings/webhooks"
    said = {"url": "https://example.com/hook", "once": await mark_of(owner, page, page)}
    answers = await asyncio.gather(*(post(owner, page, **said) for _ in range(4)))
    answers.append(await post(owner, page, **said))
    assert [one.status_code for one in answers] == [200] * 5
    assert len({secret_of(one) for one in answers}) == 1
    assert len(await webhooks.every(site.runtime, tenant)) == 1
    changed = await post(owner, page, **said | {"url": "https://example.com/another"})
    assert secret_of(changed) != secret_of(answers[0]), "what was typed anew is another"
    anew = said | {"once": await mark_of(owner, page, page)}
    assert secret_of(await post(owner, page, **anew)) != secret_of(answers[0])
    assert len(await webhooks.every(site.runtime, tenant)) == 3


async def test_what_is_kept_shows_no_secret_and_not_for_long(site: Site, tenant: UUID) -> None:
    owner = await site.admin()
    page = f"/dashboard/t/{tenant}/settings"
    said = {"name": "ci", "all": "yes", "once": await mark_of(owner, page, f"{page}/keys")}
    key = secret_of(await post(owner, f"{page}/keys", **said))
    assert secret_of(await post(owner, f"{page}/keys", **said)) == key
    async with site.runtime.database.transaction() as session:
        rows = (
            await session.execute(text("SELECT owner, answer::text AS a FROM idempotency"))
        ).all()
        assert len(rows) == 1
        assert rows[0].owner.startswith("form:")
        assert key not in rows[0].a
        await session.execute(
            text("UPDATE idempotency SET answer = jsonb_set(CAST(answer AS jsonb), '{until}', '1')")
        )
    late = await post(owner, f"{page}/keys", **said)
    assert (late.status_code, "rl_sk_" in late.text) == (409, False)
    assert "has made it already" in late.text
    assert len(await api_keys.every(site.runtime, tenant)) == 2


async def test_what_was_refused_is_taken_when_it_is_sent_again(site: Site) -> None:
    owner = await site.admin()
    page = "/dashboard/tenants"
    await tenants.create(site.runtime, "taken")
    said = {"name": "taken", "once": await mark_of(owner, page, page)}
    for _ in range(2):
        refused = await post(owner, page, **said)
        assert refused.status_code == 409
        assert "there is a tenant named" in refused.text
    good = said | {"name": "mine"}
    assert secret_of(await post(owner, page, **good)) == secret_of(await post(owner, page, **good))
    assert len(await tenants.every(site.runtime)) == 2


async def test_an_id_is_its_administrators_own(site: Site, tenant: UUID) -> None:
    one, other = await site.admin(), await site.admin("operator")
    page = f"/dashboard/t/{tenant}/settings/webhooks"
    said = {"url": "https://example.com/hook", "once": await mark_of(one, page, page)}
    assert secret_of(await post(one, page, **said)) != secret_of(await post(other, page, **said))
    for odd in ("x" * 65, "\U0001f4a9", "' OR 1=1", ""):
        assert (await post(one, page, **said | {"once": odd})).status_code == 200, odd


async def test_who_died_at_it_leaves_a_sentence_and_no_second_one(site: Site, tenant: UUID) -> None:
    owner = await site.admin()
    page = f"/dashboard/t/{tenant}/settings/webhooks"
    said = {"url": "https://example.com/hook", "once": await mark_of(owner, page, page)}
    await post(owner, page, **said)
    async with site.runtime.database.transaction() as session:  # as if its process had ended there
        await session.execute(text("UPDATE idempotency SET answer = NULL"))
    again = await post(owner, page, **said)
    assert again.status_code == 409
    assert "not known yet what became" in again.text
    assert len(await webhooks.every(site.runtime, tenant)) == 1


async def test_every_form_that_makes_something_brings_an_id(
    site: Site, tenant: UUID, simulator: Simulator
) -> None:
    making, others = set(), set()
    for context in iter_route_contexts(site.app.routes):
        route = context.original_route
        path = str(context.path)
        if (
            isinstance(route, APIRoute)
            and path.startswith("/dashboard")
            and route.methods & {"POST"}
        ):
            made = route.endpoint in once.ENDPOINTS
            (making if made else others).add(path.removeprefix("/dashboard"))
    assert others - REPEATABLE == set(), "does this form make something? mark it @once"
    owner = await site.admin()
    await users.block(site.runtime, tenant, "bob", "eve", actor=SERVER)  # so that he has a page
    hook = {"url": "https://example.com/hook"}
    at = f"/dashboard/t/{tenant}"
    await post(owner, f"{at}/settings/webhooks", **hook)
    (row,) = await webhooks.every(site.runtime, tenant)
    file = {"file": ("voip.pem", simulator.voip_certificate(BUNDLE).pem)}
    looked = await owner.post(
        f"{at}/credentials/preview", data={"csrf": token_of(owner)}, files=file
    )
    shown = [looked.text]
    for path in (f"{at}/settings/webhooks", f"{at}/settings/webhooks/{row.id}", f"{at}/settings",
                 f"{at}/credentials", f"{at}/user?id=bob", "/dashboard/admins", "/dashboard/tenants",
                 f"/dashboard/tenants/{tenant}/delete"):  # fmt: skip
        shown.append((await owner.get(path)).text)
    met = set()
    for to, fields in (form for page in shown for form in forms_of(page)):
        pattern = next(
            (one for one in making if re.fullmatch(re.sub(r"{\w+}", "[^/]+", one), to[10:])), None
        )
        assert ("once" in fields) == (pattern is not None), to
        met.add(pattern)
    assert making - met <= {"/admins/{admin_id}/factors"}, "of one who has a second factor alone"


async def test_an_old_form_is_sent_again_by_one_button(site: Site, tenant: UUID) -> None:
    owner = await site.admin()
    page = f"/dashboard/t/{tenant}/settings/webhooks"
    said = {"csrf": token_of(await site.admin()), "url": "https://example.com/hook?a=1&b=2"}
    said |= {"description": 'our "own" <b>', "once": await mark_of(owner, page, page)}
    where = OURS | {"Referer": f"http://ringline.test{page}"}
    old = await owner.post(page, data=said, headers=where)
    assert old.status_code == 403
    assert "Nothing was done yet" in old.text
    assert "<b>" not in old.text
    assert f'href="{page}"' in old.text
    assert await webhooks.every(site.runtime, tenant) == []
    [(to, fields)] = [form for form in forms_of(old.text) if "url" in form[1]]
    assert to == page
    assert fields == said | {"csrf": token_of(owner)}
    answers = [await owner.post(to, data=fields, headers=OURS) for _ in range(2)]
    assert len({secret_of(one) for one in answers}) == 1
    (made,) = await webhooks.every(site.runtime, tenant)
    assert made.url == said["url"]


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {},
        OURS | {"X-CSRF-Token": "x"},
    ],
)
async def test_no_button_for_what_no_page_of_ours_has_sent(
    site: Site, tenant: UUID, header: dict[str, str]
) -> None:
    owner = await site.admin()
    said = {"csrf": "old", "name": "evil", "all": "yes"}
    answer = await owner.post(f"/dashboard/t/{tenant}/settings/keys", data=said, headers=header)
    assert answer.status_code == 403
    assert "Send it again" not in answer.text
    assert "evil" not in answer.text


async def test_what_holds_a_password_or_a_file_is_filled_in_anew(site: Site, tenant: UUID) -> None:
    owner = await site.admin()
    said = {"csrf": "old", "name": "laptop", "password": "three calm words"}
    where = OURS | {"Referer": "https://evil.example//evil.example/x"}
    old = await owner.post("/dashboard/me/passkeys", data=said, headers=where)
    assert (old.status_code, "laptop" in old.text) == (403, True)
    assert "three calm words" not in old.text
    assert "Send it again" not in old.text
    assert "evil" not in old.text
    assert "Open the form anew" in old.text
    file = {"file": ("voip.pem", b"-----BEGIN")}
    where = OURS | {"Referer": f"http://ringline.test/dashboard/t/{tenant}/credentials"}
    path = f"/dashboard/t/{tenant}/credentials/preview"
    old = await owner.post(path, data={"csrf": "old"}, files=file, headers=where)
    assert "Send it again" not in old.text
    assert f'href="/dashboard/t/{tenant}/credentials"' in old.text


def test_no_page_gives_back_what_is_typed_as_a_password() -> None:
    found = set()
    for template in (pages.HERE / "templates").glob("*.html"):
        for field in re.findall(r"<input\b[^>]*>", template.read_text()):
            if 'type="password"' in field or "one-time-code" in field:
                found |= set(re.findall(r'name="(\w+)"', field))
    assert {"password", "old", "code"} <= found <= pages.NEVER_BACK


async def test_an_old_form_to_sign_in_is_answered_with_a_new_one(site: Site) -> None:
    visitor = await site.visitor()
    said = {"form": "old", "email": "a@example.com", "password": "three calm words"}
    answer = await visitor.post("/dashboard/sign-in", data=said)
    assert answer.status_code == 403
    assert "too old" in answer.text
    assert "a@example.com" in answer.text
    assert "three calm words" not in answer.text


@pytest.mark.asyncio(loop_scope="session")
async def test_a_double_click_and_an_old_form_in_a_browser(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, _, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium, alone=True) as page:
        page.expected = re.compile("status of (403|409|422)")  # type: ignore[attr-defined]
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/settings/webhooks")
        await page.fill("#url", "https://example.com/hook")
        await page.get_by_role("button", name="Add webhook").dblclick()
        await expect(page.get_by_role("heading", name="The secret that signs")).to_be_visible()
        async with dashboard_house.runtime() as runtime:
            assert len(await webhooks.every(runtime, UUID(tenant))) == 1
        await page.goto(f"{base}/t/{tenant}/settings/webhooks")
        await page.fill("#url", "https://example.com/an/address/that/is/" + "long" * 60)
        tab = await page.context.new_page()  # signs out there, and in again
        await tab.goto(base)
        await tab.get_by_role("button", name="Sign out").click()
        await signed_in(tab, dashboard_house)
        await tab.close()
        await page.get_by_role("button", name="Add webhook").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Nothing was done yet")
        await fits_in_both_looks(page)
        await page.get_by_role("button", name="Send it again").click()
        await expect(page.get_by_role("heading", name="The secret that signs")).to_be_visible()
        async with dashboard_house.runtime() as runtime:
            assert len(await webhooks.every(runtime, UUID(tenant))) == 2
