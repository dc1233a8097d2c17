"""The site as a reader sees it, from a folder of files: nothing is asked of others, search finds,
and axe has nothing serious to say."""

import asyncio
from pathlib import Path

from playwright.async_api import async_playwright, expect

from tests.axe import serious
from tests.browser import ARGUMENTS, program

PAGES = (
    "index.html", "README.html", "docs/guides/calls.html", "docs/api/calls.html", "docs/api/models.html",
    "docs/runbook/RinglineNoWorker.html", "docs/promises.html", "search.html?q=decline",
)  # fmt: skip


def look(site: Path) -> None:
    """Raise AssertionError with what is wrong."""
    asyncio.run(_look(site))


async def _look(site: Path) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=ARGUMENTS)
        for width in (390, 1440):
            page = await browser.new_page(viewport={"width": width, "height": 900})
            asked: list[str] = []
            page.on("request", lambda one, asked=asked: asked.append(one.url))
            for name in PAGES:
                await page.goto(f"file://{site}/{name}")
                if name.startswith("search"):
                    await expect(page.locator("ul.search li").first).to_be_visible(timeout=30_000)
                assert await serious(page) == [], name
            assert [one for one in asked if not one.startswith(("file:", "data:"))] == []
            await page.close()
        await browser.close()
    print(
        f"looked at {len(PAGES)} pages at 390 and 1440 px: no outside request, search finds, axe clean"
    )
