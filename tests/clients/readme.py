"""The first example of a client's README, as a person would copy it."""

import re
from pathlib import Path

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
FENCE = re.compile(r"^```(?:python|ts)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MOST = 10


def first_example(client: str) -> str:
    """Its text; at most ten lines beside imports and blanks."""
    example = FENCE.search((CLIENTS / client / "README.md").read_text())
    assert example is not None
    lines = [one for one in example[1].splitlines() if one.strip()]
    assert len([one for one in lines if not re.match(r"(from|import)\b", one)]) <= MOST
    return example[1]
