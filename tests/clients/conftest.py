"""The clients' packages, made once in a run."""

from pathlib import Path

import pytest

from tests.clients import packing
from tests.once import of_this_run, once


@pytest.fixture(scope="session")
def python_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    return once(of_this_run(tmp_path_factory, "python-packages"), packing.pack_python)


@pytest.fixture(scope="session")
def typescript_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the npm package installed, and the compiler beside it in `typescript`."""

    def make(folder: Path) -> None:
        packing.install_typescript(packing.pack_typescript(folder), folder)

    made = once(of_this_run(tmp_path_factory, "typescript-packages"), make)
    folder = tmp_path_factory.mktemp("typescript")  # of this process: tests write into it
    for name in ("node_modules", "typescript"):
        (folder / name).symlink_to(made / name)
    return folder
