"""Whoever is woken finds a page, and its commands exist; promtool runs the rules in `.ci/alarms`."""

import json
import re
from pathlib import Path

import pytest

from tests.operating.cases import CASES
from tests.operating.rules import BOARD, RECORDED, RULES, RUNBOOK, alarms, check_command

PAGES = sorted(path for path in RUNBOOK.glob("*.md") if path.name != "README.md")
PARTS = ["What it means", "How to see it", "What to do"]


def test_every_alarm_has_a_page_and_says_which() -> None:
    assert [path.stem for path in PAGES] == sorted(alarms())
    named = re.findall(r"runbook: docs/runbook/(\w+)\.md", RULES.read_text())
    assert named == alarms()
    index = re.findall(r"^\| \[(\w+)\]", (RUNBOOK / "README.md").read_text(), re.MULTILINE)
    assert index == alarms()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_it_means_how_to_see_it_and_what_to_do(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert re.search(r"^1\. ", text.partition("## What to do")[2], re.MULTILINE)
    for command in re.findall(r"`ringline (?!-)([^`]+)`", text):
        check_command(command.split())


def test_every_recorded_fault_is_a_test_and_no_alarm_goes_untested() -> None:
    assert {path.stem for path in RECORDED.glob("*.yaml")} == {case.name for case in CASES}
    for case in CASES:
        text = (RECORDED / f"{case.name}.yaml").read_text()
        assert set(re.findall(r'alertname="(\w+)"', text)) == case.alarms
    rung = {alarm for case in CASES for alarm in case.alarms}
    assert rung == set(alarms())


def test_the_board_can_be_imported() -> None:
    board = json.loads(BOARD.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["targets"] and panel["description"] for panel in panels)
    shown = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in shown)
