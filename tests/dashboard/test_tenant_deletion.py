"""An owner deletes a tenant in the dashboard by typing its name, and sees how many rows are left."""

import asyncio
import re
from uuid import UUID

import pytest
from playwright.async_api import Browser, expect

from app.calls import closing
from app.infra.errors import Conflict
from app.tenants import service as tenants
from devkit.simulator import Simulator
from tests.dashboard.conftest import Site, post
from tests.dashboard.test_in_a_browser import fits_in_both_looks, furnished, new_page, signed_in
from tests.dashboard.test_once import mark_of
from tests.e2e.house import House, bearer
from workers import removal


async def test_its_name_deletes_it_once_and_its_page_says_what_is_left(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await tenants.create(site.runtime, "acme & sons")
    owner, page = await site.admin(), f"/dashboard/tenants/{made.id}/delete"
    api = await site.visitor()
    assert (await api.get("/v1/settings", headers=bearer(made.api_key))).status_code == 200
    said = {"once": await mark_of(owner, page, page)}
    wrong = await post(owner, page, **said, confirm="acme")
    assert wrong.status_code == 422
    assert "nothing was changed" in wrong.text
    assert 'value="acme"' in wrong.text
    assert await tenants.find(site.runtime, "acme & sons") == made.id

    sent = [post(owner, page, **said, confirm="acme & sons") for _ in range(3)]
    answers = await asyncio.gather(*sent)
    assert {one.headers["location"] for one in answers} == {f"{page}?done=tenant_deleted"}
    refused = await api.get("/v1/settings", headers=bearer(made.api_key))
    assert refused.status_code == 401, "at once, in the process that has deleted it"
    with pytest.raises(Conflict):
        await tenants.find(site.runtime, str(made.id))
    shown = (await owner.get(page)).text
    left = sum((await closing.rows_of(site.runtime, made.id)).values())
    assert f"{left} rows left" in shown
    assert "Danger zone" not in shown
    assert (await owner.get(f"/dashboard/t/{made.id}")).status_code == 404
    listed = (await owner.get("/dashboard/tenants")).text
    assert "being removed" in listed
    assert f'href="{page}"' in listed

    monkeypatch.setattr(removal, "LEAST", 0.0)
    monkeypatch.setattr(closing, "FORGOTTEN_AFTER", 0.0)
    await removal.remove(site.runtime)
    assert (await owner.get(page)).status_code == 404
    assert "being removed" not in (await owner.get("/dashboard/tenants")).text


async def test_only_an_owner_deletes(site: Site, tenant: UUID) -> None:
    page = f"/dashboard/tenants/{tenant}/delete"
    for role in ("viewer", "operator"):
        visitor = await site.admin(role)
        assert "Danger zone" not in (await visitor.get(page)).text
        assert (
            "Delete this tenant"
            not in (await visitor.get(f"/dashboard/t/{tenant}/settings/calls")).text
        )
        assert (await post(visitor, page, confirm="acme")).status_code == 403
    owner = await site.admin()
    assert f'href="{page}"' in (await owner.get(f"/dashboard/t/{tenant}/settings/calls")).text
    assert (await owner.post(page, data={"confirm": "acme"})).status_code == 403, "no form of ours"
    assert await tenants.find(site.runtime, "acme") == tenant


@pytest.mark.asyncio(loop_scope="session")
async def test_a_tenant_is_deleted_in_a_browser(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, _, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium, alone=True) as page:
        page.expected = re.compile("status of 422")  # type: ignore[attr-defined]
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/settings/calls")
        await page.get_by_role("link", name="Delete this tenant").click()
        await fits_in_both_looks(page)
        await page.get_by_label("Type its name").fill("another")
        await page.get_by_role("button", name="Delete this tenant").click()
        await expect(page.get_by_label("Type its name")).to_have_value("another")
        await fits_in_both_looks(page)
        async with dashboard_house.runtime() as runtime:
            found = await tenants.one(runtime, UUID(tenant))
        assert found is not None
        await page.get_by_label("Type its name").fill(found["name"])
        await page.get_by_role("button", name="Delete this tenant").dblclick()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("is being removed")
        await expect(page.get_by_text("rows left")).to_be_visible()
        await fits_in_both_looks(page)
        await page.goto(f"{base}/tenants")
        await expect(page.get_by_text("being removed").first).to_be_visible()
        await fits_in_both_looks(page)
