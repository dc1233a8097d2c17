"""Pictures of the lab into docs/screenshots/: a ringing phone, a race, the watchdog.

With a folder as argument: every look into it, at 1440 and 390 pixels, light and dark, and whole
pages. Real servers and real rings; nothing is made up. `make screenshots` runs this.
"""

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright, expect

from devkit.embedded.stack import running_stack
from tests import browser as browsers
from tests.devkit.lab.page import CAROL, MINE, SLOW, TWIN, LabPage, opened

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "screenshots"
LOOKS = [(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")]


async def take(browser: Browser, base: str, folder: Path, width: int, scheme: str) -> None:
    """All pictures of one look. Into docs/ go the light ones of a wide window."""
    whole = folder != FOLDER

    async def picture(lab: LabPage, name: str) -> None:
        path = folder / (f"lab-{name}-{width}-{scheme}.png" if whole else f"lab-{name}.png")
        # One moment of the moving rings, and no half-drawn switch.
        await asyncio.sleep(0.7)
        await lab.page.evaluate("scrollTo(0, 0)")
        await lab.page.screenshot(path=path, full_page=whole)

    view: dict[str, Any] = {
        "viewport": {"width": width, "height": 900 if width == 1440 else 844},
        "color_scheme": scheme,
    }
    async with opened(browser, base, **view) as lab:
        if width == 390:
            for summary in await lab.page.locator("details.panel summary").all():
                await summary.click()
        if whole:
            await picture(lab, "idle")
        await lab.choose(CAROL, "Foreground")
        await lab.ring("Bob and Carol")
        await lab.rings(MINE, TWIN, CAROL)
        await picture(lab, "ringing")
        await lab.tap("Accept", MINE)
        await expect(lab.caption(TWIN)).to_contain_text("after the answer")
        await asyncio.sleep(2)
        await picture(lab, "race")
        await lab.tap("Decline", CAROL)
        await lab.page.get_by_role("button", name="Server ends it").click()
        await expect(lab.caption(MINE)).to_contain_text("Completed")
        await watchdog(lab)
        await picture(lab, "watchdog")


async def watchdog(lab: LabPage) -> None:
    """Bob's first phone is killed for a push that its library does not report."""
    await lab.pick(MINE, "Its library", value="flutter_webrtc_callkeep")
    await lab.pick(
        MINE, "Ringline sends", value="trap flutter_webrtc_callkeep.has_an_aps_key"
    )  # fmt: skip
    await lab.switch(CAROL, "Do Not Disturb")
    await lab.ring("Bob and Carol")
    await expect(lab.caption(MINE)).to_have_text("iOS killed the app", timeout=SLOW)


async def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as parts:
        stack = await asyncio.to_thread(
            lambda: parts.enter_context(running_stack(Path(place) / "stack", lambda *_: None))
        )
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=browsers.program(), args=browsers.ARGUMENTS
            )
            for width, scheme in LOOKS if folder != FOLDER else LOOKS[:1]:
                await take(browser, stack.api_url, folder, width, scheme)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
