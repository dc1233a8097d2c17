"""Each switch of a phone, by the mouse, in a real browser on the real path."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.devkit.lab.page import MINE, SLOW, TWIN, Standing, over, phone_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A payload that the library does not report; on Bob's first phone.
TRAP = "trap rocketchat.no_notification_type"


async def test_locked_rings_on_the_whole_screen(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.choose(MINE, "Foreground")
        await lab.choose(MINE, "Locked")
        await lab.ring()
        await lab.rings(MINE)
        await expect(lab.screen(MINE).locator(".call .avatar")).to_be_visible()
        await expect(lab.screen(MINE).locator(".drop-banner")).to_have_count(0)


async def test_foreground_rings_as_a_banner_over_the_app(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.choose(MINE, "Foreground")
        await expect(lab.screen(MINE).get_by_role("heading", name="Recents")).to_be_visible()
        await lab.ring()
        await lab.rings(MINE, TWIN)
        await expect(lab.screen(MINE).locator(".drop-banner")).to_contain_text("Alice")
        await expect(lab.screen(TWIN).locator(".drop-banner")).to_have_count(0)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(MINE)).to_have_text("In the call")


async def test_killed_is_started_by_the_push_and_comes_up_when_it_answers(
    standing: Standing,
) -> None:
    async with standing.anew() as lab:
        await lab.choose(MINE, "Killed")
        await expect(lab.screen(MINE)).to_contain_text("The app is not running")
        await lab.ring()
        await lab.rings(MINE)
        assert "launched" in await lab.did(MINE)
        assert "launched" not in await lab.did(TWIN)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(MINE)).to_have_text("In the call")
        radio = lab.column(MINE).get_by_role("radio", name="Locked", exact=True)
        await expect(radio).to_be_checked()


async def test_killing_the_app_in_a_call_fails_the_call_on_that_phone(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.ring()
        await lab.rings(MINE)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(MINE)).to_have_text("In the call")
        await lab.choose(MINE, "Killed")
        await expect(lab.recents(MINE).first).to_contain_text("Failed, the app died")


async def test_flight_mode_holds_the_push_back_until_it_ends(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.switch(MINE, "Flight mode")
        await expect(lab.screen(MINE).get_by_text("Flight mode is on")).to_be_attached()
        await lab.ring()
        await lab.rings(TWIN)
        await expect(lab.screen(MINE)).to_contain_text("1 push held back")
        await expect(lab.button("Accept", MINE)).to_have_count(0)
        await lab.switch(MINE, "Flight mode")
        await lab.rings(MINE)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(TWIN)).to_contain_text("Answered elsewhere")


async def test_a_push_that_comes_after_its_call_is_over_rings_no_longer_than_a_breath(
    standing: Standing,
) -> None:
    async with standing.anew() as lab:
        await lab.switch(MINE, "Flight mode")
        await lab.ring()
        await lab.rings(TWIN)
        await expect(lab.screen(MINE)).to_contain_text("1 push held back")
        await lab.page.get_by_role("button", name="Alice hangs up").click()
        await lab.until(over("cancelled"))
        await lab.switch(MINE, "Flight mode")
        await expect(lab.recents(MINE)).to_have_count(1)
        await expect(lab.recents(MINE).first).to_contain_text("Missed, the caller hung up")
        steps = await lab.did(MINE)
        assert steps.index("reported") < steps.index("ended")
        assert "killed" not in steps


async def test_without_late_delivery_what_flight_mode_held_is_lost(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.switch(MINE, "Late delivery")
        await lab.switch(MINE, "Flight mode")
        await lab.ring()
        await lab.rings(TWIN)
        await expect(lab.screen(MINE)).to_contain_text("1 push held back")
        await lab.switch(MINE, "Flight mode")
        await lab.until(lambda state: phone_in(state, MINE)["pushes_held"] == 0)
        assert "push_arrived" not in await lab.did(MINE)
        await expect(lab.button("Accept", MINE)).to_have_count(0)


async def test_do_not_disturb_shows_no_screen_and_the_others_go_on(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.switch(MINE, "Do Not Disturb")
        await expect(lab.screen(MINE).get_by_text("Do Not Disturb is on")).to_be_attached()
        await lab.ring()
        await lab.rings(TWIN)
        await expect(lab.recents(MINE).first).to_contain_text("Missed, silenced")
        await expect(lab.button("Accept", MINE)).to_have_count(0)
        assert "silenced" in await lab.did(MINE)
        await lab.tap("Accept", TWIN)
        await expect(lab.caption(TWIN)).to_have_text("In the call")


async def test_a_duplicated_push_shows_one_call(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.switch(MINE, "Duplicate next push")
        await lab.ring()
        await lab.rings(MINE, TWIN)
        steps = await lab.did(MINE)
        assert steps.count("push_arrived") == 2
        assert steps.count("ringing") == 1
        assert "already_ringing" in steps
        used_up = lab.column(MINE).get_by_role("switch", name="Duplicate next push")
        await expect(used_up).not_to_be_checked()
        await lab.tap("Decline", MINE)
        await expect(lab.recents(MINE)).to_have_count(1)


async def test_a_reordered_push_is_overtaken_by_the_next_one(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.switch(MINE, "Reorder next push")
        await lab.ring()
        await lab.rings(TWIN)
        await expect(lab.column(MINE).locator(".timeline li.push_held")).to_have_count(1)
        await lab.ring()
        await expect(lab.caption(MINE)).to_have_text("Ringing and 1 more")
        await expect(lab.caption(TWIN)).to_have_text("Ringing and 1 more")
        state = await lab.state()
        came = [call["uuid"] for call in phone_in(state, MINE)["calls"]]
        sent = [call["uuid"] for call in phone_in(state, TWIN)["calls"]]
        assert came == sent[::-1]


async def test_a_reordered_push_that_none_overtakes_comes_late(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.switch(MINE, "Reorder next push")
        await lab.ring()
        await lab.rings(TWIN)
        await lab.rings(MINE)
        steps = await lab.did(MINE)
        assert steps.index("push_held") < steps.index("push_arrived") < steps.index("ringing")


async def test_a_push_that_is_held_rings_late(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.switch(MINE, "Hold next push 5 s")
        await lab.ring()
        await lab.rings(TWIN)
        await expect(lab.screen(MINE)).to_contain_text("1 push held back")
        await lab.rings(MINE)
        await lab.tap("Accept", MINE)
        await expect(lab.caption(TWIN)).to_contain_text("Answered elsewhere")


@pytest.mark.parametrize(
    ("ios", "fault", "killed"),
    [
        ("Before 26.4", "iOS killed the app", True),
        ("26.4 and later", "No call was reported", False),
    ],
)
async def test_since_ios_26_4_an_app_in_front_need_not_report(
    standing: Standing, ios: str, fault: str, killed: bool
) -> None:
    async with standing.anew() as lab:
        await lab.pick(MINE, "Its library", value="rocketchat")
        await lab.pick(MINE, "Ringline sends", value=TRAP)
        await lab.choose(MINE, "Foreground")
        await lab.choose(MINE, ios)
        await lab.ring()
        await expect(lab.screen(MINE)).to_contain_text("notificationType")
        await expect(lab.caption(MINE)).to_have_text(fault, timeout=SLOW)
        not_reported = await lab.until(lambda state: "not_reported" in steps_of(state))
        assert not_reported
        assert ("killed" in steps_of(await lab.state())) is killed
        assert bool(phone_in(await lab.state(), MINE)["kills"]) is killed


def steps_of(state: dict[str, Any]) -> list[str]:
    """The steps that Bob's first phone has taken."""
    return [line["step"] for line in phone_in(state, MINE)["timeline"]]
