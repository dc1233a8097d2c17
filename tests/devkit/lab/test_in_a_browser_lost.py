"""What the page says when the server, or the simulated Apple, is not there."""

import contextlib
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from devkit.simulator import Simulator
from tests.conftest import DatabaseServer
from tests.devkit.lab.conftest import house_with_lab
from tests.devkit.lab.page import MINE, SLOW, TWIN, opened
from tests.e2e.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_server_that_falls_silent_is_told_and_one_that_is_back_is_drawn(
    chromium: Browser, lab_house: House
) -> None:
    server = lab_house.apis[0]
    async with opened(chromium, server.url) as lab:
        lab.page.expected = re.compile("ERR_INTERNET_DISCONNECTED")  # type: ignore[attr-defined]
        lost = lab.page.get_by_role("alert").filter(has_text="Trying again")
        server.freeze()
        try:
            await expect(lost).to_contain_text("The server has fallen silent.", timeout=SLOW)
            await expect(lab.page.locator("#feed")).to_have_text("Lost")
            await lab.page.context.set_offline(True)
            await expect(lost).to_contain_text("The server does not answer.", timeout=SLOW)
            await lab.page.get_by_role("button", name="Ring Bob", exact=True).click()
            await expect(lab.page.locator("#trouble")).to_contain_text("Nothing was done.")
        finally:
            server.thaw()
        await lab.page.context.set_offline(False)
        await expect(lab.page.locator("#feed")).to_have_text("Live")
        await expect(lost).to_be_hidden()
        await lab.ring()
        await lab.rings(MINE, TWIN)
        await expect(lab.page.locator("#trouble")).to_be_hidden()


async def test_when_the_simulated_apple_goes_the_page_says_that_the_lab_is_gone(
    chromium: Browser, database_server: DatabaseServer, tmp_path: Path
) -> None:
    apple = contextlib.ExitStack()
    with apple:
        simulator = apple.enter_context(Simulator.running())
        with house_with_lab(database_server, simulator, tmp_path) as house:
            async with opened(chromium, house.apis[0].url) as lab:
                lab.page.expected = re.compile("status of 404")  # type: ignore[attr-defined]
                apple.close()
                lost = lab.page.get_by_role("alert").filter(has_text="Trying again")
                await expect(lost).to_contain_text("The lab is not there", timeout=SLOW)
                gone = await lab.page.request.get(lab.url)
                assert gone.status == 404
