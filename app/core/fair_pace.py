"""Who waits when there is more to do than a process can: those that use the most, and nobody else.

While one tenant alone rings, or the process keeps up, nobody is held back. When it falls behind
and some tenants use far more of it than others, each batch of theirs is followed by a pause, the
longer the more it has fallen behind: so the others find it as they would without them.
"""

from collections.abc import Hashable, Mapping
from typing import Final, TypeVar

Tenant = TypeVar("Tenant", bound=Hashable)

SURE: Final = 25.0
"""Requests a second that any tenant may make of a process, however far behind that is."""

MANY_TIMES: Final = 3.0
"""So many times what the least active tenant uses is far more."""

BEHIND: Final = 0.008
"""Seconds by which the event loop is late, from which a process has fallen behind."""

MOST_STRAIN: Final = 64.0
LONGEST_BATCH: Final = 0.1
LONGEST_PAUSE: Final = 2.0


def heavy(rates: Mapping[Tenant, float]) -> set[Tenant]:
    """Who is held back when a process falls behind; `rates`: requests a second.

    Those that ask for far more than the least active one, for half of what the most active does,
    and for more than is sure: a tenant of an ordinary rate is no flood beside one that is idle.
    """
    if len(rates) < 2:
        return set()
    most, least = max(rates.values()), min(rates.values())
    if most <= MANY_TIMES * least:
        return set()
    return {tenant for tenant, rate in rates.items() if rate >= max(most / 2, SURE)}


def strain_after(strain: float, late: float) -> float:
    """How strained a process is, after its loop was so many seconds late; 0 when it keeps up."""
    if late > BEHIND:
        return min(MOST_STRAIN, max(1.0, strain * 1.25))
    return strain * 0.95 if strain > 0.5 else 0.0


def pause_of(strain: float, took: float, count: int) -> float:
    """Seconds for which a heavy tenant's next batch waits, when its last one took so long.

    `count`: requests of the next one; never so long that less than SURE would be left.
    """
    return min(LONGEST_PAUSE, count / SURE, strain * min(took, LONGEST_BATCH))
