"""Contrast is asked of one text of each kind, and one that is drawn otherwise is a kind of its own."""

import pytest
from playwright.async_api import Browser

from tests.axe import serious
from tests.dashboard.test_in_a_browser import new_page

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROW = '<li><label><input type=checkbox> Ring</label> <span class="{}">{}</span></li>'
PAGE = """<!doctype html><html lang=en><title>Rows</title><style>{style}</style>
<main><h1>Rows</h1><ul>{rows}</ul></main></html>"""
PALE = "color: #bbb"
BY_THE_WINDOW = """body { background: #fff }
@media (prefers-color-scheme: dark) { span { color: #bbb } }
@media (min-width: 600px) { input.bare { display: none } }"""


async def test_the_one_pale_text_among_equal_rows_is_found(chromium: Browser) -> None:
    rows = [ROW.format("", f"row {n}") for n in range(40)]
    pale = [*rows[:23], ROW.format("odd", "row 23"), *rows[24:]]
    broken = {
        "by its class": (pale, f".odd {{ {PALE} }}"),
        "by its place": (rows, f"li:nth-child(24) span {{ {PALE} }}"),
        "by what is behind it": (rows, "li:nth-child(24) { background: #555 }"),
        "by how faint all is": (rows, "li:nth-child(24) { opacity: 0.4 }"),
        "all of them": (rows, f"span {{ {PALE} }}"),
    }
    async with new_page(chromium) as page:
        await page.set_content(PAGE.format(style="", rows="".join(pale)))
        assert await serious(page) == []
        for how, (listed, style) in broken.items():
            await page.set_content(PAGE.format(style=style, rows="".join(listed)))
            found = await serious(page)
            assert [rule for rule, _ in found] == ["color-contrast"], how
            assert await serious(page, contrast=False) == [], how
        checked = "label:has(:checked) ~ span { color: #bbb }"
        await page.set_content(PAGE.format(style=checked, rows="".join(rows)))
        await page.locator("input").nth(23).check()
        assert [rule for rule, _ in await serious(page)] == ["color-contrast"]


async def test_what_is_wrong_in_one_look_alone_is_found_though_the_other_was_good(
    chromium: Browser,
) -> None:
    """What was found good is not asked again: but of this text in these colours alone."""
    rows = "".join(ROW.format("", f"line {n}") for n in range(3))
    wide, narrow = {"width": 1440, "height": 844}, {"width": 390, "height": 844}
    async with new_page(chromium) as page:
        await page.set_content(
            PAGE.format(style=BY_THE_WINDOW, rows=rows + "<li><input class=bare></li>")
        )
        for _ in range(2):
            await page.set_viewport_size(wide)
            await page.emulate_media(color_scheme="light")
            assert await serious(page) == []
            await page.emulate_media(color_scheme="dark")
            assert [rule for rule, _ in await serious(page)] == ["color-contrast"]
            await page.emulate_media(color_scheme="light")
            await page.set_viewport_size(narrow)
            assert [rule for rule, _ in await serious(page)] == ["label"]
        await page.evaluate("document.querySelector('.bare').ariaLabel = 'What it is'")
        assert await serious(page) == []
        await page.evaluate("document.querySelector('li').innerHTML += '<button></button>'")
        assert [rule for rule, _ in await serious(page)] == ["button-name"]


async def test_the_one_link_that_nobody_tells_from_its_text_is_found(chromium: Browser) -> None:
    row = "<li>{} <a href='#x{}'>that</a></li>"
    rows = [row.format("There is more of it in" if n % 2 else "", n) for n in range(40)]
    alone, in_a_text = 23, 24  # counted from one
    async with new_page(chromium) as page:
        for at, found in ((None, []), (alone, []), (in_a_text, ["link-in-text-block"])):
            style = f"li:nth-child({at}) a {{ color: #333; text-decoration: none }}" if at else ""
            for contrast in (False, True):
                await page.set_content(PAGE.format(style=style, rows="".join(rows)))
                said = await serious(page, contrast=contrast)
                assert [rule for rule, _ in said] == found, (at, contrast)
