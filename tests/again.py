"""The suite once, and what failed beside the others three times by itself: `make test`.

A run of some thousands of tests beside real servers on two cores now and then breaks one that is
right (docs/decisions/0022-tests-beside-others.md). At most `MOST` of them are run again, alone and
`TIMES` times each; one failure there fails the run. What passed is named as unsteady, to be mended.
Words go to pytest.
"""

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
MOST, TIMES = 3, 3
SOME_FAILED = 1


def pytest(*words: str) -> int:
    """One run's exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", *words], check=False).returncode


def failed() -> list[str]:
    """The ids of the tests that failed in the last run."""
    return sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []


def main(words: list[str]) -> int:
    """pytest's exit code; 0 too where all that failed is unsteady."""
    FAILED.unlink(missing_ok=True)
    code = pytest(*words)
    again = failed()
    if code != SOME_FAILED or not 0 < len(again) <= MOST:
        return code
    for number in range(1, TIMES + 1):
        print(f"--- by themselves, {number} of {TIMES}: {' '.join(again)}", flush=True)
        if alone := pytest("-q", "-n0", "-p", "no:cacheprovider", *again):
            return alone
    print(f"--- UNSTEADY: failed beside others and passed {TIMES} times alone; to be mended:")
    print("".join(f"    {one}\n" for one in again))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
