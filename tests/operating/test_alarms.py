"""Whoever is woken finds a page, and its commands exist; promtool runs the rules in `.ci/alarms`."""

import functools
import json
import re
from pathlib import Path

import pytest
import yaml

from app.core.credential import CredentialState
from app.core.event import EventType
from app.core.push import Purpose, PushState
from app.infra.log_events import LOG_EVENTS
from tests import reference
from tests.operating import board
from tests.operating.cases import CASES
from tests.operating.rules import BOARD, RECORDED, RULES, RUNBOOK, alarms, check_command

PAGES = sorted(path for path in RUNBOOK.glob("*.md") if path.name != "README.md")
SCRAPED = {"job", "instance"}
"""Labels that Prometheus adds."""
VALUES = {
    ("ringline_rings_total", "outcome"): {"taken", "refused"},
    ("ringline_call_events_total", "type"): {one.value for one in EventType},
    ("ringline_pushes_total", "purpose"): {one.value for one in Purpose},
    ("ringline_pushes_total", "outcome"): {one.value for one in PushState},
    ("ringline_credential_working", "state"): {one.value for one in CredentialState},
    ("ringline_credential_expiry_timestamp_seconds", "state"): {
        one.value for one in CredentialState
    },
    ("ringline_workers", "state"): {"alive"},
    ("ringline_oldest_due_seconds", "outbox"): {"pushes"},
    ("ringline_webhook_oldest_due_seconds", "endpoints"): {"well", "failing"},
    ("ringline_away", "what"): {"database", "redis"},
    ("ringline_tasks_failing", "task"): {"worker.partitions"},
    ("ringline_http_responses_total", "status"): {str(status) for status in range(200, 600)},
}
"""What each label that a query asks for may be."""
NAMES = {
    "clock_skew_seconds", "database_read_only", "database_unavailable", "loop_stuck", "max_connections", "no_lease", "no_worker",
    "credential_stopped", "default_transaction_read_only", "pg_stat_activity", "pg_wal", "rate_limits", "request_id", "user_events", "xact_start",
}  # fmt: skip
"""What pages name beside log lines and series: answers of ours, settings, names of PostgreSQL's."""
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_log_lines_and_series_that_there_are(page: Path) -> None:
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", page.read_text()))
    assert named - {*LOG_EVENTS} - {*reference.metrics()} - NAMES == set()


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


def asked() -> list[tuple[str, str, str]]:
    """(where, query, legend) of the board and of every alarm."""
    found = [
        (panel["title"], target["expr"], target.get("legendFormat", ""))
        for panel in json.loads(BOARD.read_text())["panels"]
        for target in panel.get("targets", ())
    ]
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]:
        said = rule["annotations"]["summary"].replace("$labels.", "")
        found.append((rule["alert"], rule["expr"], said))
    return found


@functools.cache
def labels_made() -> dict[str, set[str]]:
    """By the name of each series."""
    found = {}
    for name, (kind, labels, _) in reference.metrics().items():
        own = set(re.findall(r"`(\w+)`", labels.partition(";")[0])) | SCRAPED
        ends = (
            {"_bucket": {"le"}, "_sum": set(), "_count": set()}
            if kind == "histogram"
            else {"": set()}
        )
        found |= {name + end: own | more for end, more in ends.items()}
    return found


@pytest.mark.parametrize(("where", "query", "legend"), asked(), ids=lambda one: str(one)[:30])
def test_a_query_asks_for_labels_and_values_that_there_are(
    where: str, query: str, legend: str
) -> None:
    made = labels_made() | {"up": SCRAPED}
    series = re.findall(r"\b(up|ringline_\w+)\b(?:\{([^}]*)\})?", query)
    assert series, where
    all_labels: set[str] = set()
    for name, selected in series:
        all_labels |= made[name]
        for label, how, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selected):
            assert label in made[name], (where, name, label)
            if label not in SCRAPED:
                values = VALUES[name, label]
                pattern = value if "~" in how else re.escape(value)
                stem, _, ends = pattern.partition("(")
                for one in ends.rstrip(")").split("|"):  # each of the alternatives
                    assert any(re.fullmatch(stem + one, it) for it in values), (where, one)
    by = re.findall(r"\bby \(([^)]*)\)", query)
    kept = {one.strip() for names in by for one in names.split(",")}
    assert kept <= all_labels, where
    assert set(re.findall(r"\{\{\s*(?:with )?(\w+)\s*\}\}", legend)) - {"end", "else"} <= (
        kept or all_labels
    ), where


def test_the_queries_that_found_something_are_the_boards() -> None:
    text = board.FILE.read_text()
    assert board.expect_anew(text) == text, "run `python -m tests.operating.board`"
