"""Seconds of a clock that goes on while this process is frozen or the machine is suspended.

`loop.time()` stands still through a suspend on Linux (CLOCK_MONOTONIC), and then takes what is old
for fresh. Source: clock_gettime(2), CLOCK_BOOTTIME; elsewhere CLOCK_MONOTONIC counts sleep, too.
"""

import time
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime() -> float:
    """Seconds since boot, those asleep included."""
    return time.clock_gettime(_CLOCK)
