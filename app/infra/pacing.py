"""Turns for tenants on one event loop: when it falls behind, those that use the most wait.

The rule is `core.fair_pace`; here is what it needs: who uses how much, and how late the loop is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from app.core.fair_pace import heavy, pause_of, strain_after
from app.infra.observe import STRAIN

LOOK = 0.02
"""Seconds between two looks at how late the loop is."""

SMOOTH = 0.2
FORGET = 2.0
"""Seconds in which a tenant's use fades to a third."""

ACTIVE = 0.05
"""Requests, faded so, from which a tenant counts as one that uses this process."""


class Pacer:
    """Belongs to one event loop. It looks at the loop only while several tenants use it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._used: dict[UUID, float] = {}
        self._took: dict[UUID, float] = {}
        self._heavy: set[UUID] = set()
        self._late = 0.0
        self._strain = 0.0
        self._next = 0.0
        self._looking = False

    @asynccontextmanager
    async def turn(self, tenant: UUID, count: int) -> AsyncIterator[None]:
        """So many requests of this tenant are worked on in this block, when it may begin."""
        self._used[tenant] = self._used.get(tenant, 0.0) + count
        if len(self._used) > 1 and not self._looking:
            self._look_again()
        if tenant in self._heavy and self._strain:
            await asyncio.sleep(pause_of(self._strain, self._took.get(tenant, 0.0), count))
        begun = self._loop.time()
        try:
            yield
        finally:
            self._took[tenant] = self._loop.time() - begun

    def _look_again(self) -> None:
        self._looking = True
        self._next = self._loop.time() + LOOK
        self._loop.call_at(self._next, self._look)

    def _look(self) -> None:
        late = self._loop.time() - self._next
        self._late += SMOOTH * (late - self._late)
        self._strain = strain_after(self._strain, self._late)
        STRAIN.set(self._strain)
        fade = 1 - (LOOK + late) / FORGET if late < FORGET - LOOK else 0.0
        self._used = {
            one: left for one, count in self._used.items() if (left := count * fade) > ACTIVE
        }
        self._took = {one: took for one, took in self._took.items() if one in self._used}
        self._heavy = heavy({one: count / FORGET for one, count in self._used.items()})
        if len(self._used) > 1 or self._strain:
            self._look_again()
        else:
            self._looking = False
