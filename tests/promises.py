"""`docs/promises.md` read, checked and run: `python -m tests.promises [AREA ...]`.

A section an area; rows `| promise | proof |`; a proof is in backticks: a test
(`tests/a.py::test_b`, `tests/a.py::TestC::test_d`, `tests/a.py`) or a command from the root
(`make …`, `python -m …`).
"""

import ast
import importlib.util
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "promises.md"
AREAS = (
    "Solid", "Contract", "Speed", "Phones and browsers", "Who may ring", "Operating", "Clients",
)  # fmt: skip
PROOF = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Promise:
    """A sentence and what proves it; `line` of the page."""

    line: int
    area: str
    text: str
    proofs: tuple[str, ...]


def read(page: str) -> list[Promise]:
    """Every row of every section's table."""
    found, area = [], ""
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("## "):
            area = line.removeprefix("## ").strip()
        elif line.startswith("|") and not re.match(r"\|\s*(promise|-+)\s*\|", line):
            promise, _, proof = line.strip().strip("|").rpartition("|")
            found.append(Promise(number, area, promise.strip(), tuple(PROOF.findall(proof))))
    return found


def faults(promises: Iterable[Promise], root: Path = ROOT) -> list[str]:
    """What is wrong with the page: an area without a promise, a promise without a proof that exists."""
    promises = list(promises)
    areas = {one.area for one in promises}
    found = [f"there is no promise under {area!r}" for area in AREAS if area not in areas]
    found += [f"{area!r} is no area" for area in sorted(areas - set(AREAS))]
    for one in promises:
        if not one.proofs:
            found.append(f"line {one.line}: {one.text!r} has no proof")
        for proof in one.proofs:
            if not exists(proof, root):
                found.append(f"line {one.line}: there is no `{proof}`")
    return found


def exists(proof: str, root: Path = ROOT) -> bool:
    """Whether a proof is there to be run."""
    word, _, rest = proof.partition(" ")
    if word == "make":
        target = rest.split()[0] if rest else ""
        makefile = (root / "Makefile").read_text()
        return re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE) is not None
    if word == "python":
        flag, _, module = rest.partition(" ")
        path = root.joinpath(*module.split()[0].split(".")) if module else root / "?"
        return flag == "-m" and (
            path.with_suffix(".py").exists() or (path / "__main__.py").exists()
        )
    path, *names = proof.split("::")
    return path.startswith("tests/") and (root / path).is_file() and (
        not names or "::".join(names).partition("[")[0] in _tests_of(root / path)
    )  # fmt: skip


@cache
def _tests_of(path: Path) -> frozenset[str]:
    """Names of tests in a file, `Class::test` for those of a class, and the classes."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
            found |= {f"{node.name}::{inner.name}" for inner in node.body if _is_test(inner)}
        elif _is_test(node):
            found.add(node.name)  # type: ignore[attr-defined]
    return frozenset(found)


def _is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
        "test_"
    )


def run(promises: Sequence[Promise]) -> bool:
    """Run every proof once: all tests together, then each command; say what holds."""
    proofs = list(dict.fromkeys(proof for one in promises for proof in one.proofs))
    tests = [proof for proof in proofs if proof.startswith("tests/")]
    good = not tests or _run([sys.executable, "-m", "pytest", "-q", *_workers(), *tests])
    for proof in proofs:
        if not proof.startswith("tests/"):
            words = proof.split()
            words[0] = sys.executable if words[0] == "python" else words[0]
            good = _run(words) and good
    print(
        f"{len(promises)} promises, {len(proofs)} proofs: {'all hold' if good else 'NOT ALL HOLD'}"
    )
    return good


def _workers() -> list[str]:
    there = importlib.util.find_spec("xdist") is not None
    return ["-n", "auto", "--maxprocesses", "6", "--dist", "worksteal"] if there else []


def _run(command: Sequence[str]) -> bool:
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    shown = " ".join(command) if len(command) < 8 else f"{' '.join(command[:5])} ... (all tests)"
    print(
        f"{'holds' if done else 'BROKEN'} in {time.monotonic() - begun:.0f} s: {shown}", flush=True
    )
    return done


def main(areas: Sequence[str]) -> int:
    promises = read(PAGE.read_text())
    wrong = faults(promises)
    if wrong:
        print(*wrong, sep="\n")
        return 1
    return 0 if run([one for one in promises if not areas or one.area in areas]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
