"""Each way in which a call ends, as the page says it: of the call, and in each phone's Recents."""

import pytest
from playwright.async_api import Browser, expect

from tests.devkit.lab.page import CAROL, MINE, SLOW, TWIN, LabPage, opened
from tests.e2e.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ended(lab: LabPage, words: str, reason: str, **recents: str) -> None:
    """The call ended with these words; Recents of `mine`, `twin`, `carol` begin with theirs."""
    await expect(lab.page.locator("#caller [data-state]")).to_have_text(words, timeout=SLOW)
    await expect(lab.page.locator("#calls li").first).to_contain_text(words)
    state = await lab.state()
    assert (state["calls"][0]["state"], state["calls"][0]["reason"]) == ("ended", reason)
    for name, text in recents.items():
        phone = {"mine": MINE, "twin": TWIN, "carol": CAROL}[name]
        await expect(lab.recents(phone).first).to_contain_text(text)


async def test_completed(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await lab.tap("End", MINE)
        await ended(
            lab, "completed", "completed",
            mine="Completed, hung up here", twin="Answered elsewhere",
        )  # fmt: skip


async def test_ended_by_server_while_it_is_up(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring("Carol")
        await lab.rings(CAROL)
        await lab.tap("Accept", CAROL)
        await expect(lab.caption(CAROL)).to_have_text("In the call")
        await lab.page.get_by_role("button", name="Server ends it").click()
        await ended(
            lab,
            "ended by the server",
            "ended_by_server",
            carol="Completed, ended by the other side",
        )


async def test_cancelled(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN)
        await lab.page.get_by_role("button", name="Alice hangs up").click()
        both = "Missed, the caller hung up"
        await ended(lab, "cancelled by the caller", "cancelled", mine=both, twin=both)


async def test_declined_here_and_declined_elsewhere(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN)
        await lab.tap("Decline", TWIN)
        await ended(
            lab, "declined", "declined", mine="Declined elsewhere", twin="Declined, on this phone"
        )


async def test_busy(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN)
        await lab.tap("Decline as busy", MINE)
        await ended(lab, "busy", "busy", mine="Declined, on this phone", twin="Declined elsewhere")


async def test_missed(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring(ring_time="5")
        await lab.rings(MINE, TWIN)
        both = "Missed, nobody answered"
        await ended(lab, "missed: nobody answered", "missed", mine=both, twin=both)


async def test_alone(chromium: Browser, lab_house: House) -> None:
    """Bob leaves a call of three that Carol has declined: Alice is alone, and after 10 s no more."""
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring("Bob and Carol")
        await lab.rings(MINE, CAROL)
        await lab.tap("Accept", MINE)
        await lab.tap("Decline", CAROL)
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await lab.tap("End", MINE)
        await ended(
            lab, "ended: one member was left alone", "alone",
            mine="Completed, hung up here", carol="Declined, on this phone",
        )  # fmt: skip


async def test_max_duration(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring(call_type="short")
        await lab.rings(MINE)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await ended(
            lab, "ended: its longest time was over", "max_duration",
            mine="Completed, ended by the other side",
        )  # fmt: skip


async def test_ended_by_server_while_it_rings(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN)
        await lab.page.get_by_role("button", name="Server ends it").click()
        both = "Missed, the caller hung up"
        await ended(lab, "ended by the server", "ended_by_server", mine=both, twin=both)


async def test_recents_keep_each_call_with_its_own_end(chromium: Browser, lab_house: House) -> None:
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.choose(CAROL, "Foreground")
        await lab.ring("Carol")
        await lab.rings(CAROL)
        await lab.tap("Decline", CAROL)
        await expect(lab.recents(CAROL)).to_have_count(1)
        await lab.ring("Carol")
        await lab.rings(CAROL)
        await lab.page.get_by_role("button", name="Alice hangs up").click()
        await expect(lab.recents(CAROL)).to_have_count(2)
        words = await lab.recents(CAROL).locator("b").all_inner_texts()
        assert words == ["Missed", "Declined"]
