"""Each way in which a call ends, as the page says it: of the call, and in each phone's Recents."""

import pytest
from playwright.async_api import Browser, expect

from tests.devkit.lab.page import CAROL, MINE, SLOW, TWIN, LabPage, opened, phone_in
from tests.e2e.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")
PHONES = {"mine": MINE, "twin": TWIN, "carol": CAROL}


async def ended(
    lab: LabPage, words: str, reason: str, callkit: dict[str, int], **recents: str
) -> None:
    """The call ended with these words; Recents of `mine`, `twin`, `carol` begin with theirs.

    `callkit`: the reason that CallKit was given, of those whom the server told.
    """
    await expect(lab.page.locator("#caller [data-state]")).to_have_text(words, timeout=SLOW)
    await expect(lab.page.locator("#calls li").first).to_contain_text(words)
    state = await lab.state()
    assert (state["calls"][0]["state"], state["calls"][0]["reason"]) == ("ended", reason)
    for name, text in recents.items():
        await expect(lab.recents(PHONES[name]).first).to_contain_text(text)
    state = await lab.state()
    newest = {name: phone_in(state, PHONES[name])["recents"][0] for name in callkit}
    assert {name: one["reason"] for name, one in newest.items()} == callkit


async def test_a_call_that_somebody_ends(chromium: Browser, lab_house: House) -> None:
    """One after another on one page, which so has all that went before in its Recents."""
    async with opened(chromium, lab_house.apis[0].url) as lab:
        press = lab.page.get_by_role

        await lab.ring()
        await lab.rings(MINE, TWIN)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await lab.tap("End", MINE)
        await ended(
            lab, "completed", "completed", {"twin": 4},
            mine="Completed, hung up here", twin="Answered elsewhere",
        )  # fmt: skip

        await lab.ring("Carol")
        await lab.rings(CAROL)
        await lab.tap("Accept", CAROL)
        await expect(lab.caption(CAROL)).to_have_text("In the call")
        await press("button", name="Server ends it").click()
        await ended(
            lab, "ended by the server", "ended_by_server", {"carol": 2},
            carol="Completed, ended by the other side",
        )  # fmt: skip

        await lab.ring()
        await lab.rings(MINE, TWIN)
        await press("button", name="Alice hangs up").click()
        both, told = "Missed, the caller hung up", {"mine": 2, "twin": 2}
        await ended(lab, "cancelled by the caller", "cancelled", told, mine=both, twin=both)

        await lab.ring()
        await lab.rings(MINE, TWIN)
        await lab.tap("Decline", TWIN)
        await ended(
            lab, "declined", "declined", {"mine": 5},
            mine="Declined elsewhere", twin="Declined, on this phone",
        )  # fmt: skip

        await lab.ring()
        await lab.rings(MINE, TWIN)
        await lab.tap("Decline as busy", MINE)
        await ended(
            lab, "busy", "busy", {"twin": 5},
            mine="Declined, on this phone", twin="Declined elsewhere",
        )  # fmt: skip

        await lab.ring()
        await lab.rings(MINE, TWIN)
        await press("button", name="Server ends it").click()
        await ended(lab, "ended by the server", "ended_by_server", told, mine=both, twin=both)

        # Recents keep each call with its own end, newest first
        await lab.choose(MINE, "Foreground")
        await expect(lab.recents(MINE)).to_have_count(5)
        assert await lab.recents(MINE).locator("b").all_inner_texts() == [
            "Missed", "Declined", "Declined elsewhere", "Missed", "Completed",
        ]  # fmt: skip


@pytest.mark.long(30)
async def test_a_call_that_ends_by_its_time(chromium: Browser, lab_house: House) -> None:
    """Unanswered; of three of whom one declines and one leaves, so that Alice is alone; too long."""
    async with opened(chromium, lab_house.apis[0].url) as lab:
        await lab.ring(ring_time="5")
        await lab.rings(MINE, TWIN)
        both = "Missed, nobody answered"
        told = {"mine": 3, "twin": 3}
        await ended(lab, "missed: nobody answered", "missed", told, mine=both, twin=both)
        call = (await lab.state())["calls"][0]
        assert 4_500 < call["ended_ms"] - call["asked_ms"] < 8_500

        await lab.ring("Bob and Carol", ring_time="15")
        await lab.rings(MINE, CAROL)
        await lab.tap("Accept", MINE)
        await lab.tap("Decline", CAROL)
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await lab.tap("End", MINE)
        await ended(
            lab, "ended: one member was left alone", "alone", {},
            mine="Completed, hung up here", carol="Declined, on this phone",
        )  # fmt: skip

        await lab.ring(call_type="short")
        await lab.rings(MINE)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await ended(
            lab, "ended: its longest time was over", "max_duration", {"mine": 2},
            mine="Completed, ended by the other side",
        )  # fmt: skip
