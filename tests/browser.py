"""A browser for the tests: Chromium or Chrome as this machine has it, installed where it has none.

Most tests drive the headless shell where there is one: the same engine without the program around it,
a fifth less CPU. It shows no notifications, so that some need the whole browser (`whole_chromium`).

`python -m tests.browser` installs both if need be and prints where they are; `make test` does so first.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from playwright.async_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SHELLS = ("chromium-headless-shell", "chrome-headless-shell", "headless_shell")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
    "--disable-software-rasterizer",
    "--in-process-gpu",  # what draws without a graphics card needs no process of its own
    "--disable-site-isolation-trials", "--renderer-process-limit=1",  # nor does each page
    "--js-flags=--single-threaded",  # what it compiles and collects beside costs more than it saves
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


def find_shell() -> str | None:
    """The headless shell's program: on PATH, or Playwright's own; None where a browser was given."""
    if os.environ.get("RINGLINE_TEST_BROWSER"):
        return None
    found = next((path for name in SHELLS if (path := shutil.which(name))), None)
    return found or _playwrights_shell()


def _playwrights() -> str | None:
    path = _where_playwright_keeps_it()
    return str(path) if path.exists() else None


def _playwrights_shell() -> str | None:
    """Beside its browser: `chromium-1234/...`, `chromium_headless_shell-1234/*/headless_shell`."""
    path = _where_playwright_keeps_it()
    kept = next((one for one in path.parents if one.name.startswith("chromium-")), path)
    beside = kept.with_name(kept.name.replace("chromium-", "chromium_headless_shell-"))
    found = (one for name in SHELLS for one in beside.glob(f"*/{name}"))
    return next((str(one) for one in found), None)


@functools.cache
def _where_playwright_keeps_it() -> Path:
    """Asked in a thread of its own: this interface of Playwright's refuses one that runs a loop."""
    from playwright.sync_api import sync_playwright

    def asked() -> Path:
        with sync_playwright() as playwright:
            return Path(playwright.chromium.executable_path)

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asked).result()


def install() -> None:
    """Debian's packages as root or with sudo that asks nothing; else Playwright's download of both."""
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        packages = ("chromium", "chromium-headless-shell")  # the second one is not everywhere
        wanted = (["apt-get", "install", "-y", name] for name in packages)
        for command in (["apt-get", "update"], *wanted):
            _try([*sudo, *command])
    if find() is None:
        _try([sys.executable, "-m", "playwright", "install", "chromium"])


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


@contextlib.asynccontextmanager
async def launched(path: str) -> AsyncIterator["Browser"]:
    """This program, running."""
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=60_000)  # ends a hang; a busy machine takes its seconds
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator["Browser"]:
    """One browser for all tests of a process; each has pages, or a context, of its own."""
    async with launched(find_shell() or program()) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_chromium() -> AsyncIterator["Browser"]:
    """The same for tests of what a headless shell does not do: notifications."""
    async with launched(program()) as browser:
        yield browser


if __name__ == "__main__":
    if find() is None or find_shell() is None:
        install()
    if find() is None:
        sys.exit(f"No Chromium or Chrome, and none could be installed. Run: {BY_HAND}")
    sys.stdout.write(f"{program()}\n{find_shell() or 'no headless shell'}\n")
