"""A browser for the tests: Chromium or Chrome as this machine has it, installed where it has none.

`python -m tests.browser` installs it if need be and prints where it is; `make test` does so first.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from playwright.async_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
    "--disable-software-rasterizer",
]  # fmt: skip
BY_HAND = "sudo apt-get install -y chromium"


def find() -> str | None:
    """The browser's program: RINGLINE_TEST_BROWSER, one on PATH, or Playwright's own."""
    given = os.environ.get("RINGLINE_TEST_BROWSER")
    if given:
        return given
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    found = found or next((place for place in PLACES if Path(place).exists()), None)
    return found or _playwrights()


def _playwrights() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if path and Path(path).exists() else None


def install() -> str | None:
    """Debian's package as root or with sudo that asks nothing; else Playwright's download."""
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "chromium"]):
            _try([*sudo, *command])
    if find() is None:
        _try([sys.executable, "-m", "playwright", "install", "chromium"])
    return find()


def _try(command: list[str]) -> None:
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(
            command,
            env=quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return


def program() -> str:
    """The browser's program; an error that says what to run where there is none."""
    found = find()
    if found is None:
        raise RuntimeError(f"the browser tests need Chromium or Chrome: {BY_HAND}")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator["Browser"]:
    """One browser for all tests of a process; each has pages, or a context, of its own."""
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=60_000)  # ends a hang; a busy machine takes its seconds
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=ARGUMENTS)
        yield browser
        await browser.close()


if __name__ == "__main__":
    if (find() or install()) is None:
        sys.exit(f"No Chromium or Chrome, and none could be installed. Run: {BY_HAND}")
    sys.stdout.write(program() + "\n")
