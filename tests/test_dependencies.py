"""What a plain `pip install .` brings is all that the product imports."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ONLY_IF_THERE = {"attrs", "django", "msgpack", "psutil", "pyyaml"}
"""What libraries of ours load where it happens to be installed, and do without elsewhere."""
LOADED = """
import sys
before = set(sys.modules)
import json
import app.cli.commands, app.doctor, app.main, migrations.models, workers.main
workers.main.app.connection().transport  # what Celery loads when it starts
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def brought() -> set[str]:
    """Distributions that the declared dependencies bring, with theirs."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    waiting, found = [Requirement(one) for one in declared], set()
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *wanted.extras):
            if (key := (canonicalize_name(wanted.name), extra)) in found:
                continue
            found.add(key)
            try:
                needs = metadata.requires(wanted.name) or []
            except metadata.PackageNotFoundError:  # of another system, or an older Python
                continue
            for one in map(Requirement, needs):
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    waiting.append(one)
    return {name for name, _ in found}


def test_all_that_is_imported_is_declared() -> None:
    """The locks bring more (build tools, test tools), so that a run from them hides what is missing."""
    printed = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PATH": "", "RINGLINE_ENVIRONMENT": "development"},
    ).stdout  # fmt: skip
    owners = metadata.packages_distributions()
    known, missing = brought() | ONLY_IF_THERE, {}
    for name in json.loads(printed):
        of = {canonicalize_name(one) for one in owners.get(name, [])} - {"ringline"}
        if of and not of & known:
            missing[name] = sorted(of)
    assert not missing


def test_how_soon_a_vulnerable_component_is_replaced_is_said() -> None:
    """And what they are: each of the product's is in the lock that SECURITY.md names."""
    told = (ROOT / "SECURITY.md").read_text()
    assert all(f"| {severity} |" in told for severity in ("critical", "high", "medium", "low"))
    locked = (ROOT / "requirements" / "run.txt").read_text()
    names = {
        canonicalize_name(one) for one in re.findall(r"^([A-Za-z0-9._-]+)==", locked, re.MULTILINE)
    }
    assert brought() <= names
