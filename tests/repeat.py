"""The suite ten times, five of them with every core kept busy: `make test-repeat`.

Each run's output is kept in `build/repeat/`. All runs are made, whatever fails: what fails seldom is
seen by how often it does. At the end stands which tests failed, in which runs and with which seeds.
`RINGLINE_TEST_RUNS=2` makes two quiet ones and two busy ones. Words after it go to pytest.
"""

import contextlib
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.chance import VARIABLE

QUIET = BUSY = int(os.environ.get("RINGLINE_TEST_RUNS", "5"))
BURNER = "while True: pass"
KEPT = Path("build/repeat")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?::.*?|\S+)(?: - .*)?$")
"""A line of pytest's summary; a test's id may hold spaces."""


@contextlib.contextmanager
def burning() -> Iterator[None]:
    """Every core has something else to do as well."""
    burners = [subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for one in burners:
            one.kill()
            one.wait()


def once(number: int, seed: int, *, busy: bool, words: list[str]) -> tuple[bool, list[str]]:
    """One run: whether it passed, and what failed. All that it says is shown, and kept."""
    how = "with every core kept busy" if busy else "quiet"
    kept, failed = KEPT / f"{number}.txt", list[str]()
    print(f"--- run {number} of {QUIET + BUSY}, {how}, seed {seed}: {kept}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--hypothesis-seed={seed}", *words]
    with (
        burning() if busy else contextlib.nullcontext(),
        kept.open("w") as log,
        subprocess.Popen(
            command,
            env=os.environ | {VARIABLE: str(seed)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as run,
    ):
        assert run.stdout is not None
        for line in run.stdout:
            print(line, end="", flush=True)
            log.write(line)
            if found := FAILED.match(line.rstrip()):
                failed.append(found[1])
    return run.returncode == 0, failed


def main(words: list[str]) -> int:
    """0 if all runs passed. Seeds follow the one in the environment, or 1."""
    first, broken = int(os.environ.get(VARIABLE, "1")), list[int]()
    failed = defaultdict[str, list[int]](list)
    KEPT.mkdir(parents=True, exist_ok=True)
    for number in range(1, QUIET + BUSY + 1):
        passed, tests = once(number, first + number - 1, busy=number > QUIET, words=words)
        if not passed:
            broken.append(number)
        for test in tests:
            failed[test].append(number)
    for test, runs in sorted(failed.items(), key=lambda one: (-len(one[1]), one[0])):
        print(f"--- failed in {len(runs)} of {QUIET + BUSY}: {test}")
        print(
            "".join(f"      run {n}, seed {first + n - 1}: {KEPT}/{n}.txt\n" for n in runs), end=""
        )
    if broken:
        seed = first + broken[0] - 1
        print(f"--- {len(broken)} of {QUIET + BUSY} runs failed. The first of them again:")
        print(f"    {VARIABLE}={seed} make test ARGS='--hypothesis-seed={seed} ...'", flush=True)
        return 1
    print(f"--- {QUIET + BUSY} runs passed, {BUSY} of them with every core kept busy")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
