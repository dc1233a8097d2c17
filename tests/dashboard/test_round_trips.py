"""Journeys through a real browser to their end: a key that never leaves, a webhook, what is wrong."""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from playwright.async_api import Browser, expect
from sqlalchemy import text

from app.credentials import service as credentials
from app.credentials.parse import Upload
from devkit.simulator import Simulator
from devkit.simulator.certificates import Authority
from devkit.simulator.push_certificates import voip
from tests.dashboard.test_in_a_browser import (
    accessible,
    fits_in_both_looks,
    furnished,
    new_page,
    signed_in,
)
from tests.e2e.house import House, bearer
from tests.webhooks.receiver import receiving

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_cer_that_apple_gave_is_joined_with_its_key_and_rings_a_phone(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    bundle = f"com.example.csr{secrets.token_hex(3)}"
    tenant, key, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/credentials")
        await page.fill("#bundle", bundle)
        await page.get_by_role("button", name="Make key and request").click()
        await accessible(page)
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="Download the request").click()
        request = (await (await downloading.value).path()).read_bytes()
        assert b"BEGIN CERTIFICATE REQUEST" in request
        assert b"PRIVATE KEY" not in request
        issued = simulator.voip_certificate(bundle, csr_pem=request)
        cer = {"name": "voip.cer", "mimeType": "application/pkix-cert", "buffer": issued.der}
        await page.locator("input[type=file]").set_input_files(cer)
        await page.get_by_role("button", name="Complete").click()
        await expect(page.locator("main")).to_contain_text("production: Apple takes it")
        await accessible(page)
    token = secrets.token_hex(32)
    simulator.live(token, topic=f"{bundle}.voip")
    async with httpx.AsyncClient(
        base_url=dashboard_house.apis[0].url, headers=bearer(key), timeout=20
    ) as client:
        tokens = [{"kind": "voip", "token": token, "app_id": bundle}]
        body = {"user_id": "carol", "device_id": "d", "tokens": tokens}
        (await client.post("/v1/devices", json=body)).raise_for_status()
        ring = {"caller": {"id": "alice"}, "callees": ["carol"]}
        (await client.post("/v1/calls", json=ring)).raise_for_status()
    (push,) = await simulator.arrived(1, token=token)
    assert push.status == 200


async def test_a_delivery_is_seen_and_sent_again(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, key, _ = await furnished(dashboard_house, simulator)
    async with receiving() as receiver, new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/settings/webhooks")
        await page.fill("#url", receiver.url)
        await page.fill("#events", "call.started")
        await page.get_by_role("button", name="Add webhook").click()
        secret = await page.locator(".secret code").first.inner_text()
        async with httpx.AsyncClient(
            base_url=dashboard_house.apis[0].url, headers=bearer(key), timeout=20
        ) as client:
            ring = {"caller": {"id": "alice"}, "callees": ["bob"]}
            (await client.post("/v1/calls", json=ring)).raise_for_status()
        (first,) = await receiver.wait_for(1)
        assert first.verified(secret)["type"] == "call.started"
        await page.get_by_role("link", name=receiver.url).click()
        for _ in range(50):  # it is recorded after it was received
            if "Delivered" in await page.locator("main").inner_text():
                break
            await page.reload()
        await expect(page.locator("main")).to_contain_text("Delivered")
        await accessible(page)
        await page.get_by_role("button", name="Send again").click()
        first, again = await receiver.wait_for(2)
        assert again.verified(secret) == first.verified(secret)
        assert again.headers["webhook-id"] == first.headers["webhook-id"]


async def test_what_is_wrong_is_read_and_followed_to_the_runbook_at_either_width(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant = UUID((await furnished(dashboard_house, simulator))[0])
    authority = Authority.open(simulator.ca_file.parent)
    ends = datetime.now(UTC) + timedelta(days=3, hours=1)
    async with dashboard_house.runtime() as runtime, new_page(chromium) as page:
        made = voip(authority, "com.example.ending", not_after=ends)
        ending = await credentials.add(runtime, tenant, Upload(data=made.pem))
        rows = await credentials.list_all(runtime, tenant)
        (refused,) = [row for row in rows if row.id != ending.id]
        refuse = text("UPDATE credentials SET trouble = 'BadCertificate' WHERE id = :id")
        async with runtime.database.transaction() as session:
            await session.execute(refuse, {"id": refused.id})
        base = await signed_in(page, dashboard_house)
        line = page.get_by_role("region", name="How the server stands")
        for path in ("/tenants", f"/t/{tenant}", f"/t/{tenant}/calls"):
            for _ in range(50):  # a look counts for a second
                await page.goto(base + path)
                if "Ends in 3 days" in await line.inner_text():
                    break
            await expect(line.get_by_role("listitem")).to_have_count(2)
            await expect(line).to_contain_text("Refused or expired: the certificate for")
            await fits_in_both_looks(page)
        await line.get_by_role("link", name="RinglineCredentialExpires").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("RinglineCredentialExpires")
        await fits_in_both_looks(page)
        await page.get_by_role("link", name="All alarms").click()
        await expect(page.get_by_role("link", name="RinglineDatabaseAway")).to_be_visible()
        await fits_in_both_looks(page)
        for row in await credentials.list_all(runtime, tenant):
            await credentials.delete(runtime, tenant, row.id, confirm=True)
