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
