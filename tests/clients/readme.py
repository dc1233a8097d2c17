"""The first example of a client's README, as a person would copy it."""

import re
from pathlib import Path

from tests.fences import blocks_in

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
MOST = 10


def first_example(client: str) -> str:
    """Its text; at most ten lines beside imports and blanks."""
    example = blocks_in((CLIENTS / client / "README.md").read_text(), "python", "ts")[0]
    lines = [one for one in example.splitlines() if one.strip()]
    assert len([one for one in lines if not re.match(r"(from|import)\b", one)]) <= MOST
    return example
