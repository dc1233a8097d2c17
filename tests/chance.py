"""Where tests get their chance from: each seed is printed, and a run can be made again.

`RINGLINE_TEST_SEED=7 make test` draws what the run that printed 7 drew; Hypothesis has its own
`--hypothesis-seed`, and prints what to paste.
"""

import os
import random
import secrets

VARIABLE = "RINGLINE_TEST_SEED"
LONG = bool(os.environ.get("RINGLINE_TEST_LONG"))
"""`make test-long`: minutes for what has seconds in every run."""


def run_seed() -> int:
    """The seed of this run: given, or drawn once for all its processes."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = str(secrets.randbelow(2**32))
    return int(os.environ[VARIABLE])


def often(short: int, long: int) -> int:
    """How often to try: in every run, and in `make test-long`."""
    return long if LONG else short


def dice(seed: int | None = None) -> random.Random:
    """Random numbers of this seed, or of the run's; says which, for whoever looks at a failure."""
    seed = run_seed() if seed is None else seed
    print(f"seed {seed}")
    return random.Random(seed)
