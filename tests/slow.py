"""Which tests `make test` leaves to `make test-slow`: a tenth of all, which take half of the time.

Whoever changes a line waits for the others (docs/decisions/0040-slow-tests.md); `.ci/run` runs both. A
test belongs here if it looks through a browser, has others' compilers and generators work, makes a whole
installation to kill it, or goes through all there is of something. The rest stays where a person waits.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
OPTION = "--slow"
CHOICES = ("with", "without", "only")

SLOW = {
    "in a browser": (
        "dashboard/test_contrast.py", "dashboard/test_in_a_browser.py", "dashboard/test_once.py",
        "dashboard/test_reached.py", "dashboard/test_round_trips.py",
        "dashboard/test_tenant_deletion.py", "devkit/lab",
    ),
    "what others' tools make of ours": ("clients", "contract"),
    "a whole installation, killed, emptied or put back": (
        "chaos/test_smoke.py", "cli/test_interrupts.py", "devkit/embedded/test_folders.py",
        "devkit/embedded/test_life.py", "e2e/test_demo.py", "e2e/test_flush.py",
        "e2e/test_groups_survive.py", "e2e/test_heartbeats.py", "e2e/test_races.py",
        "e2e/test_tenant_deletion.py", "credentials/test_under_load.py",
        "live/test_streams_survive.py", "operating/test_backup.py",
        "operating/test_odd_backups.py",
    ),
    "all there is of something": (
        "credentials/test_privacy.py", "fuzz", "test_dependencies.py", "test_migrating.py",
        "test_migrations.py", "test_plans.py", "test_plans_under_load.py",
    ),
    "what tests are run by": ("test_again.py", "test_prepared.py", "test_repeat.py", "test_slow.py"),
}  # fmt: skip
"""Why, and the files and folders below tests/."""


def is_slow(path: Path) -> bool:
    """Whether a file of tests is one of these, or lies in one of these folders."""
    listed = {TESTS / name for names in SLOW.values() for name in names}
    return not listed.isdisjoint((path, *path.parents))


def is_left_out(path: Path, which: str, asked: Sequence[str]) -> bool:
    """Whether a file of tests is not run: nobody asked for it by its name, and it is of the other kind."""
    if which == "with" or any(Path(one.partition("::")[0]).resolve() == path for one in asked):
        return False
    return is_slow(path) is (which == "without")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        OPTION, choices=CHOICES, default="with",
        help="all tests (with), those that `make test` runs (without), those of `make test-slow` (only)",
    )  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file that is left out is not even imported."""
    if not collection_path.is_file() or not collection_path.name.startswith("test_"):
        return None
    return is_left_out(collection_path, config.getoption(OPTION), config.args) or None
