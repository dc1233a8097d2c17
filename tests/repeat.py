"""The suite ten times, five of them with every core kept busy: `make test-repeat`.

Stops at the first run that fails, and says which it was, its seed, and its tests. Words after it go
to pytest.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from tests.chance import VARIABLE

QUIET, BUSY = 5, 5
BURNER = "while True: pass"


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


def once(number: int, seed: int, *, busy: bool, words: list[str]) -> bool:
    """One run; whether it passed."""
    how = "with every core kept busy" if busy else "quiet"
    print(f"--- run {number} of {QUIET + BUSY}, {how}, seed {seed}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--hypothesis-seed={seed}", *words]
    with burning() if busy else contextlib.nullcontext():
        done = subprocess.run(command, env=os.environ | {VARIABLE: str(seed)}, check=False)
    if done.returncode:
        print(f"--- run {number} failed, {how}: its tests stand above. The same again:", flush=True)
        print(f"    {VARIABLE}={seed} make test ARGS='--hypothesis-seed={seed} ...'", flush=True)
    return done.returncode == 0


def main(words: list[str]) -> int:
    """0 if all runs passed. Seeds follow the one in the environment, or 1."""
    first = int(os.environ.get(VARIABLE, "1"))
    for number in range(1, QUIET + BUSY + 1):
        if not once(number, first + number - 1, busy=number > QUIET, words=words):
            return 1
    print(f"--- {QUIET + BUSY} runs passed, {BUSY} of them with every core kept busy")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
