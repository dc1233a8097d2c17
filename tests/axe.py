"""Axe on a page of a browser test: what it finds serious, for a fraction of what it costs by default.

Contrast costs the most, by far, and goes by how a text is drawn. So of texts that are drawn alike
(colours, size, weight, shadow, what all around them paints, whether they are to be seen, and
whether what they label is disabled) at places alike (the same tags and classes up to the root) it
is asked of the first, the middle and the last, and of a kind that was found good on a page before
not again. So is whether a link in a text is told from it, which goes by the text's colour, too. All
other rules look at every element, but for those of which axe says beforehand that what they find is
slight: nobody asks for that.
"""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

SERIOUS = ("serious", "critical")
MARK = "data-asked-of-contrast"
SHORT = """(text) => {  // 53 bits of a text (cyrb53)
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let at = 0; at < text.length; at += 1) {
    a = Math.imul(a ^ text.charCodeAt(at), 2654435761);
    b = Math.imul(b ^ text.charCodeAt(at), 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
}"""
RUN = """async ([contrast, mark, serious, good]) => {
  const short = SHORT;
  const before = new Set(good);
  const known = new Map([[null, String(matchMedia("(prefers-color-scheme: dark)").matches)]]);
  const place = (element) => {
    if (known.has(element)) return known.get(element);
    const style = getComputedStyle(element);
    const key = short([
      place(element.parentElement), element.tagName, element.className, element.ariaDisabled,
      element.matches(":disabled"), element.control?.matches(":disabled"), style.backgroundColor,
      style.backgroundImage, style.opacity, style.filter, style.mixBlendMode, style.position,
      style.zIndex, style.clip, style.overflow, style.colorScheme,
    ].join("|"));
    known.set(element, key);
    return key;
  };
  const painted = (element, pseudo) => {
    const style = getComputedStyle(element, pseudo);
    return style.content === "none" || [style.backgroundColor, style.backgroundImage,
      style.position, style.width, style.height];
  };
  const around = (element) => {
    const inline = (one) => one && getComputedStyle(one).display.startsWith("inline");
    let block = element.parentElement;
    while (inline(block)) block = block.parentElement;
    const links = [...block.querySelectorAll("a[href]")].map((one) => one.textContent).join("");
    const [all, linked] = [block.textContent, links].map((one) => one.replace(/\\s/g, "").length);
    return [block.tagName, getComputedStyle(block).color, all > linked, all > 2 * linked];
  };
  const kinds = new Map();
  for (const element of document.body.querySelectorAll(contrast ? "*" : "a[href]")) {
    const text = [...element.childNodes].map((one) => one.nodeType === 3 ? one.data : "").join("");
    if (!text.trim() && !element.matches("input, select, textarea, button, a[href]")) continue;
    const style = getComputedStyle(element);
    const key = short([
      place(element), element.id, style.color, style.fontSize, style.fontWeight, style.textShadow,
      style.textIndent, style.webkitTextFillColor, style.webkitTextStroke, text.trim().length > 1,
      element.checkVisibility({ opacityProperty: true, visibilityProperty: true }),
      painted(element, "::before"), painted(element, "::after"),
      element.matches("a[href]") && [...around(element), style.textDecoration, style.fontStyle,
        style.borderBottom, style.outline],
    ].join("|"));
    if (!kinds.has(key)) kinds.set(key, []);
    kinds.get(key).push(element);
  }
  const fresh = [...kinds].filter(([key]) => !before.has(key));
  const asked = fresh.flatMap(([, of]) => [of[0], of[of.length >> 1], of.at(-1)]);
  for (const one of asked) one.setAttribute(mark, "");
  axe.reset();
  const slight = axe._audit.rules.filter((rule) => ["minor", "moderate"].includes(rule.impact));
  axe.configure({ rules: [
    ...slight.map(({ id }) => ({ id, enabled: false })),
    { id: "color-contrast", selector: `[${mark}]`, enabled: contrast && asked.length > 0 },
    { id: "link-in-text-block", selector: `a[href]:not([role])[${mark}]` },
  ] });
  try {
    const found = await axe.run({ resultTypes: ["violations"] });
    const bad = found.violations.filter((one) => serious.includes(one.impact));
    const html = (one) => one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160));
    const kept = bad.length || !contrast ? [] : fresh.map(([key]) => key);
    return [found.passes.length, contrast && kinds.size, kept, bad.map((one) => [one.id, html(one)])];
  } finally {
    for (const one of asked) one.removeAttribute(mark);
  }
}""".replace("SHORT", SHORT)


_good: set[str] = set()
"""Kinds of text that were found good in this process."""


async def serious(page: Page, *, contrast: bool = True) -> list[tuple[str, list[str]]]:
    """What axe finds serious or critical on the page: rules, each with up to three elements."""
    await page.wait_for_load_state()  # a link may have been followed: a page that comes has no body
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(Axe().axe_script)
    what = [contrast, MARK, list(SERIOUS), list(_good)]
    passes, drawn, kinds, bad = await page.evaluate(RUN, what)
    assert passes > 5, page.url
    assert bool(drawn) is contrast, page.url
    _good.update(kinds)
    return [(rule, html) for rule, html in bad]
