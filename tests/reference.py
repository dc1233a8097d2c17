"""The references of metrics, log events, commands, problem codes and settings as pages, made from the code;
and the runbook as the dashboard shows it, made from its pages.

`python -m tests.reference` writes them into `docs/reference/` and `app/dashboard/`, as `make
reference` does.
"""

import ast
import functools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from markdown_it import MarkdownIt
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from app.credentials import health
from app.dashboard.pages import BASE
from app.infra import observe
from app.infra.log_events import LOG_EVENTS
from tests import listings

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "docs/reference"
RUNBOOK = "app/dashboard/runbook.json"
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
SOURCES = ("app", "workers", "devkit")
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")
METRICS_HEAD = """# Metrics

What `/metrics` of an API process and of a worker (`RINGLINE_WORKER_METRICS`) tells Prometheus. Made
from the code by `make reference`. Times are in seconds. A histogram has `_bucket`, `_sum` and `_count`.

| metric | type | labels | meaning |
|---|---|---|---|
"""
NAMED = "with the metrics token also `tenant`, `app_id`"
LOGS_HEAD = """# Log events

A line of log is a JSON object on stderr: `timestamp`, `level`, `logger`, `event`, the fields below, and
`request_id` when a request caused it; `exception` holds a traceback. Names of events are stable: one that
goes is told in the changelog. Secrets are taken out by name and by shape. Made from the code by `make
reference`. Lines of libraries (uvicorn, Celery) have a sentence as `event`.

| event | level | fields | meaning |
|---|---|---|---|
"""


def metrics() -> dict[str, tuple[str, str, str]]:
    """(type, labels, meaning) by name, of all that the code makes."""
    found = {}
    for made in vars(observe).values():
        if isinstance(made, MetricWrapperBase):
            of = next(iter(made.describe()))
            found[exposed(of)] = (
                of.type,
                ", ".join(f"`{n}`" for n in made._labelnames),
                of.documentation,
            )
    for of in text_string_to_metric_families(
        health._expiry_metrics([], datetime.now(UTC), named=False).decode()
    ):
        found[exposed(of)] = (of.type, f"`credential`, `state`; {NAMED}", of.documentation)
    return dict(sorted(found.items()))


def exposed(of: Metric) -> str:
    return f"{of.name}_total" if of.type == "counter" else of.name


@functools.cache
def log_events() -> dict[str, tuple[set[str], set[str]]]:
    """Levels and fields by event, of all lines that our code writes."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            source = path.read_text()
            for name, level, fields in _lines_of(ast.parse(source)) if "log." in source else ():
                levels, all_fields = found.setdefault(name, (set(), set()))
                levels.add(level)
                all_fields |= fields
    return dict(sorted(found.items()))


def _is_log(value: ast.expr) -> bool:
    """Whether it is our logger, or what that has bound."""
    while (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr == "bind"
    ):
        value = value.func.value
    return isinstance(value, ast.Name) and value.id == "log"


def _lines_of(module: ast.Module) -> Iterator[tuple[str, str, set[str]]]:
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for call in ast.walk(function):
            if not (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and _is_log(call.func.value)
                and call.func.attr in (*LEVELS, "log")
            ):
                continue
            level, event = call.func.attr, call.args[0]
            if level == "log":
                level, event = "debug or info", call.args[1]
            if level == "exception":
                level = "error"
            fields = {one.arg for one in call.keywords if one.arg and one.arg != "exc_info"}
            if isinstance(event, ast.Constant):
                yield str(event.value), level, fields
            elif isinstance(event, ast.Name):  # its callers say which
                yield from ((name, level, fields) for name in _given(module, function, event.id))
            else:
                raise TypeError(f"{ast.unparse(call)}: the name of an event is a word")


def _given(
    module: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[str]:
    place = [one.arg for one in function.args.args if one.arg != "self"].index(name)
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == function.name:
            given = call.args[place]
            assert isinstance(given, ast.Constant), ast.unparse(call)
            yield str(given.value)


def runbook() -> dict[str, str]:
    """HTML of each page by its name, without its title: what the dashboard shows."""
    pages = sorted((ROOT / "docs" / "runbook").glob("*.md"))
    return {page.stem: _html(page.read_text()) for page in pages}


def _html(text: str) -> str:
    _title, _, rest = text.partition("\n")
    shown = MARKDOWN.render(LINK.sub(_link, rest)).strip()
    return shown.replace("<table>", '<table class="fold">')


def _link(found: re.Match[str]) -> str:
    """A link inside the runbook; of other papers, which a server does not hold, where they are."""
    words, (path, _, _anchor) = found[1], found[2].partition("#")
    if path.startswith("../"):
        return f"{words} (`docs/{path.removeprefix('../')}`)"
    return f"[{words}]({BASE}/runbook/{path.removesuffix('.md')})"


def files() -> dict[str, str]:
    """Text by path from the root."""
    rows = [
        f"| `{name}` | {kind} | {labels} | {about} |"
        for name, (kind, labels, about) in metrics().items()
    ]
    lines = [
        f"| `{name}` | {', '.join(sorted(levels))} | {', '.join(f'`{one}`' for one in sorted(fields))} "
        f"| {LOG_EVENTS.get(name, '')} |"
        for name, (levels, fields) in log_events().items()
    ]
    return {
        f"{FOLDER}/metrics.md": METRICS_HEAD + "\n".join(rows) + "\n",
        f"{FOLDER}/logs.md": LOGS_HEAD + "\n".join(lines) + "\n",
        **{f"{FOLDER}/{name}": text for name, text in listings.pages().items()},
        RUNBOOK: json.dumps(runbook(), indent=1, ensure_ascii=False) + "\n",
    }


if __name__ == "__main__":
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
