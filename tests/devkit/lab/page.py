"""The lab's page in a real browser, as its tests use it: by the names that people read."""

import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from tests.dashboard.test_in_a_browser import new_page, unexpected
from tests.e2e.house import eventually

MINE, TWIN, CAROL = "Bob's iPhone", "Bob's second iPhone", "Carol's iPhone"
DROID = "Bob's Android phone"
ALERTED = "Bob's iPhone without CallKit"
DEVICES = {MINE: "bob-1", TWIN: "bob-2", DROID: "bob-android", ALERTED: "bob-cn", CAROL: "carol-1"}
PATIENCE = 60.0
# For what takes the model or the server its seconds: the watchdog, a ring time, a call's length.
SLOW = PATIENCE * 1000


@dataclass
class LabPage:
    """One open page. `phone` is a phone's name as it is on the page."""

    page: Page
    url: str

    async def state(self) -> dict[str, Any]:
        """What the server says now."""
        answer = await self.page.request.get(f"{self.url}/state")
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = json.loads(await answer.body())
        return found

    async def until(self, check: Callable[[dict[str, Any]], Any]) -> Any:
        """What `check` makes of the server's state, once that is true."""

        async def checked() -> Any:
            return check(await self.state())

        return await eventually(checked, timeout=PATIENCE)

    def column(self, phone: str) -> Locator:
        """A phone with its switches."""
        return self.page.get_by_role("region", name=phone, exact=True)

    def screen(self, phone: str) -> Locator:
        """What is on a phone's screen."""
        return self.page.get_by_role("group", name=f"Screen of {phone}", exact=True)

    def caption(self, phone: str) -> Locator:
        """The line below a phone."""
        return self.column(phone).locator(".caption")

    def recents(self, phone: str) -> Locator:
        """The entries of a phone's Recents, newest first."""
        return self.screen(phone).get_by_role("list", name=f"Recents of {phone}").locator("li")

    def button(self, what: str, phone: str) -> Locator:
        """A button of a phone's call screen."""
        return self.screen(phone).get_by_role("button", name=f"{what} on {phone}", exact=True)

    async def ring(self, whom: str = "Bob", **options: str) -> None:
        """Press a ring button; `ring_time` and `call_type` are chosen first."""
        for name, value in options.items():
            await self.page.locator(f"#asking [name={name}]").select_option(value)
        await self.page.get_by_role("button", name=f"Ring {whom}", exact=True).click()

    async def tap(self, what: str, phone: str) -> None:
        """Tap a button of a phone."""
        await self.button(what, phone).click()

    async def rings(self, *phones: str) -> None:
        """Each of these phones rings, on the page."""
        for phone in phones:
            await expect(self.caption(phone)).to_have_text("Ringing", timeout=SLOW)
            await expect(self.button("Accept", phone)).to_be_visible()

    async def choose(self, phone: str, word: str) -> None:
        """Where the app is, or which iOS it is: by a press on the word."""
        await self.column(phone).locator("label", has_text=re.compile(f"^{word}$")).click()
        await expect(self.column(phone).get_by_role("radio", name=word, exact=True)).to_be_checked()

    async def switch(self, phone: str, word: str) -> None:
        """Turn a switch over, and wait until the server has it so."""
        found = self.column(phone).get_by_role("switch", name=word, exact=True)
        key = await found.get_attribute("data-key")
        wanted = not await found.is_checked()
        await found.click()
        assert key is not None

        def is_so(state: dict[str, Any]) -> bool:
            one = phone_in(state, phone)
            return bool((one["conditions"] | one["next_push"])[key]) is wanted

        await self.until(is_so)

    async def pick(self, phone: str, label: str, **chosen: str) -> None:
        """Choose the phone's library or what Ringline sends to it; wait until the server has it."""
        await self.column(phone).get_by_label(label).select_option(**chosen)
        picked = await self.column(phone).get_by_label(label).input_value()
        wanted = picked.split()[-1] if picked else None

        def is_so(state: dict[str, Any]) -> bool:
            one = phone_in(state, phone)
            sends = next(iter(one["sends"].values()), None)
            return bool((one["library"] if label == "Its library" else sends) == wanted)

        await self.until(is_so)

    async def did(self, phone: str) -> list[str]:
        """The steps of a phone's timeline, oldest first, as the page has them."""
        lines = self.column(phone).locator(".timeline li")
        steps = await lines.evaluate_all("all => all.map((one) => one.className)")
        return list(steps)[::-1]


def phone_in(state: dict[str, Any], phone: str) -> dict[str, Any]:
    """A phone of a state, by its name."""
    found: dict[str, Any] = next(one for one in state["phones"] if one["name"] == phone)
    return found


def over(reason: str) -> Callable[[dict[str, Any]], bool]:
    """Whether the newest call of a state has ended for this reason."""
    return lambda state: state["calls"][0]["reason"] == reason


async def reset(page: Page, base: str) -> None:
    """New phones, with nothing remembered."""
    answer = await page.request.post(f"{base}/lab/reset", data={})
    assert answer.status == 202, await answer.text()


@contextlib.asynccontextmanager
async def opened(chromium: Browser, base: str, **view: Any) -> AsyncIterator[LabPage]:
    """The lab with new phones, in a page whose console complaints fail the test."""
    async with new_page(chromium, **view) as page:
        await reset(page, base)
        await page.goto(f"{base}/lab")
        await expect(page.locator("#feed")).to_have_text("Live")
        await expect(page.locator("#traps li").first).to_be_visible()
        yield LabPage(page, f"{base}/lab")


class Standing:
    """The lab in a page that stays open from test to test of a module.

    To open it, and to leave it, costs half a second of CPU, more than most of what is done on it. What
    the page itself remembers (what it asks for, whose push it shows) stays with it.
    """

    def __init__(self, chromium: Browser, base: str) -> None:
        self._chromium, self._base = chromium, base
        self._open = contextlib.AsyncExitStack()
        self._lab: LabPage | None = None

    @contextlib.asynccontextmanager
    async def anew(self) -> AsyncIterator[LabPage]:
        """With new phones; its console's complaints fail the test. Who fails leaves it to be opened."""
        async with contextlib.AsyncExitStack() as unless_well:
            unless_well.push_async_exit(self.close)
            yield await self._with_new_phones()
            assert self._lab is not None
            assert unexpected(self._lab.page) == []
            unless_well.pop_all()

    async def close(self, *failure: Any) -> None:
        """Leave the page; after a failure, for good."""
        one, self._open, self._lab = self._open, contextlib.AsyncExitStack(), None
        await one.__aexit__(*(failure or (None, None, None)))

    async def _with_new_phones(self) -> LabPage:
        if self._lab is None:
            self._lab = await self._open.enter_async_context(opened(self._chromium, self._base))
            return self._lab
        page = self._lab.page
        await reset(page, self._base)
        # on the old ones something has been, once a call has rung, to the end of them
        await expect(page.locator(".caption")).to_have_text(["Idle"] * len(DEVICES))
        return self._lab
