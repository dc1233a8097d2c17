"""The site as a reader sees it, from a folder of files: nothing is asked of others, search finds,
and axe has nothing serious to say."""

import asyncio
import re
from pathlib import Path
from urllib.parse import quote

from playwright.async_api import Page, expect

from tests.axe import serious
from tests.browser import find_shell, launched, program

WANTED = {
    "certificate expired": "docs/runbook/RinglineCredentialExpires",
    "BadDeviceToken": "docs/runbook/RinglinePushesFail",
    "no worker": "docs/runbook/RinglineNoWorker",
    "disk full": "docs/runbook/RinglineDatabaseAway",
    "clock": "docs/runbook/RinglineClockSkew",
    "webhook slow": "docs/runbook/RinglineWebhooksWait",
    "backup": "docs/guides/backup",
    "restore": "docs/guides/backup",
    "upgrade": "docs/releases",
    "failover": "docs/guides/high-availability",
    "sentinel": "docs/guides/operation",
    "secret key rotation": "docs/guides/operation",
    "lost password": "docs/guides/operation",
    "two-factor": "docs/guides/operation",
    "GDPR": "docs/security/privacy",
    "delete user": "docs/guides/data-model",
    "retention": "docs/guides/data-model",
    "kubernetes": "deploy/README",
    "docker": "deploy/README",
    "prometheus": "docs/guides/operation",
    "opentelemetry": "docs/guides/operation",
    "phone does not ring": "docs/guides/calls",
    "CallKit": "docs/guides/devices",
    "PushKit": "docs/guides/devices",
    "Firebase": "docs/guides/android",
    "service worker": "docs/guides/web-push",
    "React Native": "docs/guides/recipes",
    "Flutter": "docs/guides/recipes",
    "websocket": "docs/guides/events-and-webhooks",
    "webhook signature": "docs/guides/events-and-webhooks",
    "idempotency": "docs/guides/calls",
    "rate limit": "docs/guides/limits",
    "do not disturb": "docs/guides/your-app-must",
    "missed call": "docs/guides/calls",
    "user token": "docs/api/users",
    "sandbox": "docs/guides/devices",
}
"""What one would type, and a page that is to be among the first ten found."""

FIRST = 10
PAGES = (
    "index.html", "README.html", "docs/guides/calls.html", "docs/api/calls.html", "docs/api/models.html",
    "docs/runbook/RinglineNoWorker.html", "docs/promises.html", "search.html?q=decline",
)  # fmt: skip


def look(site: Path) -> None:
    """Raise AssertionError with what is wrong."""
    asyncio.run(_look(site))


async def _search(page: Page, site: Path) -> list[str]:
    """Of what was typed: what the pages wanted are not among, with what was found first."""
    wrong = []
    for typed, wanted in WANTED.items():
        await page.goto(f"file://{site}/search.html?q={quote(typed)}")
        await expect(page.locator("#search-results p.search-summary")).to_contain_text(
            re.compile("found|did not match"), timeout=30_000
        )
        links = page.locator("ul.search li > a")
        found = [
            await links.nth(n).get_attribute("href") for n in range(min(FIRST, await links.count()))
        ]
        if not any(str(one).startswith(wanted + ".html") for one in found):
            wrong.append(f"{typed}: {wanted} is not among {found}")
    return wrong


async def _look(site: Path) -> None:
    async with launched(find_shell() or program()) as browser:
        for width in (390, 1440):
            page = await browser.new_page(viewport={"width": width, "height": 900})
            asked: list[str] = []
            page.on("request", lambda one, asked=asked: asked.append(one.url))
            for name in PAGES:
                await page.goto(f"file://{site}/{name}")
                if name.startswith("search"):
                    await expect(page.locator("ul.search li").first).to_be_visible(timeout=30_000)
                assert await serious(page) == [], name
            if width == 1440:
                assert await _search(page, site) == []
            assert [one for one in asked if not one.startswith(("file:", "data:"))] == []
            await page.close()
    print(
        f"looked at {len(PAGES)} pages at 390 and 1440 px: no outside request, axe clean; {len(WANTED)} words found"
    )
