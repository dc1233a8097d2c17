"""What templates write, and where: each `{{ expression }}` with the place that it stands in."""

import re
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

from app.core.frozen import frozen
from app.dashboard.pages import TEMPLATES

SHOWN_ATTRIBUTES = {"aria-label", "title", "alt", "placeholder"}
PLAIN_ELEMENTS = {"title", "option", "text"}
"""They take no element: a page's title, an option, SVG's text."""
WHOLE_ELEMENTS = {"textarea", "pre", "code", "bdi"}
"""What stands in them stands by itself: all isolate, by their kind or by `ringline.css`."""


@frozen
class Written:
    """An expression. `place`: text, plain (characters alone), or other (no reader's)."""

    template: str
    line: int
    source: str
    place: str
    expression: nodes.Expr


def written(env: Environment = TEMPLATES) -> Iterator[Written]:
    """All that the templates write."""
    assert env.loader is not None
    for name in env.loader.list_templates():
        source = env.loader.get_source(env, name)[0]
        yield from written_in(env, name, source)


def written_in(env: Environment, name: str, source: str) -> Iterator[Written]:
    """All that one of them writes."""
    html, parts, begun = Html(), list[str](), 0
    words = list[str]()
    for line, kind, value in env.lex(source):
        if kind == "data":
            html.feed(value)
        elif kind == "variable_begin":
            parts, begun = [], line
        elif kind == "variable_end":
            said = "".join(parts).strip()
            yield Written(name, begun, said, html.place(), expression(env, said))
        elif kind == "block_begin":
            words = []
        elif kind == "block_end":
            html.block(words)
        elif kind != "whitespace":
            words.append(value)
            parts.append(value)
        else:
            parts.append(value)


def expression(env: Environment, source: str) -> nodes.Expr:
    """One, read."""
    (output,) = env.parse("{{ " + source + " }}").find_all(nodes.Output)
    (found,) = output.nodes
    return found


class Html:
    """As much of HTML as says what a place is."""

    def __init__(self) -> None:
        self.open = list[str]()
        self.tag: str | None = None

    def feed(self, data: str) -> None:
        """What stands before the next expression."""
        for piece in re.split(r"(?=<[a-zA-Z/!])|(?<=>)", data):
            if piece.startswith("<"):
                self.tag = piece
            elif self.tag is not None:
                self.tag += piece
            if self.tag is not None and self.tag.endswith(">") and self.tag.count('"') % 2 == 0:
                self._close(self.tag)
                self.tag = None

    def block(self, words: list[str]) -> None:
        """`{% block title %}` stands in another template's title."""
        if words[:2] == ["block", "title"]:
            self.open.append("title")
        elif words[:1] == ["endblock"] and self.open[-1:] == ["title"]:
            self.open.pop()

    def _close(self, tag: str) -> None:
        name = re.split(r"[\s>/]", tag.lstrip("</"))[0].lower()
        if tag.startswith("</"):
            if name in {"select", "datalist"}:  # an option ends with these, too
                self.open = [one for one in self.open if one != "option"]
            elif name in self.open:
                del self.open[len(self.open) - 1 - self.open[::-1].index(name) :]
        elif name in PLAIN_ELEMENTS | WHOLE_ELEMENTS and not tag.endswith("/>"):
            self.open.append(name)

    def place(self) -> str:
        """Where an expression would stand now."""
        if self.tag is not None:
            self.tag += "x"
            begun = re.findall(r'([\w-]+)="[^"]*$', self.tag)
            return "plain" if begun and begun[0] in SHOWN_ATTRIBUTES else "other"
        if any(one in WHOLE_ELEMENTS for one in self.open):
            return "other"
        return "plain" if any(one in PLAIN_ELEMENTS for one in self.open) else "text"


LAB = Path(__file__).resolve().parents[2] / "devkit" / "lab" / "templates"
