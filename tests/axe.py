"""Axe on a page of a browser test: what it finds serious, for a fraction of what it costs by default.

Contrast costs the most, by far, and goes by how a text is drawn. So of texts that are drawn alike
(colours, size, weight, shadow, what all around them paints, whether they are to be seen, and
whether what they label is disabled) at places alike (the same tags and classes up to the root) it
is asked of the first, the middle and the last. All other rules look at every element, but for those
of which axe says beforehand that what they find is slight: nobody asks for that.
"""

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

SERIOUS = ("serious", "critical")
MARK = "data-asked-of-contrast"
RUN = """async ([contrast, mark, serious]) => {
  const numbers = new Map();
  const number = (key) => numbers.get(key) ?? (numbers.set(key, numbers.size), numbers.size - 1);
  const known = new Map([[null, ""]]);
  const place = (element) => {
    if (known.has(element)) return known.get(element);
    const style = getComputedStyle(element);
    const key = number([
      place(element.parentElement), element.tagName, element.className, element.ariaDisabled,
      element.matches(":disabled"), element.control?.matches(":disabled"), style.backgroundColor,
      style.backgroundImage, style.opacity, style.filter, style.mixBlendMode, style.position,
      style.zIndex, style.clip, style.overflow,
    ].join("|"));
    known.set(element, key);
    return key;
  };
  const painted = (element, pseudo) => {
    const style = getComputedStyle(element, pseudo);
    return style.content === "none" || [style.backgroundColor, style.backgroundImage,
      style.position, style.width, style.height];
  };
  const kinds = new Map();
  for (const element of contrast ? document.body.querySelectorAll("*") : []) {
    const text = [...element.childNodes].map((one) => one.nodeType === 3 ? one.data : "").join("");
    if (!text.trim() && !element.matches("input, select, textarea, button")) continue;
    const style = getComputedStyle(element);
    const key = [
      place(element), element.id, style.color, style.fontSize, style.fontWeight, style.textShadow,
      style.textIndent, style.webkitTextFillColor, style.webkitTextStroke, text.trim().length > 1,
      element.checkVisibility({ opacityProperty: true, visibilityProperty: true }),
      painted(element, "::before"), painted(element, "::after"),
    ].join("|");
    if (!kinds.has(key)) kinds.set(key, []);
    kinds.get(key).push(element);
  }
  const asked = [...kinds.values()].flatMap((of) => [of[0], of[of.length >> 1], of.at(-1)]);
  for (const one of asked) one.setAttribute(mark, "");
  axe.reset();
  const slight = axe._audit.rules.filter((rule) => ["minor", "moderate"].includes(rule.impact));
  axe.configure({ rules: [
    { id: "color-contrast", selector: `[${mark}]`, enabled: contrast },
    ...slight.map(({ id }) => ({ id, enabled: false })),
  ] });
  try {
    const found = await axe.run({ resultTypes: ["violations"] });
    const bad = found.violations.filter((one) => serious.includes(one.impact));
    const html = (one) => one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160));
    return [found.passes.length, kinds.size, bad.map((one) => [one.id, html(one)])];
  } finally {
    for (const one of asked) one.removeAttribute(mark);
  }
}"""


async def serious(page: Page, *, contrast: bool = True) -> list[tuple[str, list[str]]]:
    """What axe finds serious or critical on the page: rules, each with up to three elements."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(Axe().axe_script)
    passes, drawn, bad = await page.evaluate(RUN, [contrast, MARK, list(SERIOUS)])
    assert passes > 5, page.url
    assert bool(drawn) is contrast, page.url
    return [(rule, html) for rule, html in bad]
