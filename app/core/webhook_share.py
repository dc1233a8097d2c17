"""Who is sent to next: how one worker's places are shared among tenants and their webhooks.

What is slow is kept apart. A delivery that has had no answer for SLOW_AFTER gives its place among
the quick back and takes one among the slow, of which each tenant has a few; so a thousand endpoints
that crawl hold up nobody but themselves. A webhook's window, how many it is sent at a time, begins
small, grows with each quick answer and shrinks with a slow one.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from app.core.frozen import frozen

SLOW_AFTER: Final = 0.5
"""Seconds without an answer: what others wait for a place at most."""

PLACES: Final = {False: 200, True: 200}
"""Deliveries under way at a time in one worker: the quick, and the slow."""

PER_TENANT: Final = {False: 64, True: 8}
MOST: Final = 512
"""Deliveries under way at a time in one worker, whatever they were begun as."""

FIRST_WINDOW: Final = 2
WIDEST_WINDOW: Final = 32
SLOW_WINDOW: Final = 2


@frozen
class Waiting:
    """A webhook with deliveries that are due. `room`: how many more it may be sent now."""

    webhook: UUID
    tenant: UUID
    slow: bool
    room: int


def window_after(window: int, *, seconds: float) -> int:
    """How many a webhook is sent at a time after it took so long to answer."""
    if seconds >= SLOW_AFTER:
        return min(window, SLOW_WINDOW)
    return min(window + 1, WIDEST_WINDOW)


def share(waiting: Sequence[Waiting], taken: Mapping[tuple[UUID, bool], int]) -> dict[UUID, int]:
    """How many deliveries to begin for each webhook; those that get none are left out.

    `waiting`: who waits longest first. `taken`: places in use, by (tenant, slow). Places go one by
    one to the tenant that has the fewest, of several to the first, and within a tenant to its
    webhooks in turn.
    """
    given: defaultdict[UUID, int] = defaultdict(int)
    left_of_all = MOST - sum(taken.values())
    for slow in (False, True):
        in_use = {tenant: count for (tenant, is_slow), count in taken.items() if is_slow is slow}
        left = min(left_of_all, PLACES[slow] - sum(in_use.values()))
        lines: defaultdict[UUID, deque[Waiting]] = defaultdict(deque)
        for one in waiting:
            if one.slow is slow and one.room > 0:
                lines[one.tenant].append(one)
        heap = [
            (in_use.get(tenant, 0), order, line)
            for order, (tenant, line) in enumerate(lines.items())
        ]
        heapq.heapify(heap)
        while heap and left > 0:
            used, order, line = heap[0]
            if used >= PER_TENANT[slow]:
                break  # who has the fewest has all
            one = line.popleft()
            given[one.webhook] += 1
            left, left_of_all = left - 1, left_of_all - 1
            if given[one.webhook] < one.room:
                line.append(one)
            if line:
                heapq.heapreplace(heap, (used + 1, order, line))
            else:
                heapq.heappop(heap)
    return dict(given)
