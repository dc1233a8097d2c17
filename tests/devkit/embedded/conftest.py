"""Two users to run servers as, when the tests run as root: root and an ordinary one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devkit.embedded.places import temp_folder, throw_away_folder
from tests.devkit.embedded.people import IS_ROOT, WHO, Person, ordinary_person, this_person


@contextmanager
def folder_for_all(parent: Path) -> Iterator[Path]:
    """A new folder that everyone may walk to: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-tests-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """For the servers' folders: in memory where there is plenty, for they hold many files."""
    with folder_for_all(throw_away_folder()) as folder:
        yield folder


@pytest.fixture(scope="session")
def tools() -> Iterator[Path]:
    """For programs; memory is often mounted noexec."""
    with folder_for_all(temp_folder()) as folder:
        yield folder


@pytest.fixture(scope="session")
def ordinary(open_folder: Path, tools: Path) -> Iterator[Person]:
    """An ordinary user."""
    places = open_folder / "ordinary"
    places.mkdir()
    someone = ordinary_person(places, tools) if IS_ROOT else this_person(places)
    yield someone
    someone.clean()


@pytest.fixture(scope="session")
def root(open_folder: Path) -> Iterator[Person]:
    """Root; only when the tests run as root."""
    places = open_folder / "root"
    places.mkdir()
    someone = this_person(places)
    yield someone
    someone.clean()


@pytest.fixture(params=WHO)
def person(request: pytest.FixtureRequest) -> Person:
    """Each user in turn."""
    return request.getfixturevalue("ordinary" if request.param == "ordinary user" else "root")
