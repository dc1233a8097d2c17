"""Our tools around pytest, run on a file of tests in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(folder: Path, body: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m WORDS` in this folder, whose `test_it.py` this is; with no plugins but named ones."""
    (folder / "test_it.py").write_text(body)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | env,
        capture_output=True,
        text=True,
        check=False,
    )
