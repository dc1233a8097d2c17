"""How many lines of Python the house has, beside a commit of its past: `make lines`.

Counted are `app`, `workers` and `devkit`, without what only describes the API: the models of
answers and the registry of events.
"""

import argparse
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNTED = ("app", "workers", "devkit")
LEFT_OUT = ("app/api/models/", "app/events/data.py", "app/events/registry.py")
BEFORE = "9ea4309"
"""Before packages were cut and typed: all of devkit was in `app` then."""


def package_of(path: str) -> str | None:
    """What a file counts for: `app/calls`, `workers`; None when it does not count."""
    parts = path.split("/")
    if parts[0] not in COUNTED or not path.endswith(".py") or path.startswith(LEFT_OUT):
        return None
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def counted(files: Iterable[tuple[str, bytes]]) -> Counter[str]:
    """Lines by package."""
    found: Counter[str] = Counter()
    for path, text in files:
        if (package := package_of(path)) is not None:
            found[package] += len(text.splitlines())
    return found


def git(*words: str) -> bytes:
    """What git says. Raises CalledProcessError where there is no history."""
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


def files_now() -> Iterable[tuple[str, bytes]]:
    """The files that git knows, as they are in the working tree."""
    for path in git("ls-files", "-z", "--", *COUNTED).decode().split("\0"):
        if path and (ROOT / path).exists():
            yield path, (ROOT / path).read_bytes()


def files_of(commit: str) -> Iterable[tuple[str, bytes]]:
    """The files of a commit."""
    for path in git("ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0"):
        if package_of(path) is not None:
            yield path, git("show", f"{commit}:{path}")


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", default=BEFORE, help="the commit to compare with")
    commit = parser.parse_args().before
    now, before = counted(files_now()), counted(files_of(commit))
    for package in sorted(now | before):
        print(f"{package:<22} {before[package]:>7,} {now[package]:>7,}")
    print(
        f"{'total':<22} {before.total():>7,} {now.total():>7,}  {now.total() - before.total():+,}"
    )


if __name__ == "__main__":
    main()
