"""The lab in a real browser, on real processes: the ring, the race, the keyboard, every size."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.dashboard.test_in_a_browser import fits, fits_in_both_looks, new_page
from tests.devkit.lab.page import CAROL, DEVICES, DROID, MINE, TWIN, LabPage, opened, over, phone_in
from tests.e2e.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_one_click_rings_from_a_page_that_nobody_signed_in_to(
    chromium: Browser, lab_house: House
) -> None:
    async with new_page(chromium, reduced_motion="no-preference") as page:
        # what another test chose for these phones (a library, a trap's payload) is not the lab's
        await page.request.post(f"{lab_house.apis[0].url}/lab/reset", data={})
        await page.goto(f"{lab_house.apis[0].url}/lab")
        await expect(page.get_by_text("It is not proof of what iOS does")).to_be_visible()
        await page.get_by_role("button", name="Ring Bob", exact=True).click()
        lab = LabPage(page, f"{lab_house.apis[0].url}/lab")
        await lab.rings(MINE, TWIN)
        await expect(lab.screen(MINE)).to_contain_text("Alice")
        await expect(lab.screen(MINE)).to_contain_text("Ringline video")
        await page.get_by_role("button", name="Alice hangs up").click()
        await lab.until(over("cancelled"))


async def test_two_phones_one_answers_and_the_other_stops_in_so_many_milliseconds(
    chromium: Browser, lab_house: House
) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN, DROID)
        await lab.tap("Accept", TWIN)
        await expect(lab.caption(TWIN)).to_have_text("In the call")
        await expect(lab.caption(MINE)).to_contain_text("Answered elsewhere")
        race = await lab.until(
            lambda state: (
                state["race"]
                and len(state["race"]["stopped"]) == 3
                and [one for one in state["race"]["stopped"] if one["phone"] == DEVICES[MINE]]
            )
        )
        board = lab.page.get_by_role("region", name="The race")
        await expect(board).to_contain_text(f"Answered on {TWIN}")
        await expect(board).to_contain_text(f"{DROID} stopped after the answer")
        mine = board.locator("li", has_text=f"{MINE} stopped after the answer")
        shown = mine.locator("strong[data-ms]")
        await expect(shown).to_have_attribute("data-ms", str(race[0]["ms_after_answer"]))
        assert race[0]["ms_after_answer"] > 0
        number = re.fullmatch(r"([\d,.]+)\sms", await shown.inner_text())
        assert number, await shown.inner_text()
        read = float(number.group(1).replace(",", ""))
        assert read == pytest.approx(race[0]["ms_after_answer"], abs=0.51)
        await the_table_says_what_the_state_says(lab)


async def the_table_says_what_the_state_says(lab: LabPage) -> None:
    """Each cell of the last call's table is a time of the state, and in the order of a ring."""
    state = await lab.state()
    times = state["calls"][0]["times"]
    for phone in (MINE, TWIN):
        cells = lab.page.locator(f".numbers tr[data-phone={DEVICES[phone]}] td[data-ms]")
        shown = await cells.evaluate_all("all => all.map((one) => Number(one.dataset.ms))")
        of_it = {one["what"]: one["ms"] for one in times if one["phone"] == DEVICES[phone]}
        assert shown[:2] == [of_it["push"], of_it["ringing"]]
        assert 0 < of_it["push"] <= of_it["ringing"]
    drawing = lab.page.get_by_role("img", name=re.compile(f"{MINE}: push after .*stopped after"))
    await expect(drawing).to_be_visible()


async def test_who_taps_second_in_the_same_moment_is_told_so(
    chromium: Browser, lab_house: House
) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN, DROID)
        await lab.page.get_by_role("button", name="All answer in the same moment").click()
        race = await lab.until(
            lambda state: state["race"] and len(state["race"]["stopped"]) == 3 and state["race"]
        )
        names = {device: name for name, device in DEVICES.items()}
        await expect(lab.caption(names[race["winner"]])).to_have_text("In the call")
        board = lab.page.get_by_role("region", name="The race")
        for one in race["stopped"]:
            assert one["tapped_too"] is True
            loser = names[one["phone"]]
            await expect(lab.caption(loser)).to_contain_text("Answered elsewhere")
            await expect(board).to_contain_text(f"{loser} tapped too")


async def test_a_group_rings_and_each_person_decides_alone(
    chromium: Browser, lab_house: House
) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring("Bob and Carol")
        await lab.rings(MINE, TWIN, CAROL)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(TWIN)).to_contain_text("Answered elsewhere")
        await expect(lab.caption(CAROL)).to_have_text("Ringing")
        await lab.tap("Accept", CAROL)
        await expect(lab.caption(CAROL)).to_have_text("In the call")
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await expect(lab.page.locator("#calls li").first).to_contain_text(
            "bob joined, carol joined"
        )


async def test_the_keyboard_alone_rings_answers_and_hangs_up(
    chromium: Browser, lab_house: House
) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        page = lab.page
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")
        await tab_to(page, "Ring Bob")
        await page.keyboard.press("Enter")
        await lab.rings(MINE, TWIN)
        await tab_to(page, f"Accept on {MINE}")
        await page.keyboard.press("Enter")
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await expect(lab.screen(MINE)).to_be_focused()
        await tab_to(page, f"End on {MINE}")
        await page.keyboard.press("Space")
        await expect(lab.caption(MINE)).to_contain_text("Completed")
        await expect(page.get_by_role("status")).to_contain_text("The call is over: completed.")


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is focused is called so."""
    script = "document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()"
    for _ in range(60):
        await page.keyboard.press("Tab")
        if name == await page.evaluate(script):
            return
    raise AssertionError(f"the Tab key does not reach {name!r}")


async def test_every_look_fits_and_is_accessible(chromium: Browser, lab_house: House) -> None:
    narrow = {"width": 390, "height": 844}
    async with opened(chromium, lab_house.apis[0].url, viewport=narrow) as lab:
        await fits(lab.page)  # with its panels closed
        for summary in await lab.page.locator("details.panel summary").all():
            await summary.click()
        await fits_in_both_looks(lab.page)
        await lab.choose(TWIN, "Foreground")
        await lab.choose(CAROL, "Killed")
        await lab.ring("Bob and Carol")
        await lab.rings(MINE, TWIN, CAROL)
        await fits_in_both_looks(lab.page)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(TWIN)).to_contain_text("Answered elsewhere")
        await lab.page.locator("summary", has_text="What it did").first.click()
        await lab.page.locator("#traps summary").first.click()
        await fits_in_both_looks(lab.page)
        await lab.tap("Decline", CAROL)
        await lab.pick(CAROL, "Ringline sends", value="profile rocketchat")
        await lab.ring("Carol")
        await expect(lab.screen(CAROL)).to_contain_text("No call was reported")
        await fits_in_both_looks(lab.page)


async def test_an_android_phone_rings_as_far_as_android_lets_it(
    chromium: Browser, lab_house: House
) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.switch(DROID, "Full-screen calls allowed")
        await lab.switch(DROID, "Doze")
        await expect(lab.screen(DROID)).to_contain_text("only high priority wakes it")
        await lab.ring()
        await lab.rings(MINE, TWIN, DROID)
        await expect(lab.screen(DROID).locator(".drop-banner")).to_contain_text("Alice")
        await expect(lab.screen(TWIN).locator(".drop-banner")).to_have_count(0)
        await fits_in_both_looks(lab.page)
        await lab.tap("Accept", DROID)
        await expect(lab.caption(DROID)).to_have_text("In the call")
        await expect(lab.caption(MINE)).to_contain_text("Answered elsewhere")
        steps = await lab.did(DROID)
        assert steps.index("push_arrived") < steps.index("ringing") < steps.index("accepted")
        await lab.page.locator("label", has_text=re.compile("^Bob's Android phone$")).click()
        await expect(lab.page.locator("#push")).to_contain_text("of 4,096 bytes")
        await fits_in_both_looks(lab.page)
        await lab.tap("End", DROID)
        await expect(lab.caption(DROID)).to_contain_text("Completed")


async def test_nothing_moves_for_those_who_want_no_motion(
    chromium: Browser, lab_house: House
) -> None:
    script = "document.getAnimations().filter((one) => one.playState === 'running').length"
    async with opened(chromium, lab_house.apis[0].url, reduced_motion="no-preference") as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN)
        assert await lab.page.evaluate(script) > 0
        await lab.page.emulate_media(reduced_motion="reduce")
        assert await lab.page.evaluate(script) == 0
        await lab.rings(MINE, TWIN)


async def test_a_reload_shows_the_same_phones_and_reset_makes_new_ones(
    chromium: Browser, lab_house: House
) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring("Carol")
        await lab.rings(CAROL)
        await lab.page.reload()
        await lab.rings(CAROL)
        await lab.page.get_by_role("button", name="Reset").click()
        await expect(lab.caption(CAROL)).to_have_text("Idle")
        assert_new(await lab.state())


def assert_new(state: dict[str, Any]) -> None:
    assert state["calls"] == []
    assert phone_in(state, CAROL)["recents"] == []
