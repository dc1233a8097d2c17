"""A form that is refused, shown as it was filled in, with the fault beside its field.

One place for all forms: the finished page is gone through, and of the form that was sent each field
gets what was typed. Passwords and files are never given back, and what is hidden is the page's own.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from itertools import accumulate
from typing import Final
from urllib.parse import unquote

Attributes = list[tuple[str, str | None]]
Typed = Mapping[str, Sequence[str]]
KEPT_BY_THE_PAGE: Final = {"password", "file", "hidden", "submit"}
TICKED: Final = {"checkbox", "radio"}
PLACED: Final = re.compile(r"(\w[\w.\-]*): +(.+)", re.DOTALL)
FAULT: Final = "fault"
"""The id of what is said beside a field."""


def filled(page: str, action: str, typed: Typed, problem: str) -> str:
    """The page with what was typed in the form that goes to `action` (a path, decoded)."""
    form = _Form(page, action, typed, _meant(problem, typed))
    for start, end, text in sorted(form.edits, reverse=True):
        page = page[:start] + text + page[end:]
    return page


def _meant(problem: str, typed: Typed) -> tuple[str, str] | None:
    """The field that a sentence is about, and what it says of it.

    `call_types.meeting.ring: ...` is about `meeting.ring`, `user_tokens.issuer: ...` about
    `issuer`, `form: `t` is none` about `t`.
    """
    found = PLACED.fullmatch(problem)
    if found is None:
        return None
    place, said = found.groups()
    parts, word = place.split("."), said.split(maxsplit=1)[0].strip("`:,")
    inner = [".".join(parts[n:]) for n in range(len(parts))]
    for name in (*inner, f"{parts[-1]}.{word}", word, parts[0]):
        if name in typed:
            return name, said
    return None


class _Form(HTMLParser):
    """What is to be put into a page: (start, end, text), none within another."""

    def __init__(self, page: str, action: str, typed: Typed, fault: tuple[str, str] | None) -> None:
        super().__init__()
        self.edits: list[tuple[int, int, str]] = []
        self._lines = [0, *accumulate(len(line) + 1 for line in page.split("\n"))]
        self._action, self._typed, self._fault = action, typed, fault
        self._inside = False
        self._open = ""
        self._name = ""
        self._content = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        given = dict(attrs)
        if tag == "form":
            self._inside = unquote(given.get("action") or "") == self._action
        if not self._inside:
            return
        name = given.get("name") or ""
        if tag == "input" and given.get("type", "text") not in KEPT_BY_THE_PAGE:
            self._input(name, given)
        elif tag in {"textarea", "select"}:
            self._open, self._name = tag, name
            self._content = self._end()
            self._replace(tag, self._marked(name, given))
        elif tag == "option" and self._open == "select" and self._name in self._typed:
            chosen = given.get("value") in self._typed[self._name]
            self._replace(tag, _switched(given, "selected", on=chosen))

    def handle_endtag(self, tag: str) -> None:
        here = self._start()
        if tag == "form":
            self._inside = False
        elif tag == self._open:
            if tag == "textarea" and self._name in self._typed:
                text = escape("\n".join(self._typed[self._name]), quote=False)
                self.edits.append((self._content, here, "\n" + text))
            self._beside(self._name, here + len(f"</{tag}>"))
            self._open = ""

    def _input(self, name: str, given: dict[str, str | None]) -> None:
        if given.get("type") in TICKED:
            ticked = (given.get("value") or "on") in self._typed.get(name, ())
            self._replace("input", _switched(given, "checked", on=ticked))
            return
        if name in self._typed:
            given = given | {"value": self._typed[name][0]}
        self._replace("input", self._marked(name, given))
        self._beside(name, self._end())

    def _marked(self, name: str, given: dict[str, str | None]) -> dict[str, str | None]:
        if self._fault is None or name != self._fault[0]:
            return given
        told = f"{given.get('aria-describedby') or ''} {FAULT}".strip()
        return given | {"aria-invalid": "true", "aria-describedby": told, "autofocus": None}

    def _beside(self, name: str, at: int) -> None:
        if self._fault is not None and name == self._fault[0]:
            said = escape(self._fault[1])
            self.edits.append((at, at, f'<p class="hint bad" id="{FAULT}">{said}</p>'))
            self._fault = None

    def _replace(self, tag: str, given: dict[str, str | None]) -> None:
        written = "".join(
            f" {name}" if value is None else f' {name}="{escape(value)}"'
            for name, value in given.items()
        )
        self.edits.append((self._start(), self._end(), f"<{tag}{written}>"))

    def _start(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def _end(self) -> int:
        return self._start() + len(self.get_starttag_text() or "")


def _switched(given: dict[str, str | None], name: str, *, on: bool) -> dict[str, str | None]:
    without = {key: value for key, value in given.items() if key != name}
    return without | {name: None} if on else without
