"""The TypeScript client in a real browser, beside simulated phones of the same user."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.dashboard.test_in_a_browser import fits, fits_in_both_looks, new_page
from tests.devkit.lab.conftest import Visitor
from tests.devkit.lab.page import SLOW
from tests.e2e.house import House, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextlib.asynccontextmanager
async def opened(
    chromium: Browser, house: House, **view: Any
) -> AsyncIterator[tuple[Page, Visitor]]:
    """Bob's browser, whose stream is open, and somebody at the simulated phones."""
    address = f"{house.apis[0].url}/lab"
    async with (
        httpx.AsyncClient(base_url=address, timeout=30) as client,
        new_page(chromium, alone=True, **view) as page,
    ):
        lab = Visitor(client)
        await lab.post("/reset")
        await page.goto(f"{address}/web_phone")
        await expect(page.locator("#live")).to_have_text("Live", timeout=SLOW)
        yield page, lab


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


async def says(page: Page, sentence: str) -> None:
    await expect(page.get_by_role("status")).to_have_text(sentence, timeout=SLOW)


SHOWN = """async () => {
  const [registration] = await navigator.serviceWorker.getRegistrations();
  return (await registration.getNotifications()).map(({ title, body }) => `${title}: ${body}`);
}"""


async def shows(page: Page, text: str) -> None:
    """Wait until the browser shows this notification."""

    async def shown() -> bool:
        return text in await page.evaluate(SHOWN)

    await eventually(shown, timeout=SLOW / 1000)


async def test_its_service_worker_shows_what_the_simulated_push_service_has_opened(
    whole_chromium: Browser, lab_house: House
) -> None:
    view = {"viewport": {"width": 390, "height": 844}, "permissions": ["notifications"]}
    async with opened(whole_chromium, lab_house, **view) as (page, lab):
        await button(page, "Ring by Web Push").click()
        await expect(page.locator("#pushes")).to_contain_text("On:", timeout=SLOW)
        await fits(page)
        session = await lab.ring("bob")
        await says(page, "\u2068Alice\u2069 is calling.")
        await shows(page, "Alice: Incoming video call")
        await lab.post(f"/calls/{session}/cancel")
        await shows(page, "Alice: Call ended")
        await button(page, "Ring by Web Push").click()
        await expect(page.locator("#pushes")).to_have_text("Off.", timeout=SLOW)


async def test_it_rings_answers_and_stops_beside_the_simulated_phones(
    chromium: Browser, lab_house: House
) -> None:
    async with opened(chromium, lab_house) as (page, lab):
        await fits_in_both_looks(page)
        session = await lab.ring("bob")
        await says(page, "\u2068Alice\u2069 is calling.")
        await lab.until_rings("bob-1", "bob-2")
        await fits_in_both_looks(page)
        await button(page, "Answer").click()
        await says(page, "In the call.")
        for phone in ("bob-1", "bob-2"):
            assert (await lab.until_over(phone))["reason"] == 4
        await button(page, "Leave").click()
        await says(page, "Left.")
        await lab.post(f"/calls/{session}/end")


async def test_it_stops_when_another_phone_answers_and_stops_others_by_declining(
    chromium: Browser, lab_house: House
) -> None:
    async with opened(chromium, lab_house) as (page, lab):
        session = await lab.ring("bob")
        await lab.until_rings("bob-1")
        await says(page, "\u2068Alice\u2069 is calling.")
        await lab.post("/phones/bob-1/answer")
        await says(page, "Answered elsewhere.")
        await expect(button(page, "Answer")).to_be_hidden()
        await lab.post(f"/calls/{session}/end")
        await lab.until_ended(session)

        session = await lab.ring("bob")
        await says(page, "\u2068Alice\u2069 is calling.")
        await button(page, "Decline").click()
        await says(page, "Declined.")
        assert (await lab.until_ended(session))["reason"] == "declined"

        session = await lab.ring("bob")
        await says(page, "\u2068Alice\u2069 is calling.")
        await page.reload()
        await says(page, "\u2068Alice\u2069 is calling.")
        await lab.post(f"/calls/{session}/cancel")
        await says(page, "The call is over.")


async def test_by_one_click_all_of_bobs_ring_one_answers_and_all_others_stop(
    whole_chromium: Browser, lab_house: House
) -> None:
    """Two iPhones, an Android phone, an iPhone without CallKit, and this browser by push."""
    address = f"{lab_house.apis[0].url}/lab"
    view: dict[str, Any] = {
        "viewport": {"width": 1440, "height": 900}, "permissions": ["notifications"],
    }  # fmt: skip
    phones = ("bob-1", "bob-2", "bob-android", "bob-cn")
    async with (
        httpx.AsyncClient(base_url=address, timeout=30) as client,
        new_page(whole_chromium, alone=True, **view) as page,
    ):
        lab = Visitor(client)
        await lab.post("/reset")
        await page.goto(address)
        await expect(page.locator("#feed")).to_have_text("Live", timeout=SLOW)
        await button(page, "Ring Bob, his browser too").click()
        await lab.until_rings(*phones)
        frame = page.frame_locator("#browser iframe")
        await expect(frame.locator("#pushes")).to_contain_text("On:", timeout=SLOW)
        await expect(frame.locator("#said")).to_have_text(
            "\u2068Alice\u2069 is calling.", timeout=SLOW
        )
        await shows(page, "Alice: Incoming video call")
        for width in (1440, 390):
            await page.set_viewport_size({"width": width, "height": 844})
            await fits(page)
        await lab.post("/phones/bob-1/answer")
        await expect(frame.locator("#said")).to_have_text("Answered elsewhere.", timeout=SLOW)
        await shows(page, "Alice: Answered on another device")
        for phone in phones[1:]:
            assert (await lab.until_over(phone))["reason"] == 4
        told = page.get_by_role("region", name="The call’s timeline")
        for who in ("Apple", "Google", "The push service"):
            await expect(told).to_contain_text(f"{who} accepts the push to Bob's", timeout=SLOW)
        await expect(told).to_contain_text("a push goes to Bob's browser")
        await lab.post("/phones/bob-1/hang_up")
