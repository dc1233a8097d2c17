"""Chance in tests is told: whoever draws without a printed seed cannot draw the same again."""

import ast
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import chance

HERE = Path(__file__).parent
USUAL = settings(max_examples=1)
"""What a module of tests has as it is imported, before a process of tests is set up."""
COMMANDS = ("benchmarks", "chaos", "readme")
"""Long commands: what they draw is how load falls, and nothing is made again from it."""


def drawn_untold(source: str) -> list[int]:
    """Lines that call something of `random` themselves, or take something out of it."""
    if "random" not in source:
        return []
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.ImportFrom) and node.module == "random")
        or (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "random"
        )
    ]


def test_every_test_draws_by_the_helper_that_prints_its_seed() -> None:
    assert drawn_untold("import random\nrandom.choice([1])\nx = random.Random(3)") == [2, 3]
    assert drawn_untold("from random import choice\nchoice([1])") == [1]
    for path in HERE.rglob("*.py"):
        about = path.relative_to(HERE)
        if about.parts[0] not in COMMANDS and path.name != "chance.py":
            assert drawn_untold(path.read_text(encoding="utf-8")) == [], about


def test_the_seed_is_printed_and_draws_the_same_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(chance.VARIABLE, "7")
    first, second = chance.dice(), chance.dice()
    assert first.random() == second.random() == chance.dice(7).random()
    assert capsys.readouterr().out == "seed 7\n" * 3


def test_nothing_that_is_drawn_goes_by_the_clock() -> None:
    assert USUAL.deadline is None
    assert HealthCheck.too_slow in USUAL.suppress_health_check
