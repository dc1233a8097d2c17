"""docs/asvs.md: every requirement of levels 1 and 2 has an answer, and every proof exists."""

import collections
import re

import pytest

from tests import promises

PAGE = promises.ROOT / "docs" / "asvs.md"
ROW = re.compile(r"\| (\d+\.\d+\.\d+) \| ([12]) \| (.+?) \| (applies|open|not here) \| (.+) \|")
LEVELS = {"1": 70, "2": 183}
"""How many requirements OWASP ASVS 5.0.0 has of each level."""


def rows() -> list[tuple[str, str, str, str, str]]:
    return [match.groups() for match in map(ROW.fullmatch, PAGE.read_text().splitlines()) if match]


def test_every_requirement_has_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows()
    lines = [line for line in PAGE.read_text().splitlines() if re.match(r"\| \d", line)]
    assert len(found) == len(lines), "a row is not in the form of the others"
    assert len({row[0] for row in found}) == len(found)
    assert collections.Counter(row[1] for row in found) == LEVELS
    counts = collections.Counter(row[3] for row in found)
    with capsys.disabled():
        print("\nASVS 5.0.0, level 2: " + ", ".join(f"{n} {state}" for state, n in counts.items()))
    assert counts["open"] <= 3, "what applies and is not met may only become less"


def test_every_proof_exists_and_every_reason_says_something() -> None:
    wrong = []
    for name, _, _, state, told in rows():
        if state == "applies":
            proofs = re.findall(r"`([^`]+)`", told)
            if not proofs or not all(exists(one) for one in proofs):
                wrong.append((name, told))
        elif len(told) < 10:
            wrong.append((name, told))
    assert not wrong


def exists(proof: str) -> bool:
    folder = promises.ROOT / proof
    return folder.is_dir() or promises.exists(proof)
