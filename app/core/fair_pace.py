"""Who waits when there is more to do than a process can: those that use the most, and nobody else.

While one tenant alone rings, or the process keeps up, nobody is held back. When it falls behind
and some tenants use far more of it than others, each batch of theirs is followed by a pause, the
longer the more it has fallen behind: so the others find it as they would without them.
"""

from collections.abc import Hashable, Mapping
from typing import Final, TypeVar

Tenant = TypeVar("Tenant", bound=Hashable)

MANY_TIMES: Final = 3.0
"""So many times what the least active tenant uses is far more."""

BEHIND: Final = 0.008
"""Seconds by which the event loop is late, from which a process has fallen behind."""

MOST_STRAIN: Final = 64.0
LONGEST_BATCH: Final = 0.1
LONGEST_PAUSE: Final = 2.0


def heavy(used: Mapping[Tenant, float]) -> set[Tenant]:
    """Those that use far more than the least active one, and half of what the most active does."""
    if len(used) < 2:
        return set()
    most, least = max(used.values()), min(used.values())
    if most <= MANY_TIMES * least:
        return set()
    return {tenant for tenant, count in used.items() if count >= most / 2}


def strain_after(strain: float, late: float) -> float:
    """How strained a process is, after its loop was so many seconds late; 0 when it keeps up."""
    if late > BEHIND:
        return min(MOST_STRAIN, max(1.0, strain * 1.25))
    return strain * 0.95 if strain > 0.5 else 0.0


def pause_of(strain: float, took: float) -> float:
    """Seconds for which a heavy tenant's next batch waits, when its last one took so long."""
    return min(LONGEST_PAUSE, strain * min(took, LONGEST_BATCH))
