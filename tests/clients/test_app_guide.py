"""The page that says what an app must do: its Swift parses, and asks for what there is."""

import re
from collections.abc import Iterator
from typing import Any

import tree_sitter_swift
from tree_sitter import Language, Node, Parser

from clients.generator.document import openapi
from tests.clients.readme import CLIENTS

PAGE = (CLIENTS.parent / "docs" / "guides" / "your-app-must.md").read_text()
MOST = 80


def swift() -> str:
    found = re.search(r"^```swift\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def faults(text: str) -> list[str]:
    """Lines that are no Swift."""

    def walk(node: Node) -> Iterator[Node]:
        if node.is_error or node.is_missing:
            yield node
        for child in node.children:
            yield from walk(child)

    tree = Parser(Language(tree_sitter_swift.language())).parse(text.encode())
    lines = text.splitlines()
    return [lines[node.start_point.row] for node in walk(tree.root_node)]


def test_the_swift_parses_and_is_short() -> None:
    assert faults(swift()) == []
    assert faults("final class Rings { func start( { } }") != []
    assert len([line for line in swift().splitlines() if line.strip()]) <= MOST


def test_it_asks_for_what_there_is() -> None:
    document: dict[str, Any] = openapi()
    named = set(re.findall(r'path: "(/v1/\w+|\w+)"', swift())) | {"leave", "decline"}
    assert {"/v1/devices", "report", "accept"} <= named
    for name in named:
        path = name if name.startswith("/") else f"/v1/calls/{{reference}}/{name}"
        assert "post" in document["paths"][path]
    members = set(re.findall(r'(?:told|caller|mine|answer|call)\["(\w+)"\]', swift()))
    payload = (CLIENTS.parent / "docs" / "guides" / "payloads.md").read_text()
    schemas = document["components"]["schemas"]
    answers = {*schemas["AcceptedOut"]["properties"], *schemas["RingOut"]["properties"]}
    assert {one for one in members if f'"{one}"' not in payload} <= answers
