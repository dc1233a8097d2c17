"""What `make test` leaves out: the files are there, and one of both runs each test."""

import subprocess
import sys

import pytest

from tests.slow import SLOW, TESTS, is_left_out, is_slow

ROOT = TESTS.parent


@pytest.mark.parametrize("name", [name for names in SLOW.values() for name in names])
def test_what_is_listed_is_there_once(name: str) -> None:
    listed = [one for names in SLOW.values() for one in names]
    assert (TESTS / name).exists()
    assert listed.count(name) == 1
    assert not any(name.startswith(f"{other}/") for other in listed)


def test_whatever_opens_a_browser_is_slow() -> None:
    """`chromium` and `whole_chromium` are what a browser is asked for by (tests/browser.py)."""
    opening = [
        path for path in TESTS.rglob("test_*.py")
        if path.name != "test_slow.py" and "chromium: Browser" in path.read_text()
    ]  # fmt: skip
    assert opening
    assert [path for path in opening if not is_slow(path)] == []


def test_each_file_is_run_by_one_of_both() -> None:
    for path in TESTS.rglob("test_*.py"):
        left_out = [is_left_out(path, which, ["tests"]) for which in ("without", "only", "with")]
        assert left_out in ([True, False, False], [False, True, False])


def test_who_is_asked_for_by_name_is_run() -> None:
    slow, other = "tests/fuzz/test_api.py", "tests/test_order.py"
    assert ran("tests/fuzz", other, "--slow=without") == {other}
    assert ran(slow, other, "--slow=without") == {slow, other}
    assert not is_left_out(ROOT / slow, "without", [f"{slow}::test_one"])


def ran(*words: str) -> set[str]:
    """The files that pytest would run tests of."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
