"""The papers say what is so: what they link to and name exists, and their tables are the code's."""

import re
import tomllib
from pathlib import Path

import pytest

import migrations.models  # noqa: F401  (every table)
from app.core import rate_limits
from app.core.limits import BOUNDS, DEFAULTS
from app.core.payload import FIELDS, PROFILES
from app.infra.db import Base
from app.infra.log_events import LOG_EVENTS
from app.infra.sender import Service
from app.infra.settings import Settings
from tests import reference
from tests.operating import rules
from tests.promises import PROOF, exists

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "app", "workers", "devkit", "tests", "docs", "migrations", "deploy", "certs", "clients",
    "requirements",
)  # fmt: skip
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(one for name in FOLDERS for one in ROOT.glob(f"{name}/**/*.md")))
    if path.name != "CHANGELOG.md"  # it tells of what was
)  # fmt: skip
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(
    rf"(?<![\w./-])((?:{'|'.join(FOLDERS)})/[\w./-]*\.(?:py|md|json|toml|txt|html|js|css|cfg|yaml|png))"
)
OUTSIDE = re.compile(r"\b(DESIGN|APNS\.md|CLIENTS\.md|ADAPTERS\.md|FAULTS\.md|EXAMPLES\.md)|\[m\]")
ids = [str(path.relative_to(ROOT)) for path in PAGES]


def guide(name: str) -> str:
    return (ROOT / "docs" / "guides" / f"{name}.md").read_text()


def first_cells(text: str) -> list[str]:
    """The names in backticks of the first column of every table."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_no_line_names_a_file_that_is_missing(page: Path) -> None:
    missing = [name for name in NAMED.findall(page.read_text()) if not (ROOT / name).exists()]
    assert missing == []


def test_nothing_refers_to_a_paper_that_is_not_here() -> None:
    suffixes = {".py", ".md", ".toml", ".html", ".js", ".css", ".yaml", ".cfg"}
    files = [
        path
        for name in FOLDERS
        for path in (ROOT / name).rglob("*")
        if path.suffix in suffixes and path != Path(__file__).resolve()
    ]
    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in (*files, *ROOT.glob("*.md"))
        if (match := OUTSIDE.search(path.read_text())) is not None
    }
    assert found == set()


def test_each_fault_has_a_test_of_each_sender_or_a_reason_why_not() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "sender-faults.md").read_text().splitlines()
        if line.startswith("|")
    ]
    assert rows[0] == ["fault", "APNs", "FCM", "Web Push"]
    cells = [cell for row in rows[2:] for cell in row[1:]]
    proofs = {proof for cell in cells for proof in PROOF.findall(cell)}
    assert [proof for proof in proofs if not exists(proof)] == []
    bare = [
        cell
        for cell in cells
        if not PROOF.search(cell) and not cell.startswith(("the same code", "there is none"))
    ]
    assert bare == []
    told = {proof.partition("::")[0] for proof in proofs}
    of_the_engine = (
        "answers",
        "connection_faults",
        "many",
        "pool",
        "silence",
        "start_by",
        "stream_faults",
    )
    assert [n for n in of_the_engine if f"tests/apns/test_{n}.py" not in told] == []


def test_the_guide_of_a_new_sender_names_all_that_a_service_says() -> None:
    wanted = {name for name in vars(Service) if not name.startswith("_")}
    assert wanted - set(re.findall(r"`(\w+)`", guide("a-new-sender"))) == set()


def test_every_decision_has_a_number_of_its_own() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert page.read_text().startswith(f"# {int(page.name[:4])}. "), page.name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 140


def test_the_layers_are_those_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = "\n".join(contracts["contracts"][0]["layers"])
    assert f"```\n{layers}\n```" in (ROOT / "docs" / "architecture.md").read_text()


def test_every_setting_is_told_of() -> None:
    told = {name for name in first_cells(guide("operation")) if name.startswith("RINGLINE_")}
    assert told == {f"RINGLINE_{name.upper()}" for name in Settings.model_fields}


def test_every_limit_is_told_of_with_its_default_and_bounds() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) to (\d+) \|", guide("limits"), re.MULTILINE)
    assert {name: tuple(map(float, rest)) for name, *rest in rows} == {
        name: (float(getattr(DEFAULTS, name)), *map(float, bounds))
        for name, bounds in BOUNDS.items()
    }


def test_every_rate_limit_is_told_of_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| [^|]+\|$", guide("limits"), re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in rows} == {
        name: getattr(rate_limits.DEFAULTS, name) for name in rate_limits.NAMES
    }


def test_every_table_is_told_of() -> None:
    assert set(first_cells(guide("data-model"))) == set(Base.metadata.tables)


def test_the_data_map_has_every_table_and_none_that_names_a_user_as_none() -> None:
    page = (ROOT / "docs" / "security" / "privacy.md").read_text()
    assert set(first_cells(page)) == set(Base.metadata.tables)
    of_users = {"user_id", "caller_id", "person", "email"}
    for line in page.splitlines():
        for name in first_cells(line):
            named = of_users & set(Base.metadata.tables[name].columns.keys())
            assert not (named and "| none" in line), f"{name}: {named}"


def test_every_placeholder_and_profile_is_told_of() -> None:
    page = guide("payloads")
    told = {name.rstrip("?") for name in first_cells(page)}
    assert told == {*FIELDS, "token"}
    assert all(f"`{profile}`" in page for profile in PROFILES)


def test_the_references_of_metrics_and_log_events_are_the_codes() -> None:
    assert set(reference.log_events()) == set(LOG_EVENTS), "each has a sentence in LOG_EVENTS"
    for path, text in reference.files().items():
        assert (ROOT / path).read_text() == text, f"{path}: run `make reference`"


def test_rules_and_board_read_metrics_that_the_code_makes() -> None:
    made = reference.metrics()
    series = {
        f"{name}{end}" if kind == "histogram" else name
        for name, (kind, *_) in made.items()
        for end in ("_bucket", "_sum", "_count")
    }
    for path in (rules.RULES, rules.BOARD):
        read = rules.names_in(path.read_text())
        assert read, path
        assert read <= series, path.name
