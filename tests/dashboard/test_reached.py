"""Who zooms to 400 %, who has the system's colours, who goes by the keyboard: all of it is reached."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from devkit.simulator import Simulator
from tests.dashboard.test_in_a_browser import api, furnished, new_page, signed_in
from tests.e2e.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")
ZOOMED: dict[str, Any] = {"width": 320, "height": 256}
"""1,280 pixels by 1,024 at 400 %: WCAG 2.2, 1.4.10."""
LONG = "x" * 128
NAME = "محمد " + "W" * 95
OPEN = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
TOO_WIDE = """() => [...document.querySelectorAll("main *")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !one.closest(".scroll, .lanes, .unseen, svg");
}).map((one) => `${one.tagName}.${one.className}`)"""
DRAWN = "(one) => [getComputedStyle(one).backgroundColor, getComputedStyle(one).color]"


async def test_nothing_is_wider_than_a_page_at_400_percent_and_colours_that_are_none_of_ours(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, key, _ = await furnished(dashboard_house, simulator, name=NAME)
    async with api(dashboard_house, key) as client:
        ring = {"caller": {"id": LONG, "name": NAME}, "callees": ["bob"], "title": NAME}
        call = (await client.post("/v1/calls", json=ring)).raise_for_status().json()["session_id"]
    async with new_page(chromium, viewport=ZOOMED) as page:
        base = await signed_in(page, dashboard_house)
        at = f"{base}/t/{tenant}"
        for path in ("/user?id=bob", f"/user?id={LONG}", "/credentials", "/calls", f"/calls/{call}",
                     "/settings", "/settings/webhooks"):  # fmt: skip
            await page.goto(at + path)
            await page.evaluate(OPEN)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320, path
            assert await page.evaluate(TOO_WIDE) == [], path
        await page.emulate_media(forced_colors="active")
        await page.goto(at + "/settings")
        for links in (".side nav a", ".tabs a"):
            here = await page.locator(f"{links}[aria-current]").evaluate(DRAWN)
            there = await page.locator(f"{links}:not([aria-current])").first.evaluate(DRAWN)
            assert here[0] != there[0], links
            assert here[0] != here[1], links
        await page.emulate_media(forced_colors="none")


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.getAttribute('href')"))


async def test_a_list_that_updates_leaves_focus_and_marked_text_and_can_be_paused(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    """Its focus went by number: with each new call it was on another, which Enter opened."""
    tenant, key, _ = await furnished(dashboard_house, simulator)

    async def ring(name: str) -> str:
        call = {"caller": {"id": name}, "callees": ["bob"], "id": name}
        async with api(dashboard_house, key) as client:
            rung = (await client.post("/v1/calls", json=call)).raise_for_status()
        return str(rung.json()["session_id"])

    first = await ring("first")
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.headers.get("x-ringline-part", "")))
        await page.goto(f"{base}/t/{tenant}/calls")
        live = page.locator("#live")
        quick = "document.querySelector('#live').dataset.live = 20"
        await page.get_by_role("link", name="from first").focus()
        await ring("second")
        await expect(live).to_contain_text("default:second")
        assert (await focused(page)).endswith(first)
        await page.get_by_text("default:second").dblclick()
        marked = await page.evaluate("String(getSelection())")
        assert marked
        await page.evaluate(quick)
        await ring("third")
        await page.wait_for_timeout(400)
        assert await page.evaluate("String(getSelection())") == marked
        await page.evaluate("getSelection().removeAllRanges()")
        await expect(live).to_contain_text("default:third")
        await page.get_by_role("button", name="Pause updates").press("Enter")
        await page.evaluate(quick)
        await ring("fourth")
        await page.wait_for_timeout(400)
        before = len(asked)
        await page.wait_for_timeout(400)
        assert len(asked) == before
        await page.get_by_role("button", name="Resume updates").press("Enter")
        await expect(live).to_contain_text("default:fourth")
        assert json.dumps(asked).count("1") > 2
        await page.goto(f"{base}/t/{tenant}/calls/{first}")
        await expect(page.get_by_role("button", name=re.compile("Pause"))).to_be_visible()


SAYS = """() => {
  window.news = [];
  const place = document.querySelector("[data-news]");
  new MutationObserver(() => news.push(place.textContent)).observe(place, { childList: true });
}"""


async def test_who_hears_the_page_is_told_once_what_has_changed(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    """WCAG 2.2, 4.1.3: a part of a page that is replaced says nothing; each poll would say all."""
    tenant, key, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium) as page, api(dashboard_house, key) as client:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/calls")
        news = page.get_by_role("status").and_(page.locator("[data-news]"))
        await expect(news).to_have_attribute("class", "unseen")
        await page.evaluate(SAYS)
        await page.evaluate("document.querySelector('#live').dataset.live = 20")
        call = {"caller": {"id": "alice"}, "callees": ["bob"], "id": "told"}
        rung = (await client.post("/v1/calls", json=call)).raise_for_status().json()
        await expect(news).to_have_text("1 call in this list, 1 of them live")
        await page.wait_for_timeout(400)  # some ten polls more
        assert await page.evaluate("news") == ["1 call in this list, 1 of them live"]
        await page.goto(f"{base}/t/{tenant}/calls/{rung['session_id']}")
        await expect(news).to_have_text("")
        await page.evaluate(SAYS)
        await page.evaluate("document.querySelector('#live').dataset.live = 20")
        taken = {"user_id": "bob", "device_id": "bobs-phone"}
        (await client.post("/v1/calls/default:told/accept", json=taken)).raise_for_status()
        await expect(news).to_have_text("The call: Active. \u2068bob\u2069: In the call")
        (await client.post("/v1/calls/default:told/end", json={})).raise_for_status()
        await expect(news).to_contain_text("The call: Ended by the server", timeout=15_000)
        assert len(await page.evaluate("news")) == 2
