"""Two users to run servers as, when the tests run as root: root and an ordinary one."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded.places import temp_folder
from tests.embedded.people import IS_ROOT, WHO, Person, ordinary_person, this_person


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that everyone may walk to: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-tests-", dir=temp_folder()))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def ordinary(open_folder: Path) -> Person:
    """An ordinary user."""
    places = open_folder / "ordinary"
    places.mkdir()
    if not IS_ROOT:
        return this_person(places)
    tools = open_folder / "tools"
    tools.mkdir()
    return ordinary_person(places, tools)


@pytest.fixture(params=WHO)
def person(request: pytest.FixtureRequest, open_folder: Path) -> Person:
    """Each user in turn."""
    if request.param == "ordinary user":
        return request.getfixturevalue("ordinary")
    places = open_folder / "root"
    places.mkdir(exist_ok=True)
    return this_person(places)
