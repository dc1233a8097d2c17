"""Turns for tenants on one event loop: when it falls behind, those that use the most wait.

The rule is `core.fair_pace`; here is what it needs: who uses how much, how late the loop is, and
how long batches take, which the database and the machine's cores have a part in.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from app.core.fair_pace import heavy, pause_of, strain_after, times_behind
from app.infra.observe import STRAIN

LOOK = 0.02
"""Seconds between two looks at how late the loop is."""

SMOOTH = 0.2
FORGET = 0.5
"""Seconds in which a tenant's use fades to a third: a flood is seen with its first dozens."""

OF_RECENT, OF_USUAL, OF_STRAINED = 0.5, 0.05, 0.002
"""What one batch adds to how long they take now, and usually: hardly any while it is strained, so
that a flood does not become what is usual, though a database that is slower from now on does."""

USUAL = 0.01
"""Seconds that a batch is held to take before there was one."""

BATCH = 20
"""Requests by which a batch takes twice as long as of one."""

ACTIVE = 0.05
"""Requests, faded so, from which a tenant counts as one that uses this process."""


class Pacer:
    """Belongs to one event loop. It looks at the loop only while several tenants use it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._used: dict[UUID, float] = {}
        self._faded = self._loop.time()
        self._took: dict[UUID, float] = {}
        self._heavy: set[UUID] = set()
        self._late = 0.0
        self._strain = 0.0
        self._recent = self._usual = USUAL
        self._next = 0.0
        self._looking = False

    @asynccontextmanager
    async def turn(self, tenant: UUID, count: int) -> AsyncIterator[None]:
        """So many requests of this tenant are worked on in this block, when it may begin."""
        if not self._looking:
            self._fade()
        self._used[tenant] = self._used.get(tenant, 0.0) + count
        if len(self._used) > 1 and not self._looking:
            self._look_again()
        if tenant in self._heavy and self._strain:
            await asyncio.sleep(pause_of(self._strain, self._took.get(tenant, 0.0), count))
        begun = self._loop.time()
        try:
            yield
        finally:
            took = self._took[tenant] = self._loop.time() - begun
            self._note(took / (1 + count / BATCH))

    def _note(self, took: float) -> None:
        self._recent += OF_RECENT * (took - self._recent)
        part = OF_STRAINED if self._strain else OF_USUAL
        self._usual += part * (took - self._usual)

    def _fade(self) -> None:
        """Let what was used be forgotten, as far as time has gone on since it last was."""
        now = self._loop.time()
        left = math.exp((self._faded - now) / FORGET)
        self._faded = now
        self._used = {
            one: rest for one, used in self._used.items() if (rest := used * left) > ACTIVE
        }

    def _look_again(self) -> None:
        self._looking = True
        self._next = self._loop.time() + LOOK
        self._loop.call_at(self._next, self._look)

    def _look(self) -> None:
        late = self._loop.time() - self._next
        self._late += SMOOTH * (late - self._late)
        behind = times_behind(self._late, self._recent, self._usual)
        self._strain = strain_after(self._strain, behind)
        STRAIN.set(self._strain)
        self._fade()
        self._took = {one: took for one, took in self._took.items() if one in self._used}
        found = heavy({one: count / FORGET for one, count in self._used.items()})
        # who is held back asks for little: that is not over before the strain is
        self._heavy = found | self._heavy if self._strain else found
        if len(self._used) > 1 or self._strain:
            self._look_again()
        else:
            self._looking = False
