"""The clients' packages, made once per process."""

from pathlib import Path

import pytest

from tests.clients import packing


@pytest.fixture(scope="session")
def python_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("python")
    packing.pack_python(folder)
    return folder


@pytest.fixture(scope="session")
def typescript_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the npm package installed, and the compiler beside it in `typescript`."""
    folder = tmp_path_factory.mktemp("typescript")
    packing.install_typescript(packing.pack_typescript(folder), folder)
    return folder
