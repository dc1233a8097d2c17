"""The house keeps its rules: who may import whom, and how long a file may grow."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("app", "workers", "devkit")
LONGEST_FILE = 400
LONGEST_LINE = 120
ALLOWED_LONGER: dict[str, str] = {}


def test_import_rules_hold() -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 broken" in found.stdout


def test_import_rules_notice_a_breach(tmp_path: Path) -> None:
    """The check itself can fail: a copy of the house with one wrong import is refused."""
    for name in ("app", "workers", "devkit"):
        subprocess.run(["cp", "-R", ROOT / name, tmp_path / name], check=True)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    with (tmp_path / "app" / "core" / "event.py").open("a") as file:
        file.write("\nimport app.infra.settings  # noqa\n")
    found = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as l; l()",
         "--no-cache"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert found.returncode != 0
    assert "app.core is not allowed to import app.infra" in found.stdout


def test_files_stay_small() -> None:
    long = {}
    for path in [path for room in ROOMS for path in ROOT.glob(f"{room}/**/*.py")]:
        lines = len(path.read_text().splitlines())
        if lines > LONGEST_FILE and str(path.relative_to(ROOT)) not in ALLOWED_LONGER:
            long[str(path.relative_to(ROOT))] = lines
    assert not long, "split these, or give the reason in ALLOWED_LONGER"


def test_lines_of_templates_can_be_read() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{number}": len(line)
        for folder in ROOMS
        for path in ROOT.glob(f"{folder}/**/*.html")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LONGEST_LINE
    }
    assert not long


def test_only_settings_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("app/**/*.py")
        if ("os.environ" in path.read_text() or "os.getenv" in path.read_text())
        # prometheus-client takes the folder that processes share from there alone
        # and PostgreSQL's tools are given what we were given, and the password
        and path.name not in {"exposition.py", "settings.py", "postgres_tools.py"}
    ]
    assert readers == []


def test_only_db_commits() -> None:
    commits = re.compile(r"\.commit\(\)|(session|engine|connection)\.begin\(")
    committing = [
        str(path.relative_to(ROOT))
        for path in [path for room in ROOMS for path in ROOT.glob(f"{room}/**/*.py")]
        if commits.search(path.read_text())
    ]
    assert committing == ["app/infra/db.py"]


def test_one_reader_of_addresses() -> None:
    """What is no address is found in one place; the simulator and the phone know nothing of ours."""
    readers = {
        str(path.relative_to(ROOT))
        for path in [path for room in ROOMS for path in ROOT.glob(f"{room}/**/*.py")]
        if re.search(
            r"import.*\b(urlsplit|urlparse)\b|urllib\.parse\.url|httpx\.URL", path.read_text()
        )
    }
    assert {
        one for one in readers if not one.startswith(("devkit/simulator/", "devkit/phone/"))
    } == set()


def test_json_is_changed_by_path_and_never_as_text() -> None:
    """`replace()` on a document rewrites keys, enums and other people's values with it."""
    as_text = re.compile(
        r"replace\(\s*(?:CAST\()?\s*(?:\w+\.)?(?:data|body|answer|custom|settings|detail|limits)\b(?!, \w+=)"
        r"|CAST\(\s*(?:regexp_)?replace\(",
        re.IGNORECASE,
    )
    found = [
        str(path.relative_to(ROOT))
        for path in [*ROOT.glob("app/**/*.py"), *ROOT.glob("workers/**/*.py")]
        if as_text.search(path.read_text())
    ]
    assert found == []


def test_one_predicate_says_that_the_database_is_away() -> None:
    """`app.infra.outage`: a list of classes elsewhere would differ from it sooner or later."""
    lists = re.compile(
        r"except [^\n]*(DBAPIError|SQLAlchemyError|OperationalError|InterfaceError|PoolTimeout)"
        r"|connection_invalidated|sqlstate"
    )
    # and connections.py, whose pool tells those who wait in vain
    door = {"app/infra/outage.py", "app/infra/db.py", "app/infra/connections.py"}
    found = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in ROOT.glob(f"{room}/**/*.py")
        if lists.search(path.read_text())
    }
    # what a command says of a fault is worded by its SQLSTATE, and decides nothing
    worded = {"app/cli/faults.py"}
    assert found - door - worded == set()


def test_what_is_common_to_all_senders_names_no_provider() -> None:
    """Claim, record, breakers and timeline know them by `app.infra.sender`'s seam alone."""
    names = re.compile(r"apns|apple|fcm|google|web ?push|vapid", re.IGNORECASE)
    common = [
        *ROOT.glob("app/push/*.py"),
        ROOT / "app/calls/timeline.py",
        ROOT / "app/core/breaker.py",
    ]
    found = {
        f"{path.relative_to(ROOT)}:{number}": line.strip()
        for path in common
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if names.search(line)
    }
    assert found == {}
