"""Who waits when there is more to do than a process can: those that use the most, and nobody else.

While one tenant alone rings, or the process keeps up, nobody is held back. When it falls behind
(its loop, or what its batches need of others) and some tenants use far more of it than others, each
batch of theirs is followed by a pause: so the others find it as they would without them.
"""

from collections.abc import Hashable, Mapping
from typing import Final, TypeVar

Tenant = TypeVar("Tenant", bound=Hashable)

SURE: Final = 25.0
"""Requests a second of a process from which a tenant may be held back."""

LEFT: Final = 10.0
"""Requests a second that it may make all the same, however far behind the process is."""

MANY_TIMES: Final = 3.0
"""So many times what the least active tenant uses is far more."""

BEHIND: Final = 0.004
"""Seconds by which the event loop is late, from which a process has fallen behind."""

SLOW: Final = 1.5
"""So many times as long as a batch usually takes is slow: the database or the machine is behind."""

LEAST_SLOW: Final = 0.008
"""Seconds that a batch may take at least before it is slow: a lone ring's usually takes a third."""

AT_ONCE: Final = 16.0
"""How strained a process is from the first moment on at which it is found to be behind."""

MOST_STRAIN: Final = 24.0
LONGEST_BATCH: Final = 0.1
LONGEST_PAUSE: Final = 2.0


def heavy(rates: Mapping[Tenant, float]) -> set[Tenant]:
    """Who is held back when a process falls behind; `rates`: requests a second.

    Those that ask for far more than the least active one, for half of what the most active does,
    and for at least SURE: a tenant of an ordinary rate is no flood beside one that is idle.
    """
    if len(rates) < 2:
        return set()
    most, least = max(rates.values()), min(rates.values())
    if most <= MANY_TIMES * least:
        return set()
    return {tenant for tenant, rate in rates.items() if rate >= max(most / 2, SURE)}


def times_behind(late: float, took: float, usual: float) -> float:
    """How far a process is behind, in parts of what is bearable: up to 1 it keeps up.

    `late`: seconds by which its loop is; `took`, `usual`: those that a batch takes now and did
    while nobody was held back.
    """
    return max(late / BEHIND, took / max(SLOW * usual, LEAST_SLOW))


def strain_after(strain: float, behind: float) -> float:
    """How strained a process is that was so many times behind; 0 when it keeps up."""
    if behind > 1.0:
        return min(MOST_STRAIN, max(AT_ONCE * behind, strain * 1.25))
    return strain * 0.985 if strain > 0.5 else 0.0


def pause_of(strain: float, took: float, count: int) -> float:
    """Seconds for which a heavy tenant's next batch waits, when its last one took so long.

    `count`: requests of the next one; never so long that less than LEFT would be left.
    """
    return min(LONGEST_PAUSE, count / LEFT, strain * min(took, LONGEST_BATCH))
