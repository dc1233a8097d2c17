"""Payloads on the page: the raw push, each library's trap, the watchdog, a pasted payload."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import expect

from devkit.phone import PROFILES, parse
from tests.devkit.lab.page import MINE, SLOW, TWIN, LabPage, Standing, phone_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIBRARIES = [name for name in PROFILES if name != "custom"]
WORDS = {
    "reported": "Rings",
    "crash": "Crashes",
    "never_rings": "Never rings",
    "killed_by_watchdog": "Killed by iOS",
}
# What was read in each library's own iOS code; the page must come to the same.
KNOWN = {
    ("stream", "`video` is a JSON boolean"): "Crashes",
    ("flutter_callkit_incoming", "`id` is the call's cid"): "Killed by iOS",
    ("flutter_callkit_incoming", "`isVideo` is a string"): "Rings",
    ("rn_callkeep", "`uuid` is the call's cid"): "Never rings",
    ("connectycube", "`caller_id` is a string"): "Crashes",
    ("flutter_webrtc_callkeep", "there is an `aps` key"): "Killed by iOS",
    ("flutter_webrtc_callkeep", "`caller_id` is missing"): "Crashes",
    ("expo_callkit_telecom", "`incomingCall`, as its docs have it"): "Killed by iOS",
}


async def test_each_librarys_trap_is_shown_with_its_verdict(standing: Standing) -> None:
    async with standing.anew() as lab:
        cards = lab.page.locator("#traps > li")
        for (library, title), word in KNOWN.items():
            card = cards.filter(has_text=library).filter(has_text=title.replace("`", ""))
            await expect(card).to_have_count(1)
            await expect(card.locator(".tag")).to_have_text(word)
        shown = await cards.locator("code:first-child").first.inner_text()
        assert shown in LIBRARIES
        listed = json.loads(await (await lab.page.request.get(f"{lab.url}/traps")).body())
        assert {trap["profile"] for trap in listed} == set(LIBRARIES)
        await expect(cards).to_have_count(len(listed))
        warned = cards.filter(has_text="isVideo is a string").locator(".warn-ink")
        await expect(warned).to_contain_text("a video call is shown as a voice call")


TRIED = [
    ("ringline.cid_without_type", "No call was reported", "cid"),
    ("stream.video_is_a_boolean", "The app crashed", "isEqualToString"),
    ("flutter_callkit_incoming.id_is_no_uuid", "No call was reported", "which is no UUID"),
    ("rn_callkeep.uuid_is_no_uuid", "No call was reported", "which is no UUID"),
    ("connectycube.caller_id_is_a_string", "The app crashed", "caller_id is a string"),
    ("flutter_webrtc_callkeep.has_an_aps_key", "No call was reported", "an aps key"),
    ("expo_callkit_telecom.incoming_call_as_in_its_docs", "No call was reported", "incomingCall"),
    ("rocketchat.no_notification_type", "No call was reported", "notificationType"),
]


@pytest.mark.parametrize(("trap", "title", "why"), TRIED)
async def test_a_trap_comes_the_real_way_and_its_sentence_is_on_the_phone(
    standing: Standing, trap: str, title: str, why: str
) -> None:
    async with standing.anew() as lab:
        await lab.page.locator(f"[data-act=try][data-trap='{trap}']").click()
        await expect(lab.screen(MINE)).to_contain_text(title)
        await expect(lab.screen(MINE)).to_contain_text(why)
        await lab.rings(TWIN)
        await expect(lab.button("Accept", MINE)).to_have_count(0)
        found = phone_in(await lab.state(), MINE)
        assert found["library"] == trap.split(".")[0]
        assert found["sends"] == {"trap": trap}
        own = lab.page.locator(f"#push [data-profile={found['library']}]")
        await show_push(lab, MINE)
        await expect(own).to_contain_text("this phone has it")
        await expect(own.locator(".tag")).to_have_text(re.compile("Killed|Crashes|Never"))


async def test_a_trap_that_only_spoils_the_picture_rings_and_says_so(standing: Standing) -> None:
    async with standing.anew() as lab:
        trap = "flutter_callkit_incoming.is_video_is_a_string"
        await lab.page.locator(f"[data-act=try][data-trap='{trap}']").click()
        await lab.rings(MINE, TWIN)
        await expect(lab.screen(MINE)).to_contain_text("Ringline audio")
        await expect(lab.screen(TWIN)).to_contain_text("Ringline video")


async def test_the_watchdog_kills_the_app_on_screen_and_says_why(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.pick(MINE, "Its library", value="expo_callkit_telecom")
        await lab.pick(MINE, "Ringline sends", value="profile stream")
        await lab.ring()
        await expect(lab.screen(MINE)).to_contain_text("No call was reported")
        await expect(lab.screen(MINE)).to_contain_text("incoming_call is missing")
        await expect(lab.screen(MINE)).to_contain_text("iOS killed the app", timeout=SLOW)
        await expect(lab.screen(MINE)).to_contain_text("incoming_call is missing")
        await expect(lab.caption(MINE)).to_have_text("iOS killed the app")
        killed = lab.column(MINE).get_by_role("radio", name="Killed", exact=True)
        await expect(killed).to_be_checked()
        steps = await lab.did(MINE)
        assert steps.index("push_arrived") < steps.index("not_reported") < steps.index("killed")
        await lab.pick(MINE, "Ringline sends", value="")
        await lab.page.get_by_role("button", name="Alice hangs up").click()
        await lab.ring()
        await lab.rings(MINE)


async def show_push(lab: LabPage, phone: str) -> None:
    """Look at this phone's push."""
    whose = lab.page.get_by_role("group", name="Whose push")
    await whose.get_by_role("radio", name=phone.removesuffix(" iPhone"), exact=True).check()


async def test_the_raw_push_is_shown_whole_but_for_what_is_secret(standing: Standing) -> None:
    async with standing.anew() as lab:
        await lab.ring()
        await lab.rings(MINE, TWIN)
        await show_push(lab, MINE)
        push = lab.page.get_by_role("region", name="The raw push", exact=True)
        state = phone_in(await lab.state(), MINE)
        raw: dict[str, Any] = state["raw_push"]
        await expect(push).to_contain_text(f"{raw['bytes']:,} of 5,120 bytes")
        for name, value in raw["headers"].items():
            await expect(push.locator("dl")).to_contain_text(name)
            await expect(push.locator("dl")).to_contain_text(str(value))
        shown = json.loads(await push.locator("pre").inner_text())
        assert shown == raw["payload"]
        assert "not shown" in shown["ring"]["token"]
        assert not re.search(r"rl_ct_\w{8}|[0-9a-f]{64}", await lab.page.content())
        for library in LIBRARIES:
            verdict = next(one for one in state["verdicts"] if one["profile"] == library)
            line = push.locator(f"[data-profile={library}]")
            await expect(line.locator(".tag")).to_have_text(WORDS[verdict["outcome"]])
            await expect(line).to_contain_text(verdict["reason"].replace("`", ""))


async def test_a_pasted_payload_is_judged_as_the_phones_would(standing: Standing) -> None:
    payload = json.dumps({"uuid": "0193f7a2-7d0e-7a31-9c41-1f4b2b7a66d0", "callerName": "Zoë"})
    async with standing.anew() as lab:
        form = lab.page.get_by_role("region", name="A payload of yours")
        await form.get_by_label("VoIP payload, as JSON").fill(payload)
        await form.get_by_role("button", name="What would each library do?").click()
        size = len(payload.encode())
        await expect(form).to_contain_text(f"{size} of 5,120 bytes")
        for library in LIBRARIES:
            verdict = parse(library, payload.encode())
            line = form.locator(f"[data-profile={library}]")
            await expect(line.locator(".tag")).to_have_text(WORDS[verdict.outcome.value])
            await expect(line).to_contain_text(verdict.reason.replace("`", ""))
        big = json.dumps({"uuid": "x" * 6000})
        await form.get_by_label("VoIP payload, as JSON").fill(big)
        await form.get_by_role("button", name="What would each library do?").click()
        await expect(form).to_contain_text("Apple refuses it: PayloadTooLarge")
        evil = "<img src=x onerror=alert(1)>"
        await form.get_by_label("VoIP payload, as JSON").fill(json.dumps({"uuid": evil}))
        await form.get_by_role("button", name="What would each library do?").click()
        await expect(form.locator("[data-profile=rn_callkeep]")).to_contain_text(evil)
        assert await form.locator("img").count() == 0
        await form.get_by_label("VoIP payload, as JSON").fill("{not json")
        await form.get_by_role("button", name="What would each library do?").click()
        await expect(form.get_by_role("alert")).to_contain_text("is not JSON")
