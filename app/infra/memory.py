"""The garbage collector of a process that runs for months."""

import gc

YOUNG = 20_000
"""New objects before the youngest are looked through: a batch of rings makes some thousands, nearly
all of which are freed by counting alone."""


def settle() -> None:
    """Leave what start-up has made out of every collection to come, and collect more seldom.

    Python's own threshold is 700 objects, and a full collection walks all the modules, which takes
    tens of milliseconds in the middle of somebody's ring.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
